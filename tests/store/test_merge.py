"""Joining results folders: every run once, nothing invented, all or nothing."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_cli.settings.errors import StorageError, UserError
from resnet_cli.settings.run import Run
from resnet_cli.store.layout import run_folder
from resnet_cli.store.merge import Merged, merge_folders
from resnet_cli.store.pack import pack_folder
from resnet_cli.store.reader import load_results
from resnet_cli.store.record import write_run
from resnet_cli.store.weights import read_weights, write_weights
from tests.conftest import MakeRun
from tests.store.records import HISTORY, store

OTHER = [HISTORY[0], HISTORY[1]._replace(train_loss=0.5)]


def merge(tmp_path: Path, *names: str, sweep: dict[str, Any] | None = None) -> Merged:
    return merge_folders([tmp_path / name for name in names], tmp_path / "whole", sweep)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def runs(make_run: MakeRun) -> list[Run]:
    return [make_run(depths=depth) for depth in (2, 3, 4)]


def test_runs_of_all_folders_are_there_once_with_their_bytes(tmp_path: Path, runs: list[Run]) -> None:
    for name, some in (("a", runs[:2]), ("b", runs[1:])):
        for run in some:
            store(tmp_path / name, run)
    merged = merge(tmp_path, "a", "b", sweep={"task": "sine"})
    assert (len(merged.runs), merged.repeated, merged.problems, merged.notes) == (3, 1, [], [])
    whole = tree(tmp_path / "whole")
    expected = tree(tmp_path / "a") | tree(tmp_path / "b")
    assert {name: content for name, content in whole.items() if name.startswith("runs/")} == expected
    assert whole["sweep.toml"] == b'format = 2\ntask = "sine"\n'
    assert whole["summary.csv"].count(b"\n") == 4


def test_packed_folders_are_merged_like_others(tmp_path: Path, runs: list[Run]) -> None:
    for name, run in zip("ab", runs, strict=False):
        store(tmp_path / name, run)
    pack_folder(load_results(tmp_path / "a"), tmp_path / "packed")
    merge(tmp_path, "packed", "b")
    assert tree(tmp_path / "whole").items() >= (tree(tmp_path / "a") | tree(tmp_path / "b")).items()


def test_runs_that_differ_are_refused_and_named(tmp_path: Path, runs: list[Run]) -> None:
    for run in runs:
        store(tmp_path / "a", run)
    store(tmp_path / "b", runs[0], OTHER)
    store(tmp_path / "c", runs[1], status="diverged")
    with pytest.raises(UserError) as refused:
        merge(tmp_path, "a", "b", "c")
    message = str(refused.value)
    assert f"{runs[0].run_id} (its metrics in {tmp_path / 'a'} and {tmp_path / 'b'})" in message
    assert f"{runs[1].run_id} (its status in {tmp_path / 'a'} and {tmp_path / 'c'})" in message
    assert runs[2].run_id not in message
    assert "nothing was written" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_a_failed_run_gives_way_to_a_finished_one(tmp_path: Path, runs: list[Run], order: tuple[str, str]) -> None:
    store(tmp_path / "a", runs[0], [], "failed")
    store(tmp_path / "b", runs[0])
    merge(tmp_path, *order)
    assert [stored.status for stored in load_results(tmp_path / "whole").runs] == ["done"]


def test_the_last_of_several_failures_is_kept(tmp_path: Path, runs: list[Run]) -> None:
    for name in "ab":
        store(tmp_path / name, runs[0], [], "failed")
    (record,) = load_results(tmp_path / "a").runs
    write_run(tmp_path / "a", replace(record, message="later", finished="2027-01-01T00:00:00+00:00"))
    merge(tmp_path, "a", "b")
    assert [stored.message for stored in load_results(tmp_path / "whole").runs] == ["later"]


def test_saved_nets_travel_but_damaged_ones_are_named(tmp_path: Path, runs: list[Run]) -> None:
    for name in "ab":
        store(tmp_path / name, runs[0])
    store(tmp_path / "b", runs[1])
    for run in runs[:2]:
        write_weights(tmp_path / "b", run, {"weight": torch.arange(5.0)})
    damaged = run_folder(tmp_path / "b", runs[1]) / "weights.pt"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    merged = merge(tmp_path, "a", "b")
    assert len(merged.problems) == 1
    assert merged.problems[0].startswith(f"{damaged} is damaged")
    assert torch.equal(read_weights(tmp_path / "whole", runs[0])["weight"], torch.arange(5.0))
    assert not (run_folder(tmp_path / "whole", runs[1]) / "weights.pt").exists()


def test_checkpoints_of_unfinished_runs_travel(tmp_path: Path, runs: list[Run]) -> None:
    store(tmp_path / "a", runs[0])
    store(tmp_path / "a", runs[1], [], "failed")
    for name, time in (("a", 1), ("b", 2)):
        for run in runs:
            path = run_folder(tmp_path / name, run) / "checkpoint.pt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"resnet-exp tensors " + name.encode())
            os.utime(path, (time, time))
    (tmp_path / "b" / "runs" / "mine").mkdir()
    (tmp_path / "b" / "runs" / "mine" / "checkpoint.pt").write_bytes(b"resnet-exp tensors ")
    merge(tmp_path, "a", "b")
    found = {path.parent.name: path.read_bytes() for path in (tmp_path / "whole").glob("runs/*/checkpoint.pt")}
    assert found == {run.run_id: b"resnet-exp tensors b" for run in runs[1:]}


def test_what_is_no_result_stays_behind_and_is_named(tmp_path: Path, runs: list[Run]) -> None:
    store(tmp_path / "a", runs[0])
    for name in ("notes.txt", "runs/mine/x", "figures/loss.png", "stacks/one.pt", ".hidden"):
        path = tmp_path / "a" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    merged = merge(tmp_path, "a")
    assert merged.notes[0].startswith("2 files or folders that are no results stayed behind: ")
    assert str(tmp_path / "a" / "notes.txt") in merged.notes[0]
    assert [note.split()[0] for note in merged.notes[1:]] == ["Figures", "Stacks"]
    assert {name.split("/")[0] for name in tree(tmp_path / "whole")} == {"runs", "summary.csv"}


def test_broken_runs_are_named_and_left_out(tmp_path: Path, runs: list[Run]) -> None:
    store(tmp_path / "a", runs[0])
    place = store(tmp_path / "a", runs[1])
    (place / "metrics.csv").write_text("")
    merged = merge(tmp_path, "a")
    assert [str(place / "metrics.csv") in problem for problem in merged.problems] == [True]
    assert merged.runs == runs[:1]


def test_a_run_in_the_folder_of_another_is_never_taken(tmp_path: Path, runs: list[Run]) -> None:
    place = store(tmp_path / "a", runs[0])
    store(tmp_path / "b", runs[1])
    for name in ("metrics.csv", "run.json"):
        (place / name).write_bytes((run_folder(tmp_path / "b", runs[1]) / name).read_bytes())
    merged = merge(tmp_path, "a", "b")
    assert len(merged.problems) == 1
    assert merged.runs == [runs[1]]
    assert json.loads((run_folder(tmp_path / "whole", runs[1]) / "run.json").read_text())["run_id"] == runs[1].run_id


def test_folders_of_two_tasks_are_refused(tmp_path: Path, runs: list[Run], make_run: MakeRun) -> None:
    store(tmp_path / "a", runs[0])
    store(tmp_path / "b", make_run(task="digits", depths=8))
    with pytest.raises(
        UserError, match=r"one task, but these hold results of several: .*/b of digits and .*/a of sine"
    ):
        merge(tmp_path, "a", "b")


def test_the_target_is_new_or_empty(tmp_path: Path, runs: list[Run]) -> None:
    store(tmp_path / "a", runs[0])
    (tmp_path / "whole").mkdir()
    merge(tmp_path, "a")
    with pytest.raises(UserError, match=r"out \(=.*whole\) is not empty; choose a new or an empty folder"):
        merge(tmp_path, "a")


def test_a_full_disk_leaves_nothing(tmp_path: Path, runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    for run in runs:
        store(tmp_path / "a", run)
    written = []

    def fsync(number: int) -> None:
        written.append(number)
        if len(written) == 4:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError):
        merge(tmp_path, "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
