"""Shards of a sweep: together they leave what the whole sweep leaves, one after another or at the same time."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.plan import Plan, plan_sweep
from resnet_cli.planning.shards import parse_shard, take_shard
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.events import Event, Finished
from resnet_cli.store.layout import run_folder
from resnet_cli.store.reader import load_results
from resnet_cli.store.record import RunRecord, write_run
from tests.execution.test_sweep import contents, do

SMALL = {"task": "sine", "depths": "2..5", "seeds": "0,1", "steps": 6, "eval_every": 3, "threads": 1}
PLAN = plan_sweep(SMALL)


def shard(text: str, plan: Plan = PLAN) -> Plan:
    return take_shard(plan, parse_shard(text))


def finished_in(events: list[Event]) -> set[str]:
    return {event.run_id for event in events if isinstance(event, Finished)}


def shown(folder: Path) -> dict[str, object]:
    """All files but locks."""
    return {name: content for name, content in contents(folder).items() if not name.startswith(".lock")}


@pytest.mark.parametrize("engine", ["stacked", "loop"])
def test_shards_together_leave_the_files_of_the_whole_sweep(tmp_path: Path, engine: str) -> None:
    plan = plan_sweep(SMALL | {"engine": engine})
    do(plan, tmp_path / "whole")
    for number in (3, 1, 2):
        do(shard(f"{number}/3", plan), tmp_path / "shards", jobs=1)
    assert shown(tmp_path / "shards") == shown(tmp_path / "whole")


def test_a_shard_trains_its_own_runs_and_resumes(tmp_path: Path) -> None:
    own = shard("2/3")
    assert finished_in(do(own, tmp_path)) == {run.run_id for run in own.runs}
    assert do(own, tmp_path) == []
    assert len(load_results(tmp_path).runs) == len(own.runs) < len(PLAN.runs)


def test_two_shards_work_in_one_folder_at_the_same_time(tmp_path: Path) -> None:
    """Each starts while the other is at work; unfinished files of another process are left alone."""
    first, second = shard("1/2"), shard("2/2")
    with open_sweep(first, tmp_path, jobs=1) as one:
        theirs = run_folder(tmp_path, first.runs[0]) / ".resnet-exp-abcdefgh.tmp"
        states = tmp_path / "stacks" / ".resnet-exp-abcdefgh.tmp"
        for path in (theirs, states):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("being written")
        with open_sweep(second, tmp_path, jobs=1, fresh=True) as other:
            other.execute(lambda event: None)
        assert theirs.exists()
        assert states.exists()
        theirs.unlink()
        states.unlink()
        states.parent.rmdir()
        one.execute(lambda event: None)
    do(PLAN, tmp_path / "whole")
    whole = shown(tmp_path / "whole")
    assert {name: content for name, content in shown(tmp_path).items() if not name.startswith("whole")} == whole


def test_fresh_forgets_only_the_runs_of_the_shard(tmp_path: Path) -> None:
    do(shard("1/2"), tmp_path)
    assert finished_in(do(shard("2/2"), tmp_path, fresh=True)) == {run.run_id for run in shard("2/2").runs}
    assert len(load_results(tmp_path).runs) == len(PLAN.runs)


def test_states_of_stacks_are_kept_until_all_shards_are_done(tmp_path: Path) -> None:
    state = tmp_path / "stacks" / "stack_of_another_shard.pt"
    state.parent.mkdir()
    state.write_bytes(b"resnet-exp tensors ")
    (tmp_path / "sweep.toml").write_text(tomli_w.dumps({"format": 2, **PLAN.resolved}))
    do(shard("1/2"), tmp_path)
    assert state.exists()
    do(shard("2/2"), tmp_path)
    assert not state.exists()


def test_fresh_shards_forget_the_states_of_their_own_stacks(tmp_path: Path) -> None:
    own = shard("1/2", plan_sweep(SMALL | {"engine": "stacked"}))
    with open_sweep(own, tmp_path, jobs=1) as sweep:
        states = [tmp_path / "stacks" / "stack_of_another_shard.pt", sweep.units[0].checkpoint_file(tmp_path)]
    states[0].parent.mkdir()
    for state in states:
        state.write_bytes(b"resnet-exp tensors ")
    with open_sweep(own, tmp_path, jobs=1, fresh=True):
        assert [state.exists() for state in states] == [True, False]


@pytest.mark.parametrize("number", [1, 2])
def test_states_stay_where_another_shard_will_try_again(tmp_path: Path, number: int) -> None:
    do(PLAN, tmp_path)
    write_run(tmp_path, RunRecord(status="failed", message="no memory", run=shard("1/2").runs[0]))
    with open_sweep(shard(f"{number}/2"), tmp_path, jobs=1) as sweep:
        state = tmp_path / "stacks" / "stack_of_the_first_shard.pt"
        state.parent.mkdir()
        state.write_bytes(b"resnet-exp tensors ")
        sweep.execute(lambda event: None)
    assert state.exists() == (number == 2)


def test_a_shard_of_another_sweep_is_refused_while_one_works(tmp_path: Path) -> None:
    other = plan_sweep(SMALL | {"steps": 7})
    with (
        open_sweep(shard("1/2"), tmp_path),
        pytest.raises(UserError, match=r"is in use by shards of another sweep .* give all shards the same settings"),
        open_sweep(shard("2/2", other), tmp_path),
    ):
        pass
    elsewhere = plan_sweep(SMALL | {"threads": 2, "engine": "loop"})
    with open_sweep(shard("1/2"), tmp_path), open_sweep(shard("2/2", elsewhere), tmp_path):
        pass
    assert load_results(tmp_path).runs == []


def command(folder: Path, *more: Any) -> list[str]:
    program = [sys.executable, "-m", "resnet_cli", "sweep", "--task", "sine", "--depths", "2..5", "--seeds", "0,1"]
    quick = ["--steps", "60", "--eval-every", "20", "--threads", "1", "--jobs", "1"]
    return [*program, *quick, "--out", str(folder), "--quiet", *map(str, more)]


@pytest.mark.slow
def test_processes_with_all_shards_share_a_folder(tmp_path: Path) -> None:
    """As the tasks of an array job do that a scheduler starts at once."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    folder = tmp_path / "shared"
    started = [subprocess.Popen(command(folder, "--shard", f"{n}/3"), env=environment) for n in (1, 2, 3)]
    assert [process.wait(timeout=240) for process in started] == [0, 0, 0]
    subprocess.run(command(tmp_path / "whole"), check=True, env=environment)
    assert shown(folder) == shown(tmp_path / "whole")
