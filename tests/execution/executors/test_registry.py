"""Executors are chosen by name or number of processes; another one needs nothing but itself."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from resnet_cli.execution import executors
from resnet_cli.execution.executors import all_executors, conditions_of, get_executor
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


def test_an_unknown_executor_is_rejected() -> None:
    with pytest.raises(UserError, match=r"executor \(=slurm\) is not known; known are local, processes, ray, serial\."):
        get_executor("slurm")


def test_an_address_is_rejected_where_nothing_is_looked_for(tmp_path: Path) -> None:
    plan = plan_sweep(SMALL)
    for name in ("local", "serial"):
        with pytest.raises(UserError, match=rf"address \(=auto\) has no effect with executor {name}; it needs ray\."):
            conditions_of(plan, tmp_path, executor=name, address="auto")


OTHERS = [
    pytest.param(name, engine, marks=pytest.mark.slow)
    for name in all_executors()
    if name not in ("serial", "local")  # local is serial or processes: test_local.py
    for engine in (["stacked"] if name == "ray" else ["loop", "stacked"])  # its loop: ray/test_crew_cluster.py
]


@pytest.mark.parametrize(("name", "engine"), OTHERS)
def test_every_executor_leaves_the_same_files(tmp_path: Path, name: str, engine: str) -> None:
    if name == "ray":
        pytest.importorskip("ray", reason="the extra ray is not installed")
    plan = plan_sweep(SMALL | {"threads": 1, "engine": engine})
    do(plan, tmp_path / "serial", jobs=2, executor="serial")
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
