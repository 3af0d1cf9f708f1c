"""Whose files a sweep replaces or removes: its own, and nobody else's."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.plan import Plan, plan_sweep
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.events import Event, Finished
from resnet_cli.store.layout import run_folder
from resnet_cli.store.reader import load_results

SMALL = {"task": "sine", "depths": "2,3", "models": "plain", "seeds": 0, "steps": 2, "eval_every": 2, "threads": 1}


def do(plan: Plan, folder: Path, *, fresh: bool = False, save_models: bool = False) -> list[Event]:
    events: list[Event] = []
    with open_sweep(plan, folder, jobs=1, fresh=fresh, save_models=save_models) as sweep:
        sweep.execute(events.append)
    return events


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(path: Path, text: str = "mine") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


HAND_WRITTEN = '# my experiment\ntask = "sine"\ndepths = "2,3"\nmodels = ["plain"]\nout = "."\n'

REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "a hand-written config": (
        lambda folder: write(folder / "sweep.toml", HAND_WRITTEN),
        "sweep.toml was written or commented by hand, and results in out (={folder}) would replace it; rename it",
    ),
    "a config with our keys and a comment": (
        lambda folder: write(folder / "sweep.toml", "format = 1\n" + HAND_WRITTEN),
        "sweep.toml was written or commented by hand",
    ),
    "another summary": (
        lambda folder: write(folder / "summary.csv", "name,price\n"),
        "summary.csv is not a table of resnet-exp, and results in out (={folder}) would replace it; rename it",
    ),
    "runs of another tool": (
        lambda folder: write(folder / "runs" / "exp1" / "metrics.csv", "step,loss\n"),
        "out (={folder}) holds files of something else (such as {folder}",
    ),
    "documents": (
        lambda folder: write(folder / "thesis.tex"),
        "and no results of resnet-exp; choose a new or an empty folder with --out.",
    ),
    "an entry named runs": (lambda folder: write(folder / "runs"), "holds files of something else"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_of_somebody_else_is_refused_and_unchanged(tmp_path: Path, case: str, fresh: bool) -> None:
    make, message = REFUSED[case]
    make(tmp_path)
    write(tmp_path / ".tmp-cache")
    before = contents(tmp_path)
    with pytest.raises(UserError) as refused:
        do(plan_sweep(SMALL), tmp_path, fresh=fresh)
    assert message.format(folder=tmp_path) in str(refused.value)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["sweep.toml", "summary.csv"])
def test_a_foreign_file_among_our_results_is_not_replaced(tmp_path: Path, name: str) -> None:
    do(plan_sweep(SMALL), tmp_path)
    write(tmp_path / name, HAND_WRITTEN)
    before = contents(tmp_path)
    with pytest.raises(UserError, match=f"{name} .* rename it, or choose another folder with --out"):
        do(plan_sweep(SMALL), tmp_path, fresh=True)
    assert contents(tmp_path) == before


def test_hidden_files_do_not_make_a_folder_foreign(tmp_path: Path) -> None:
    write(tmp_path / ".gitkeep")
    do(plan_sweep(SMALL), tmp_path)
    assert len(load_results(tmp_path).runs) == 2
    assert (tmp_path / ".gitkeep").read_text() == "mine"


def test_fresh_removes_our_files_and_no_others(tmp_path: Path) -> None:
    plan = plan_sweep(SMALL)
    do(plan, tmp_path, save_models=True)
    write(tmp_path / "notes.txt")
    write(tmp_path / "runs" / "exp1" / "metrics.csv", "step,loss\n")
    write(tmp_path / "runs" / "exp2" / "run.json", "{}")
    write(tmp_path / "runs" / "exp3" / "checkpoint.pt", "PK\x03\x04")
    write(run_folder(tmp_path, plan.runs[0]) / "notes.txt")
    write(tmp_path / "stacks" / "other.pt")
    foreign = {name: content for name, content in contents(tmp_path).items() if content in (b"mine", b"{}")}
    shallower = plan_sweep(SMALL | {"depths": 2})
    assert sum(isinstance(event, Finished) for event in do(shallower, tmp_path, fresh=True)) == 1
    after = contents(tmp_path)
    assert after.items() >= foreign.items()
    assert after["runs/exp1/metrics.csv"] == b"step,loss\n"
    assert after["runs/exp3/checkpoint.pt"] == b"PK\x03\x04"
    assert [stored.run for stored in load_results(tmp_path).runs] == shallower.runs
    deeper = run_folder(tmp_path, plan.runs[0])
    assert [path.name for path in deeper.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("left", ["run.json", "metrics.csv", "weights.pt", "checkpoint.pt"])
def test_fresh_knows_what_a_kill_left_of_a_run(tmp_path: Path, left: str) -> None:
    plan = plan_sweep(SMALL)
    do(plan, tmp_path, save_models=True)
    place = run_folder(tmp_path, plan.runs[0])
    (place / "weights.pt").rename(place / "checkpoint.pt") if left == "checkpoint.pt" else None
    for path in place.iterdir():
        if path.name != left:
            path.unlink()
    do(plan_sweep(SMALL | {"depths": 2}), tmp_path, fresh=True)
    assert not place.exists()


def test_another_task_is_noticed_without_the_sweep_file(tmp_path: Path) -> None:
    do(plan_sweep(SMALL), tmp_path)
    other = plan_sweep({"task": "digits", "depths": 8, "steps": 1, "eval_every": 1})
    for name in ("sweep.toml", "summary.csv"):
        with pytest.raises(UserError, match=r"holds results of sine, and this sweep is of digits; .* --out"):
            do(other, tmp_path)
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match=r"holds results of sine, and this sweep is of digits; .* --out"):
        do(other, tmp_path)
    assert do(plan_sweep(SMALL), tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell too long a path from a missing one")
def test_too_long_a_path_is_called_too_long(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"out \(=.*\) is too long a path; choose a shorter one\."):
        do(plan_sweep(SMALL), tmp_path / ("x" * 300))


def test_the_next_sweep_removes_unfinished_files(tmp_path: Path) -> None:
    plan = plan_sweep(SMALL)
    do(plan, tmp_path)
    before = contents(tmp_path)
    for folder in (tmp_path, run_folder(tmp_path, plan.runs[0])):
        write(folder / ".resnet-exp-abcdefgh.tmp")
        write(folder / ".tmp-mine")
    do(plan, tmp_path)
    assert contents(tmp_path).keys() - before.keys() == {".tmp-mine", f"runs/{plan.runs[0].run_id}/.tmp-mine"}


def test_damaged_weights_are_named_set_aside_and_trained_again(tmp_path: Path) -> None:
    plan = plan_sweep(SMALL)
    do(plan, tmp_path, save_models=True)
    path = run_folder(tmp_path, plan.runs[0]) / "weights.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with open_sweep(plan, tmp_path, jobs=1, save_models=True) as sweep:
        assert sweep.problems == [f"{path} is damaged; it is kept as weights.damaged, and the run is trained again."]
        assert [*sweep.finished] == [plan.runs[1].run_id]
        sweep.execute(lambda event: None)
    assert path.read_bytes() == whole
    assert path.with_suffix(".damaged").read_bytes() == whole[:-1]


def test_fresh_spares_a_copy_of_a_run_under_another_name(tmp_path: Path) -> None:
    plan = plan_sweep(SMALL)
    do(plan, tmp_path)
    shutil.copytree(run_folder(tmp_path, plan.runs[0]), tmp_path / "runs" / "copy")
    copied = contents(tmp_path / "runs" / "copy")
    do(plan, tmp_path, fresh=True)
    assert contents(tmp_path / "runs" / "copy") == copied


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("fresh", [False, True])
def test_a_sweep_does_not_wait_for_pipes_in_place_of_its_files(tmp_path: Path, fresh: bool) -> None:
    plan = plan_sweep(SMALL)
    do(plan, tmp_path)
    before = contents(tmp_path)
    for name in ("run.json", "metrics.csv", "checkpoint.pt"):
        path = run_folder(tmp_path, plan.runs[0]) / name
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    (tmp_path / "stacks").mkdir()
    os.mkfifo(tmp_path / "stacks" / "other.pt")
    do(plan, tmp_path, fresh=fresh)
    assert contents(tmp_path).keys() == before.keys()


def test_a_sweep_whose_folder_was_moved_says_what_is_missing(tmp_path: Path) -> None:
    folder, moved = tmp_path / "out", tmp_path / "moved"

    def move(event: Event) -> None:
        if isinstance(event, Finished) and not moved.exists():
            folder.rename(moved)

    plan = plan_sweep({**SMALL, "engine": "loop"})
    with open_sweep(plan, folder, jobs=1) as sweep, pytest.raises(UserError) as told:
        sweep.execute(move)
    assert str(told.value) == (
        f"1 of 2 runs are not in out (={folder}): it was moved, or files in it were removed or changed while the "
        "sweep ran; the same command trains what is missing."
    )
    assert len(load_results(moved).runs) == len(load_results(folder).runs) == 1
