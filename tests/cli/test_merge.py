"""`resnet-exp merge`: shards joined, and what it says."""

import shutil
from pathlib import Path

import pandas as pd

from tests.cli.conftest import SMALL, Command, Train


def test_merged_shards_are_the_whole_sweep(command: Command, sine: Path, train: Train) -> None:
    for number in (1, 2):
        train(*SMALL, "--quiet", "--shard", f"{number}/3", "--out", f"shards/{number}")
    answer = command("merge", "shards/", "--out", "merged")
    assert (answer.code, answer.err) == (0, "")
    there = len(pd.read_csv("merged/summary.csv"))
    missing = 6 - there
    assert 0 < missing < 6
    assert answer.out == (
        f"merged: {there} runs from 2 folders\n"
        f"Missing: {missing} of 6 runs; resnet-exp sweep --config merged/sweep.toml trains them.\n"
    )
    rest = command("sweep", "--config", "merged/sweep.toml", "--jobs", 1)
    assert f"= 6 runs; {there} already done" in rest.out
    assert Path("merged/summary.csv").read_bytes() == (sine / "summary.csv").read_bytes()
    for path in sine.glob("runs/*/metrics.csv"):
        assert (Path("merged") / path.relative_to(sine)).read_bytes() == path.read_bytes()
    assert command("show", "merged", "--by-depth").code == 0


def test_a_conflict_is_one_sentence_and_writes_nothing(command: Command, sine: Path) -> None:
    shutil.copytree(sine, "other")
    run = next(Path("other/runs").iterdir())
    neighbour = next(path for path in Path("other/runs").iterdir() if path != run)
    assert (
        command("merge", sine, "other", "--out", "merged").out
        == "merged: 6 runs from 2 folders; 6 runs in several of them\n"
    )
    shutil.rmtree("merged")
    shutil.copy(neighbour / "metrics.csv", run / "metrics.csv")
    answer = command("merge", sine, "other", "--out", "merged")
    assert answer.code == 2
    assert f"{run / 'metrics.csv'} is left out: " in answer.err
    assert len(pd.read_csv("merged/summary.csv")) == 6, "the other folder has it"


def test_what_cannot_be_merged_is_one_sentence(command: Command, sine: Path) -> None:
    for arguments, message in (
        (["nowhere"], "nowhere is not a folder; give a results folder, such as results/."),
        ([sine, "--out", sine], f"out (={sine}) is not empty; choose a new or an empty folder."),
    ):
        answer = command("merge", *arguments, *([] if "--out" in arguments else ["--out", "merged"]))
        assert (answer.code, answer.out, answer.err) == (2, "", f"resnet-exp: {message}\n")
    assert not Path("merged").exists()
