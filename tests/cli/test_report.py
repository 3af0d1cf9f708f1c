"""`resnet-exp report` as typed."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.slow


def test_the_page_lies_among_the_results(command: Command, sine: Path) -> None:
    answer = command("report")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("results/report.html (")
    first = Path("results/report.html").read_text("utf-8")
    assert "<h1>Results of results</h1>" in first
    assert command("report", "results/", "-o", "again.html").code == 0
    assert Path("again.html").read_text("utf-8") == first


def test_packed_results_give_the_same_page_elsewhere(command: Command, sine: Path) -> None:
    assert command("pack", sine, "--out", "packed/sine").code == 0
    pages = []
    for folder in (sine, "packed/sine"):
        assert command("report", folder, "-o", "page.html").code == 0
        pages.append(Path("page.html").read_text("utf-8"))
    assert pages[0] == pages[1]
    assert command("report", "packed/sine").out.startswith("results/report.html (")
    assert [path.name for path in Path("packed/sine").iterdir() if path.suffix == ".html"] == []


def test_title_and_kinds_of_figures_are_chosen(command: Command, sine: Path) -> None:
    assert (
        command("report", "--title", "A <b>title</b>", "--figures", "none", "--no-claims", "-o", "page.html").code == 0
    )
    page = Path("page.html").read_text("utf-8")
    assert "<h1>A &lt;b&gt;title&lt;/b&gt;</h1>" in page
    assert "<svg" not in page


def test_a_broken_run_is_named_on_stderr_and_on_the_page(command: Command, sine: Path) -> None:
    record = next(sine.glob("runs/*/run.json"))
    record.write_text(json.dumps({"format": 1}))
    answer = command("report", "--figures", "depth", "-o", "page.html")
    assert answer.code == 2
    assert "is left out" in answer.err
    page = Path("page.html").read_text("utf-8")
    assert "is left out" in page
    assert "1 of 3 planned runs of " in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("report nowhere", "nowhere is not a folder; give a results folder, such as results/."),
        ("report empty", "empty holds no results (no sweep.toml below it); run `resnet-exp sweep` first."),
        ("report results -o empty", "out (=empty) is a folder; name a file, such as empty/report.html."),
        ("report results -o own.html", "out (=own.html) is a file, but no report of resnet-exp; choose another name"),
        (
            "report results --figures pie",
            "figures (=pie) must be depth, parameters, curves, map, survival or analyses, or several of ",
        ),
    ],
)
def test_what_cannot_be_done_is_said(command: Command, sine: Path, arguments: str, message: str) -> None:
    Path("empty").mkdir()
    Path("own.html").write_text("my own page")
    answer = command(*arguments.split())
    assert answer.code == 2
    assert answer.err.startswith(f"resnet-exp: {message}")
    assert answer.err.count("\n") == 1
    assert Path("own.html").read_text() == "my own page"
