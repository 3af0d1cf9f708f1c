"""Running the command line inside the test's process."""

import contextlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from resnet_cli.cli import main


class Answer(NamedTuple):
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]
Train = Callable[..., None]

SMALL = ("--seeds", 0, "--steps", 6, "--eval-every", 3, "--depths", "2..4", "--jobs", 1)
"""A sweep of six runs."""


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """`command("sweep", "--task", "sine")` as if typed, with what it answered."""

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["resnet-exp", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main.run()
        out, err = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return Answer(stop.value.code, out, err)

    return run


@pytest.fixture(scope="session")
def sweeps_trained() -> dict[tuple[str, ...], Path]:
    """The folders in which sweeps were trained, by their arguments."""
    return {}


@pytest.fixture
def train(
    command: Command, sweeps_trained: dict[tuple[str, ...], Path], tmp_path_factory: pytest.TempPathFactory
) -> Train:
    """`train("--depths", 2)` is `command("sweep", …)`, trained once for all tests; each gets a copy of the results."""

    def copy(*arguments: object) -> None:
        key = tuple(map(str, arguments))
        if key not in sweeps_trained:
            folder = tmp_path_factory.mktemp("trained")
            with contextlib.chdir(folder):
                assert command("sweep", *arguments).code == 0
            sweeps_trained[key] = folder
        shutil.copytree(sweeps_trained[key], Path(), dirs_exist_ok=True)

    return copy


@pytest.fixture
def sine(train: Train) -> Path:
    """The results of the sweep `SMALL`."""
    train(*SMALL, "--quiet")
    return Path("results/sine")
