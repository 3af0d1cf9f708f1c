"""Sweeps on disk: what is trained, what is kept, who may write."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import filelock
import pytest
import torch

from resnet_cli.execution import unit
from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.plan import Plan, plan_sweep
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.events import Evaluated, Event, Finished, Started, Warned
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.layout import run_folder
from resnet_cli.store.reader import load_results
from resnet_cli.tasks import get_task
from resnet_cli.tasks.data import Data
from resnet_cli.tasks.settings import TRAIN_SIZE
from resnet_cli.training import data, loop
from resnet_cli.training.stacked.engine import train_stack
from tests.training.software_graph import SoftwareRecorder

SMALL = {"task": "sine", "depths": "2..4", "seeds": 0, "steps": 6, "eval_every": 3}


def do(plan: Plan, folder: Path, jobs: int = 1, **options: Any) -> list[Event]:
    events: list[Event] = []
    with open_sweep(plan, folder, jobs=jobs, **options) as sweep:
        sweep.execute(events.append)
    return events


def contents(folder: Path) -> dict[str, object]:
    """Every file below a results folder, without the lock, and without times and what depends on them."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != ".lock":
            content: object = path.read_bytes()
            if path.name == "run.json":
                record = json.loads(path.read_text())
                timed = ("started", "finished", "seconds", "content_sha256")
                content = {name: value for name, value in record.items() if name not in timed}
            found[str(path.relative_to(folder))] = content
    return found


def test_a_sweep_leaves_the_files_of_its_layout(tmp_path: Path) -> None:
    plan = plan_sweep(SMALL)
    do(plan, tmp_path)
    expected = {"sweep.toml", "summary.csv"}
    for run in plan.runs:
        expected |= {f"runs/{run.run_id}/{name}" for name in ("metrics.csv", "run.json")}
    assert set(contents(tmp_path)) == expected
    record = json.loads((run_folder(tmp_path, plan.runs[0]) / "run.json").read_text())
    assert Run(**record["settings"]) == plan.runs[0]
    assert record["environment"]["torch"] == torch.__version__


def test_every_run_starts_is_evaluated_and_finishes(tmp_path: Path) -> None:
    events = do(plan_sweep(SMALL | {"depths": "3", "models": "plain"}), tmp_path)
    assert [type(event) for event in events] == [Started, Evaluated, Evaluated, Evaluated, Finished]


def test_a_wider_sweep_trains_only_missing_runs(tmp_path: Path) -> None:
    do(plan_sweep(SMALL), tmp_path)
    assert do(plan_sweep(SMALL), tmp_path) == []
    wider = do(plan_sweep(SMALL | {"depths": "2..5"}), tmp_path)
    assert sum(isinstance(event, Finished) for event in wider) == 2
    assert len(load_results(tmp_path).runs) == 8


def test_recomputing_is_recorded_and_changes_no_results(tmp_path: Path) -> None:
    small = {"width": 2, "train_size": 40, "batch_size": 20, "epochs": 2}
    plan = plan_sweep({"task": "digits", "depths": "8,14", "seeds": 0, "threads": 1} | small)

    def metrics(folder: Path, *, recompute: bool) -> list[str]:
        with open_sweep(plan, folder, jobs=1, recompute=recompute) as sweep:
            sweep.execute(lambda event: None)
        places = [run_folder(folder, run) for run in plan.runs]
        records = [json.loads((place / "run.json").read_text()) for place in places]
        assert {record["environment"]["recompute"] for record in records} == {recompute}
        return [(place / "metrics.csv").read_text() for place in places]

    assert metrics(tmp_path / "with", recompute=True) == metrics(tmp_path / "without", recompute=False)
    with open_sweep(plan, tmp_path / "with") as sweep:
        assert len(sweep.finished) == len(plan.runs)


