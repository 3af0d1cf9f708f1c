"""Folders that somebody else made to confuse whoever looks into them."""

import csv
import json
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from resnet_cli.cli.console import print_csv
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


READING = (
    *(("show", "FOLDER"), ("show", "FOLDER", "--by-depth"), ("show", "--json"), ("report", "--no-claims")),
    *(("plot", "FOLDER", "--format", "svg"), ("compare", "FOLDER", "FOLDER"), ("claims", "FOLDER")),
    *(("pack", "FOLDER", "--out", "packed"), ("unpack", "packed", "--out", "unpacked"), ("show", "packed")),
    ("merge", "FOLDER", "packed", "--out", "merged"),
    *(("export", "FOLDER", "logs", "--to", "tensorboard"), ("analyze", "convergence", "FOLDER", "--format", "svg")),
    *(("sweep", *TINY, "--out", "FOLDER"), ("sweep", *TINY, "--out", "FOLDER", "--dry-run")),
)
"""Every way to use results that does not name their sweep file as a configuration."""


@pytest.mark.slow
def test_a_plugin_that_results_name_is_not_run_by_looking_at_them(command: Command, train: Train) -> None:
    train(*TINY, "--out", "results/theirs")
    folder = Path("results/theirs")
    plugin = Path("evil.py").resolve()
    plugin.write_text("from pathlib import Path\nPath('ran').touch()\nMODELS = ()\n")
    sweep_file = folder / "sweep.toml"
    before = sweep_file.read_text()
    for words in READING:
        sweep_file.write_text(f"{before}plugins = [{json.dumps(str(plugin))}]\n")
        answer = command(*(str(folder) if word == "FOLDER" else word for word in words))
        assert answer.code == 0, (words, answer.err)
        assert not Path("ran").exists(), words
    sweep_file.write_text(f"{before}plugins = [{json.dumps(str(plugin))}]\n")
    assert command("sweep", "--config", sweep_file, "--dry-run").code == 0
    assert Path("ran").exists(), "a configuration that a person names is run with its plug-ins"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no folder can have such a name here")
def test_names_of_foreign_folders_are_text_in_figures(command: Command, train: Train) -> None:
    train(*TINY, "--out", "results/plain")
    names = [f"a{CLEAR}\x07b", "<b>&\"'$\\frac$</b>", "$x$", "[bold]c[/]", "=1+1", "e" * 200]
    for name in names:
        shutil.copytree("results/plain", Path("all", name.replace("/", "∕")))
    Path("results/plain").rename("all/plain")
    assert command("plot", *map(str, sorted(Path("all").iterdir())), "--format", "svg", "--out", "drawn").code == 0
    titled = (
        "plot",
        "all/plain",
        "--kind",
        "curves",
        "--title",
        f"$\\frac$ {CLEAR}<b>&",
        "--format",
        "svg",
        "--out",
        "drawn",
    )
    assert command(*titled).code == 0
    drawn = sorted(Path("drawn").glob("*.svg"))
    assert len(drawn) > 1
    for path in drawn:
        ElementTree.fromstring(path.read_text())
        assert "\x1b" not in path.read_text()
    answer = command("report", "all", "--no-claims")
    page = Path("all/report.html").read_text()
    assert answer.code == 0, answer.err
    assert "<b>" not in page
    assert "\x1b" not in page
    table = command("show", "all", "--csv").out
    folders = {row["folder"].rpartition("/")[2] for row in csv.DictReader(table.splitlines())}
    assert len(folders) == len(names) + 1
    rows = command("compare", "all/plain", "all/=1+1", "--csv").out
    assert not any(cell.startswith("=") for row in csv.reader(rows.splitlines()) for cell in row)


def test_csv_holds_no_formula(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(pd.DataFrame({"text": ["=1+1", "@a", "-b", "+c", "fine", None], "number": [-1.5, 2, 3, 4, 5, 6]}))
    rows = [row.split(",") for row in capsys.readouterr().out.splitlines()[1:]]
    assert [row[0] for row in rows] == ["'=1+1", "'@a", "'-b", "'+c", "fine", ""]
    assert [float(row[1]) for row in rows] == [-1.5, 2, 3, 4, 5, 6]
