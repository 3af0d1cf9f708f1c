"""The driver of a Ray cluster, with workers in this process that can be lost."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resnet_cli.execution.executors.ray import crew
from resnet_cli.execution.executors.ray.data import share
from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.plan import Plan, plan_sweep
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.events import Event, Finished, Started, Warned
from resnet_cli.store.reader import load_results
from tests.execution.executors.ray.fake import FakeRay, after_a_checkpoint
from tests.execution.test_sweep import SMALL, contents, do

LOOP = SMALL | {"engine": "loop", "threads": 1}


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    """Stands for Ray in the driver."""
    fake = FakeRay()

    @contextlib.contextmanager
    def opened(conditions: Conditions) -> Iterator[FakeRay]:
        yield fake

    monkeypatch.setattr(crew, "opened", opened)
    monkeypatch.setattr(crew, "load_ray", lambda: fake)
    return fake


def sweep(plan: Plan, folder: Path, **options: Any) -> list[Event]:
    return do(plan, folder, jobs=2, executor="ray", **options)


@pytest.mark.parametrize("engine", ["loop", "stacked"])
@pytest.mark.parametrize("save_models", [False, True])
def test_files_are_those_of_one_process(tmp_path: Path, ray: FakeRay, engine: str, save_models: bool) -> None:
    plan = plan_sweep(SMALL | {"threads": 1, "engine": engine})
    do(plan, tmp_path / "serial", jobs=2, executor="serial", save_models=save_models)
    sweep(plan, tmp_path / "ray", save_models=save_models)
    assert contents(tmp_path / "ray") == contents(tmp_path / "serial")
    assert sorted(ray.killed) == list(range(ray.started))


def test_another_worker_resumes_what_a_lost_one_did(tmp_path: Path, ray: FakeRay) -> None:
    plan = plan_sweep(LOOP | {"steps": 40})
    do(plan, tmp_path / "serial", executor="serial")
    ray.lost = after_a_checkpoint
    events = sweep(plan, tmp_path / "ray", checkpoint_seconds=0)
    (warning,) = [event.message for event in events if isinstance(event, Warned)]
    assert "was lost (its node has died); " in warning
    assert " resumes from step " in warning
    assert any(isinstance(event, Started) and event.step > 0 for event in events)
    assert sum(isinstance(event, Finished) for event in events) == len(plan.runs)
    assert contents(tmp_path / "ray") == contents(tmp_path / "serial")


def test_a_run_that_takes_three_workers_with_it_fails(tmp_path: Path, ray: FakeRay) -> None:
    plan = plan_sweep(LOOP | {"depths": "3,4", "models": "plain"})
    deadly = max(plan.runs, key=lambda run: run.depth).run_id
    ray.lost = lambda worker, messages: any(
        isinstance(message, Started) and message.run_id == deadly for message in messages
    )
    events = sweep(plan, tmp_path)
    assert [event.message.count("starts anew") for event in events if isinstance(event, Warned)] == [1, 1]
    stored = {stored.run.depth: stored for stored in load_results(tmp_path).runs}
    assert stored[3].status == "done"
    assert stored[4].status == "failed"
    assert stored[4].message == "3 workers in a row were lost with it (its node has died)"


def test_data_that_were_lost_with_a_node_are_shared_again(tmp_path: Path, ray: FakeRay) -> None:
    ray.lost_puts = 2
    events = sweep(plan_sweep(LOOP | {"depths": "3", "models": "plain"}), tmp_path)
    assert sum(isinstance(event, Warned) and "ObjectLostError" in event.message for event in events) == 2
    assert [stored.status for stored in load_results(tmp_path).runs] == ["done"]


def test_data_whose_source_is_lost_are_taken_from_other_nodes(
    tmp_path: Path, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for = []

    def once(*asked: Any) -> Any:
        asked_for.append(asked)
        if len(asked_for) == 1:
            return share(*asked)
        raise UserError("no node has the data set")

    monkeypatch.setattr(crew, "share", once)
    ray.lost = after_a_checkpoint
    sweep(plan_sweep(LOOP), tmp_path, checkpoint_seconds=0)
    assert {stored.status for stored in load_results(tmp_path).runs} == {"done"}
    assert len(asked_for) == 2


def test_a_checkpoint_that_cannot_be_used_is_set_aside(tmp_path: Path, ray: FakeRay) -> None:
    plan = plan_sweep(LOOP | {"depths": "3", "models": "plain"})
    with open_sweep(plan, tmp_path, jobs=2, executor="ray") as opened:
        path = opened.units[0].checkpoint_file(tmp_path)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"damaged")
        events: list[Event] = []
        opened.execute(events.append)
    (warning,) = [event.message for event in events if isinstance(event, Warned)]
    assert warning.startswith(f"{path} is damaged or not the state of this training; it is kept as checkpoint.damaged")
    assert not path.exists()
    assert path.with_suffix(".damaged").read_bytes() == b"damaged"


def test_workers_that_cannot_start_end_the_sweep(tmp_path: Path, ray: FakeRay) -> None:
    ray.lost = lambda worker, messages: not messages
    with pytest.raises(UserError, match=r"cannot start \(its node has died\); every node needs this version of resnet"):
        sweep(plan_sweep(LOOP), tmp_path)


def test_a_node_with_another_version_ends_the_sweep(tmp_path: Path, ray: FakeRay) -> None:
    ray.version = "0.0.1"
    with pytest.raises(
        UserError, match=r"a node has resnet-exp 0\.0\.1, but this machine .*; install the same version"
    ):
        sweep(plan_sweep(LOOP), tmp_path)


def test_workers_share_gpus_as_asked(ray: FakeRay) -> None:
    conditions = Conditions(folder=Path(), device="cuda", workers=4, threads=3, runs_per_gpu=2)
    crew.execute([], conditions, lambda event: None)
    assert (ray.options_given["num_cpus"], ray.options_given["num_gpus"]) == (3, 0.5)


def test_a_numbered_gpu_is_left_to_ray() -> None:
    conditions = Conditions(folder=Path(), device="cuda:1", workers=1, threads=1)
    with pytest.raises(UserError, match=r"device \(=cuda:1\): Ray chooses .*; use --device cuda or cpu"):
        crew.check([], conditions)


def test_a_view_is_told_the_node_only_in_a_cluster(
    tmp_path: Path, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions = Conditions(folder=tmp_path, device="cpu", workers=1, threads=1)
    with open_sweep(plan_sweep(LOOP | {"depths": 2}), tmp_path, jobs=1) as opened:
        units = opened.units
    for address, nodes in ((None, {""}), ("auto", {"a"})):
        events: list[Event] = []
        ray.started = 0
        crew.execute(units, Conditions(**vars(conditions) | {"address": address}), events.append)
        assert {event.node for event in events if isinstance(event, Started)} == nodes