@pytest.mark.parametrize("wanted", [True, False])
def test_replayed_steps_are_recorded_and_obstacles_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    monkeypatch.setattr(unit, "_TOLD", set())
    monkeypatch.setattr(unit, "recorder_of", lambda device: SoftwareRecorder())
    plan = plan_sweep(SMALL | {"models": "plain", "engine": "loop", "dropout": "0,0.1"})
    told = [event.message for event in do(plan, tmp_path, cuda_graphs=wanted) if isinstance(event, Warned)]
    reason = "dropout draws random numbers in every step"
    assert told == [f"Training steps are not replayed as CUDA graphs: {reason}."] * wanted
    for stored in load_results(tmp_path).runs:
        replayed = {"cuda_graphs": True}
        eager = {"cuda_graphs": False, "why_no_cuda_graphs": reason}
        expected = (eager if stored.run.get("dropout") else replayed) if wanted else {}
        assert {key: value for key, value in stored.environment.items() if "cuda" in key} == expected


def test_a_broken_run_is_reported_and_trained_again(tmp_path: Path) -> None:
    plan = plan_sweep(SMALL)
    do(plan, tmp_path)
    before = contents(tmp_path)
    broken = run_folder(tmp_path, plan.runs[0]) / "metrics.csv"
    broken.write_bytes(broken.read_bytes()[:-10])
    with open_sweep(plan, tmp_path, jobs=1) as sweep:
        assert [str(broken) in problem and "trained again" in problem for problem in sweep.problems] == [True]
        sweep.execute(lambda event: None)
    assert contents(tmp_path) == before


def test_a_failing_run_is_recorded_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_sweep(SMALL | {"engine": "loop"})
    train = loop.train

    def train_but_not_depth_3(run: Run, *args: object, **options: object) -> object:
        if run.depth == 3:
            raise RuntimeError("out of\nmemory")
        return train(run, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(unit, "train", train_but_not_depth_3)
    failed = [event for event in do(plan, tmp_path) if isinstance(event, Finished) and event.status == "failed"]
    assert {event.message for event in failed} == {"RuntimeError: out of memory"}
    assert load_results(tmp_path).summary()["status"].value_counts().to_dict() == {"done": 4, "failed": 2}
    monkeypatch.undo()
    assert sum(isinstance(event, Finished) for event in do(plan, tmp_path)) == 2
    assert set(load_results(tmp_path).summary()["status"]) == {"done"}


def test_a_diverged_run_is_a_result_and_is_kept(tmp_path: Path) -> None:
    plan = plan_sweep(SMALL | {"optimizer": "sgd", "learning_rate": 1e9, "models": "plain", "depths": 4})
    do(plan, tmp_path)
    assert load_results(tmp_path).summary()["status"].tolist() == ["diverged"]
    assert do(plan, tmp_path) == []


def test_a_second_sweep_in_one_folder_is_rejected(tmp_path: Path) -> None:
    with (
        filelock.FileLock(tmp_path / ".lock"),
        pytest.raises(UserError, match=r"is in use by another sweep; wait .* --out"),
    ):
        do(plan_sweep(SMALL), tmp_path)
    assert not (tmp_path / "sweep.toml").exists()


def test_impossible_sweeps_write_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    with pytest.raises(UserError, match="batch_size"):
        do(plan_sweep(SMALL | {"train_size": 10}), folder)
    with (
        pytest.raises(UserError, match="CIFAR-10 is not in"),
        open_sweep(plan_sweep({"task": "cifar10"}), folder, data_dir=tmp_path / "empty"),
    ):
        pass
    assert not folder.exists()


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"out \(=.*file/results\) cannot be written: Not a directory"):
        do(plan_sweep(SMALL), tmp_path / "file" / "results")


