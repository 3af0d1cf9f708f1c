"""Executors are chosen by name or number of processes; another one needs nothing but itself."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from resnet_cli.execution import executors
from resnet_cli.execution.executors import all_executors, choose_executor
from resnet_cli.execution.executors.base import Executor
from resnet_cli.execution.sweep import open_sweep
from resnet_cli.execution.unit import Emit, run_unit
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.planning.units import Unit
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.events import Event, Finished
from resnet_cli.store.reader import load_results
from tests.execution.test_sweep import SMALL, contents, do

CONDITIONS = Conditions(folder=Path(), device="cpu", workers=2, threads=1)


@pytest.mark.parametrize(
    ("workers", "units", "name"), [(1, 5, "serial"), (2, 5, "processes"), (2, 1, "serial"), (2, 0, "serial")]
)
def test_processes_start_only_for_several_units(workers: int, units: int, name: str) -> None:
    assert choose_executor(replace(CONDITIONS, workers=workers), units).name == name


def test_a_named_executor_is_taken_and_an_unknown_one_rejected() -> None:
    assert choose_executor(replace(CONDITIONS, executor="serial"), 5).name == "serial"
    with pytest.raises(UserError, match=r"executor \(=ray\) is not known; known are auto, processes, serial"):
        choose_executor(replace(CONDITIONS, executor="ray"), 5)


SLOW = ["processes"]
OTHERS = [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in all_executors() if name != "serial"]


@pytest.mark.parametrize("engine", ["loop", "stacked"])
@pytest.mark.parametrize("name", OTHERS)
def test_every_executor_leaves_the_same_files(tmp_path: Path, name: str, engine: str) -> None:
    plan = plan_sweep(SMALL | {"threads": 1, "engine": engine})
    do(plan, tmp_path / "serial", executor="serial")
    do(plan, tmp_path / "other", jobs=2, executor=name)
    assert contents(tmp_path / "serial") == contents(tmp_path / "other")


def backwards(units: Sequence[Unit], conditions: Conditions, emit: Emit) -> None:
    for unit in reversed(units):
        run_unit(unit, conditions, emit)


def test_a_made_up_executor_leaves_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = all_executors() | {"backwards": Executor("backwards", backwards)}
    monkeypatch.setattr(executors, "all_executors", lambda: known)
    plan = plan_sweep(SMALL | {"threads": 1})
    events = {name: do(plan, tmp_path / name, executor=name) for name in ("serial", "backwards")}
    assert contents(tmp_path / "serial") == contents(tmp_path / "backwards")
    ended = {name: [event.run_id for event in found if isinstance(event, Finished)] for name, found in events.items()}
    assert ended["serial"] != ended["backwards"]
    assert sorted(ended["serial"]) == sorted(ended["backwards"])


def test_only_the_place_of_the_training_needs_the_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here is a driver without it, whose executor finds no fault, and a place of the training that lacks it, too."""
    known = {"far": Executor("far", all_executors()["serial"].execute, check=lambda runs, conditions: None)}
    monkeypatch.setattr(executors, "all_executors", lambda: known)
    plan = plan_sweep({"task": "cifar10", "models": "resnet", "depths": 8})
    events: list[Event] = []
    with open_sweep(plan, tmp_path / "results", executor="far", data_dir=tmp_path / "empty") as sweep:
        sweep.execute(events.append)
    (stored,) = load_results(tmp_path / "results").runs
    assert stored.status == "failed"
    assert "CIFAR-10 is not in" in stored.message
