"""What a page says about runs."""

import math
from pathlib import Path

import pytest

from resnet_cli.report.runs import gaps, machines, run_table, sweep_text
from resnet_cli.store.layout import SWEEP_FILE
from resnet_cli.store.reader import load_results
from tests.report.conftest import DEGRADING, MakeSweep

GAPPY = {
    ("plain-mlp", 2): [0.1, 0.2, None],
    ("plain-mlp", 3): [math.inf, 0.2, None],
    ("residual-mlp", 2): [0.1, math.nan, 0.3],
    ("residual-mlp", 3): [0.1, 0.1, 0.1],
}


def test_missing_diverged_and_failed_runs_are_named(make_sweep: MakeSweep) -> None:
    found = gaps(load_results(make_sweep("mine", GAPPY)))
    assert found.missing == ["2 of 6 planned runs of plain-mlp are missing (depths 2,3, seeds 2)"]
    assert found.bad == [
        "1 run of plain-mlp diverged (depths 3)",
        "1 run of residual-mlp failed (depths 2): out of memory",
    ]
    assert found.broken == []


def test_a_whole_sweep_has_no_gaps(make_sweep: MakeSweep) -> None:
    found = gaps(load_results(make_sweep("mine", DEGRADING)))
    assert (found.missing, found.bad, found.broken) == ([], [], [])


def test_a_broken_run_is_missing_and_named(make_sweep: MakeSweep) -> None:
    folder = make_sweep("mine", DEGRADING)
    next(folder.glob("runs/*/metrics.csv")).write_text("nonsense")
    found = gaps(load_results(folder))
    assert len(found.missing) == len(found.broken) == 1
    assert "cut off or was changed" in found.broken[0]


def test_no_file_of_a_plug_in_is_run(make_sweep: MakeSweep, tmp_path: Path) -> None:
    folder = make_sweep("mine", DEGRADING)
    trap = tmp_path / "trap.py"
    trap.write_text("raise SystemExit('it was run')")
    sweep = folder / SWEEP_FILE
    sweep.write_text(f'plugins = ["{trap.as_posix()}"]\n' + sweep.read_text().replace("residual-mlp", "my-mlp"))
    (said,) = gaps(load_results(folder)).missing
    assert said.startswith("what its sweep.toml plans cannot be told: ")
    assert "my-mlp" in said


def test_a_folder_without_a_sweep_file_says_so(make_sweep: MakeSweep) -> None:
    folder = make_sweep("mine", DEGRADING)
    (folder / SWEEP_FILE).unlink()
    assert gaps(load_results(folder)).missing == ["there is no sweep.toml, so nobody knows which runs were planned"]


def test_the_table_has_a_row_for_each_run_in_order(make_sweep: MakeSweep) -> None:
    table = run_table([("mine", load_results(make_sweep("mine", GAPPY)))])
    assert table.columns == ["model", "depth", "seed", "status", "training loss", "test loss", "parameters", "run id"]
    cells = [[cell.text for cell in row.cells[:5]] for row in table.rows]
    assert cells[:4] == [
        ["plain-mlp", "2", "0", "done", "0.1"],
        ["plain-mlp", "2", "1", "done", "0.2"],
        ["plain-mlp", "3", "0", "diverged", "1"],
        ["plain-mlp", "3", "1", "done", "0.2"],
    ]
    assert [row.cells[4].text for row in table.rows if row.status == "failed"] == ["–"]
    assert table.choices == {
        "model": ["plain-mlp", "residual-mlp"],
        "depth": ["2", "3"],
        "seed": ["0", "1", "2"],
        "status": ["done", "diverged", "failed"],
    }
    assert [name for name, number in zip(table.columns, table.numbers, strict=True) if number] == [
        "depth",
        "seed",
        "training loss",
        "test loss",
        "parameters",
    ]


def test_short_numbers_carry_the_full_one(make_sweep: MakeSweep) -> None:
    table = run_table([("mine", load_results(make_sweep("mine", {("plain-mlp", 2): [0.123456789, 0.5]})))])
    (place,) = [place for place, name in enumerate(table.columns) if name == "training loss"]
    assert [(row.cells[place].text, row.cells[place].number) for row in table.rows] == [
        ("0.123", "0.123457"),
        ("0.5", ""),
    ]


def test_several_sweeps_have_columns_that_tell_them_apart(make_sweep: MakeSweep) -> None:
    first = make_sweep("first", {("plain-mlp", 2): [0.1, 0.2]}, init=["he", "default"])
    second = make_sweep("second", {("plain-mlp", 2): [0.1]})
    table = run_table([("first", load_results(first)), ("second", load_results(second))])
    assert table.columns[:5] == ["sweep", "model", "depth", "seed", "settings"]
    assert table.choices["settings"] == ["init he", "init default", "–"]


def test_machines_are_told_apart_and_dated(make_sweep: MakeSweep) -> None:
    (machine,) = machines("mine", load_results(make_sweep("mine", DEGRADING)).runs)
    assert (machine.sweep, machine.runs) == ("mine", 18)
    assert ("python", "3.11.7") in machine.facts
    assert machine.when == "2026-01-02 03:04 to 2026-01-02 03:05"


@pytest.mark.parametrize(
    ("settings", "end"), [({}, "seeds 0..2"), ({"init": ["he", "default"]}, "seeds 0..2; init he, default")]
)
def test_a_sweep_is_told_in_a_line(make_sweep: MakeSweep, settings: dict[str, object], end: str) -> None:
    text = sweep_text(load_results(make_sweep("mine", DEGRADING, **settings)))
    assert text == f"{18 * (len(settings) + 1)} runs on sine: plain-mlp and residual-mlp, depths 2,4,8, {end}"


def test_of_very_many_runs_the_table_shows_a_part(make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_sweep("mine", GAPPY)
    every = run_table([("mine", load_results(folder))])
    assert every.runs == len(every.rows) == 10
    monkeypatch.setattr("resnet_cli.report.runs.MOST_ROWS", 5)
    part = run_table([("mine", load_results(folder))])
    assert (part.runs, len(part.rows)) == (10, 5)
    assert [row for row in every.rows if row in part.rows] == part.rows, "in the same order"
    assert all(row in part.rows for row in every.rows if row.status != "done")
    assert (part.columns, part.choices) == (every.columns, every.choices)
