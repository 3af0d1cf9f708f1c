"""Whatever happens to a file of a results folder: each run is read as it was written, or named and left out."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_cli.figures.run_table import in_given_order
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.units import finished_runs
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.store.pack import pack_folder
from resnet_cli.store.reader import load_results
from resnet_cli.store.record import RunRecord
from tests.conftest import MakeRun
from tests.store.damage import REPEATS, damages
from tests.store.records import HISTORY, store

SWEEP = """format = 2
task = "sine"
models = ["plain-mlp"]
depths = [4, 3]
width = [2.0, 30, "a"]
seeds = [0]
"""
Check = Callable[[Path], None]


@pytest.fixture
def runs(make_run: MakeRun) -> list[Run]:
    return [make_run(depths=depth) for depth in (3, 4)]


@pytest.fixture
def folder(runs: list[Run], tmp_path: Path) -> Path:
    """Two runs, the second of which has other numbers."""
    place = tmp_path / "sine"
    store(place, runs[0])
    store(place, runs[1], [row._replace(train_loss=row.train_loss / 3) for row in HISTORY])
    (place / "sweep.toml").write_text(SWEEP)
    return place


@pytest.fixture
def check(folder: Path, runs: list[Run]) -> Check:
    """Asserts that a folder holds the runs as they were written, or says of each other one why it is left out."""
    whole = {stored.run.run_id: stored for stored in load_results(folder).runs}
    assert len(whole) == 2

    def is_one_line(sentence: object) -> None:
        assert str(sentence).isprintable()
        assert 10 < len(str(sentence)) < 1000

    def same(stored: RunRecord) -> None:
        assert stored == whole[stored.run.run_id]
        assert str(stored.history) == str(whole[stored.run.run_id].history)  # 1.0 equals 1

    def check(place: Path) -> None:
        try:
            results = load_results(place)
        except UserError as error:
            is_one_line(error)
            return
        for stored in results.runs:
            same(stored)
        for problem in results.problems:
            is_one_line(problem)
        lost = whole.keys() - {stored.run.run_id for stored in results.runs}
        more = [re.search(r"nor any of (\d+) more", problem) for problem in results.problems]
        assert len(results.problems) + sum(int(found[1]) for found in more if found) >= len(lost)
        assert len(in_given_order(results.summary(), results.given_values())) == 2 - len(lost)
        assert len(results.curves()) == len(HISTORY) * (2 - len(lost))
        conditions = Conditions(folder=place, device="cpu", workers=1, threads=1)
        if (place / "runs").exists():
            finished, problems = finished_runs(runs, conditions)
            assert finished.keys() == whole.keys() - lost
            assert len(problems) == len(lost)

    return check


def check_damages(path: Path, check: Check, folder: Path) -> None:
    content = path.read_bytes()
    for what, damaged in damages(content, 40):
        path.write_bytes(damaged)
        try:
            check(folder)
        except Exception as error:
            raise AssertionError(f"{path.name} {what}: {error!r}") from error
    path.write_bytes(content)


@pytest.mark.timeout(0 if REPEATS else 300)
@pytest.mark.parametrize("name", ["run.json", "metrics.csv", "sweep.toml"])
def test_no_cut_and_no_flipped_bit_changes_a_number(folder: Path, check: Check, name: str) -> None:
    check_damages(next(folder.rglob(name)), check, folder)


@pytest.mark.timeout(0 if REPEATS else 300)
@pytest.mark.parametrize("name", ["runs.csv", "metrics.csv.gz", "sweep.toml"])
def test_no_cut_and_no_flipped_bit_of_packed_results_changes_a_number(
    folder: Path, check: Check, tmp_path: Path, name: str
) -> None:
    packed = tmp_path / "packed"
    pack_folder(load_results(folder), packed)
    check_damages(packed / name, check, packed)


@pytest.mark.parametrize("names", [["run.json"], ["metrics.csv"], ["run.json", "metrics.csv"]])
def test_files_of_another_run_are_not_taken_for_its_own(folder: Path, check: Check, names: list[str]) -> None:
    one, other = sorted((folder / "runs").iterdir())
    for name in names:
        shutil.copy(other / name, one / name)
    check(folder)
    (problem,) = load_results(folder).problems
    assert str(one) in problem
