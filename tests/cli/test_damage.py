"""Commands that meet a damaged file in a results folder: a sentence, no traceback, no number that nobody measured."""

import itertools
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Answer, Command, Train
from tests.store.damage import REPEATS, damages

SWEEP = ("sweep", "--task", "sine", "--seeds", 0, "--steps", 4, "--eval-every", 2, "--depths", "2,3", "--jobs", 1)
OPTIONS = ("--models", "plain", "--quiet", "--save-models", "--threads", 1)
COMMANDS: dict[str, tuple[object, ...]] = {
    "show": ("show", "results", "--json"),
    "plot": ("plot", "results", "--kind", "depth", "--metric", "loss", "--format", "svg"),
    "claims": ("claims", "results", "K1"),
    "report": ("report", "results", "--figures", "depth", "-o", "page.html"),
    "analyze": ("analyze", "responses", "results/sine", "--format", "svg"),
    "export": ("export", "results", "events"),
    "pack": ("pack", "results/sine", "--out", "packed"),
    "sweep": (*SWEEP, *OPTIONS, "--out", "results/sine"),
}


def some_damages(path: Path, others: list[Path], seed: int) -> Iterator[bytes]:
    """Nothing left, another file of the folder in its place, and cuts and flips at random places."""
    yield b""
    yield random.Random(seed).choice(others).read_bytes()
    cut_or_flipped = [damaged for _, damaged in damages(path.read_bytes()[:5000], 3)]
    yield from random.Random(seed).sample(cut_or_flipped, min(len(cut_or_flipped), REPEATS or 1))


def rows(answer: Answer) -> dict[str, Any]:
    return {row["run_id"]: {n: v for n, v in row.items() if n != "folder"} for row in json.loads(answer.out or "[]")}


@pytest.mark.slow
@pytest.mark.timeout(0 if REPEATS else 600)
def test_no_command_shows_a_traceback_or_an_invented_number(command: Command, train: Train, tmp_path: Path) -> None:
    train(*SWEEP[1:], *OPTIONS, "--out", "results/sine")
    assert command(*COMMANDS["analyze"]).code == 0
    whole = rows(command(*COMMANDS["show"]))
    assert len(whole) == 2
    shutil.copytree("results", "kept")
    paths = [path for path in sorted(Path("results").rglob("*")) if path.is_file() and path.name != ".lock"]
    turn, others = itertools.count(), [*COMMANDS][1:]
    for path in paths:
        for number, damaged in enumerate(some_damages(path, paths, len(path.name))):
            path.write_bytes(damaged)
            names = [*COMMANDS] if REPEATS else ["show"]
            if not REPEATS and number == 1:
                names.append(others[next(turn) % len(others)])
            for name in names:
                answer = command(*COMMANDS[name])  # an exception other than the exit would end this test
                where = f"{name}, {path}"
                assert answer.code in (0, 1, 2), where
                assert "Traceback" not in answer.err, where
                assert all(len(line) < 1000 for line in answer.err.splitlines()), where
                if name == "show" and answer.out:
                    found = rows(answer)
                    assert {run_id: whole[run_id] for run_id in found} == found, where
                    assert len(found) == 2 or answer.err.count("is left out") == 2 - len(found), where
            shutil.rmtree("results")
            shutil.rmtree("packed", ignore_errors=True)
            shutil.copytree("kept", "results")