def test_cuda_without_cuda_is_an_error(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(UserError, match=r"device \(=cuda\): this machine has no CUDA device .* --device cpu"):
        do(plan_sweep(SMALL | {"device": "cuda"}), tmp_path / "results")
    assert not (tmp_path / "results").exists()


LONG = ["--task", "sine", "--depths", "2..5", "--seeds", "0", "--steps", "150", "--eval-every", "50", "--threads", "1"]


def command(folder: Path, engine: str) -> list[str]:
    program = [sys.executable, "-m", "resnet_cli", "sweep", *LONG, "--out", str(folder), "--quiet"]
    return [*program, "--engine", engine, "--checkpoint-every", "0.01", "--jobs", "2"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("engine", "finished_runs"), [("loop", 2), ("stacked", 0)])
def test_a_sweep_killed_with_sigkill_ends_with_the_same_files(tmp_path: Path, engine: str, finished_runs: int) -> None:
    undisturbed, folder = tmp_path / "undisturbed", tmp_path / "sine"
    subprocess.run(command(undisturbed, engine), check=True)
    process = subprocess.Popen(command(folder, engine))
    wait_for_runs(folder, finished_runs, process)
    process.kill()
    process.wait()
    subprocess.run(command(folder, engine), check=True)
    assert contents(folder) == contents(undisturbed)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, and nothing on disk changes after it."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_stack_that_fails_is_tried_again_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run: Run, metrics: Metrics, total_steps: int) -> None:
        if metrics.step == 6:
            raise MemoryError

    plan = plan_sweep(SMALL | {"engine": "stacked"})
    real = train_stack
    monkeypatch.setattr(unit, "train_stack", lambda *runs, **others: real(*runs, **others | {"on_evaluation": fail}))
    do(plan, tmp_path / "sine", checkpoint_seconds=0)
    assert {stored.status for stored in load_results(tmp_path / "sine").runs} == {"failed"}
    monkeypatch.undo()
    started = [event.step for event in do(plan, tmp_path / "sine") if isinstance(event, Started)]
    assert started[-1] > 0
    do(plan, tmp_path / "whole")
    assert contents(tmp_path / "sine") == contents(tmp_path / "whole")


@pytest.mark.parametrize("engine", ["loop", "stacked"])
def test_kills_at_any_write_do_not_change_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    plan = plan_sweep(SMALL | {"depths": "2,4", "engine": engine, "threads": 1})

    def attempt(folder: Path) -> None:
        with open_sweep(plan, folder, jobs=1, checkpoint_seconds=0) as sweep:
            sweep.execute(lambda event: None)

    attempt(tmp_path / "whole")
    whole = contents(tmp_path / "whole")
    changes = ("replace", "unlink", "mkdir", "fsync")
    real = {name: getattr(os, name) for name in changes}
    for survived in itertools.count():
        left = survived
        dead = False

        def change(name: str, *arguments: object, **options: object) -> object:
            nonlocal left, dead
            dead = dead or left == 0
            if dead:
                raise Killed
            left -= 1
            return real[name](*arguments, **options)

        folder = tmp_path / f"killed-after-{survived}"
        folder.mkdir()
        with monkeypatch.context() as patch:
            for name in changes:
                patch.setattr(os, name, partial(change, name))
            with contextlib.suppress(Killed):
                attempt(folder)
        attempt(folder)
        assert contents(folder) == whole, f"killed after {survived} changes"
        if not dead:
            break
    assert survived > 40


def test_plain_and_residual_nets_agree_up_to_depth_k(tmp_path: Path) -> None:
    plan = plan_sweep(SMALL | {"depths": "1..6", "block_size": 3, "steps": 40, "eval_every": 20})
    do(plan, tmp_path)
    texts = {run: (run_folder(tmp_path, run) / "metrics.csv").read_text() for run in plan.runs}
    same = {depth: len({text for run, text in texts.items() if run.depth == depth}) == 1 for depth in range(1, 7)}
    assert same == {1: True, 2: True, 3: True, 4: False, 5: False, 6: False}


def test_data_sets_are_not_loaded_for_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = get_task("sine")
    loads: list[int | None] = []

    def load(run: Run, data_dir: Path | None) -> Data:
        loads.append(run.get(TRAIN_SIZE))
        return task.load(run, data_dir)

    monkeypatch.setattr(data, "get_task", lambda name: replace(task, load=load))
    sizes = list(range(100, 112))
    plan = plan_sweep(SMALL | {"train_size": sizes, "depths": "2..9"})
    with open_sweep(plan, tmp_path, jobs=1):
        pass
    assert set(loads) == set(sizes)
    assert len(loads) <= 5 * len(sizes)
    assert len(plan.runs) == 16 * len(sizes)


def wait_for_runs(folder: Path, count: int, process: "subprocess.Popen[bytes]") -> None:
    """Until `count` runs are finished and another unit has a checkpoint, or the process has ended."""
    while len(list(folder.glob("runs/*/run.json"))) < count or not list(folder.rglob("*.pt")):
        if process.poll() is not None:
            return
        time.sleep(0.01)
