"""Running the command line inside the test's process."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from resnet_cli.cli import main


class Answer(NamedTuple):
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]


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
