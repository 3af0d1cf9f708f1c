"""Folders that somebody else made to confuse whoever looks into them."""

import json
import sys
from pathlib import Path

import pytest

from resnet_cli.store.record import content_hash, record_text
from tests.cli.conftest import Command, Train

TINY = ("--task", "sine", "--seeds", 0, "--steps", 2, "--depths", "2", "--models", "plain", "--jobs", 1, "--quiet")
CLEAR = "\x1b[2J"


@pytest.fixture
def foreign(train: Train) -> Path:
    """A sweep in a folder whose name clears the terminal, with a failed run whose message does so too."""
    if sys.platform == "win32":
        pytest.skip("no folder can have such a name here")
    folder = Path(f"results/a{CLEAR}b")
    train(*TINY, "--out", "results/plain")
    Path("results/plain").rename(folder)
    (record,) = folder.glob("runs/*/run.json")
    content = json.loads(record.read_text()) | {"status": "failed", "message": CLEAR + "x" * 100_000}
    record.write_text(record_text(content | {"content_sha256": content_hash(content)}))
    return folder


@pytest.mark.parametrize(
    "arguments",
    [("show",), ("show", "--csv"), ("show", "--json"), ("plot", "results"), ("analyze", "convergence", "FOLDER")],
)
def test_no_control_code_from_a_foreign_folder_reaches_the_terminal(
    command: Command, foreign: Path, arguments: tuple[str, ...]
) -> None:
    answer = command(*(str(foreign) if word == "FOLDER" else word for word in arguments))
    assert "\x1b" not in answer.out + answer.err
    assert len(answer.out + answer.err) < 5000
    assert "Traceback" not in answer.err


@pytest.mark.slow
@pytest.mark.parametrize("key", ["task", "device", "models", "engine", "out", "width", "depths"])
def test_a_foreign_sweep_file_is_refused_in_one_short_line(command: Command, key: str) -> None:
    for value in (CLEAR, "x" * 1_000_000, f"cuda:{'9' * 5000}", "$\\frac$"):
        settings = {"models": "plain", "depths": "2", "seeds": "0"} | {key: value}
        Path("sweep.toml").write_text("".join(f"{name} = {json.dumps(text)}\n" for name, text in settings.items()))
        answer = command("sweep", "--config", "sweep.toml", "--dry-run")
        if key != "out":
            assert answer.code == 2
        assert "\x1b" not in answer.out + answer.err
        assert len(answer.err) < 1500
        assert "Traceback" not in answer.err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no folder can have such a name here")
def test_an_analysis_prints_no_control_code_on_a_terminal(
    command: Command, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere such codes are removed from all output."""
    folder = Path(f"a{CLEAR}b")
    train(*TINY, "--out", "results/plain")
    Path("results/plain").rename(folder)
    printed: list[str] = []
    monkeypatch.setattr("typer.echo", lambda message, **options: printed.append(str(message)))
    assert command("analyze", "convergence", folder, "--format", "svg").code == 0
    assert [line.partition("/")[2] for line in printed if "/" in line][-1] == "analysis/convergence.svg"
    assert not any(CLEAR in line for line in printed)
