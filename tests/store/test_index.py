"""Reading many runs through an index, which must never say anything that their files do not."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from resnet_cli.settings.metrics import Metrics
from resnet_cli.store import index
from resnet_cli.store.index import INDEX_FILE
from resnet_cli.store.layout import METRICS_FILE, RUN_FILE, run_folder
from resnet_cli.store.reader import Results, load_results
from resnet_cli.store.record import RunRecord, write_run
from tests.conftest import MakeRun
from tests.store.records import HISTORY

RUNS = 6


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "FEWEST", 2)
    monkeypatch.setattr("resnet_cli.store.reader.FEWEST", 2)
    monkeypatch.setattr(index, "SETTLED_SECONDS", 0.0)


@pytest.fixture
def folder(make_run: MakeRun, tmp_path: Path) -> Path:
    """Runs of all kinds, and an index of them."""
    for seed in range(RUNS):
        run = make_run(seeds=seed, init="he" if seed % 2 else "default")
        history = [row._replace(train_loss=row.train_loss + seed) for row in HISTORY]
        write_run(tmp_path, RunRecord(status="done", run=run, history=history, parameters=seed, environment={"a": 1}))
    odd = [Metrics(0.0, 0, 0.1, float("nan"), float("inf"), None, 90.0, None)]
    write_run(tmp_path, RunRecord(status="diverged", run=make_run(depths=9), history=odd, message="é\n"))
    write_run(tmp_path, RunRecord(status="failed", run=make_run(depths=8), message="why"))
    time.sleep(0.05)
    load_results(tmp_path)
    assert (tmp_path / INDEX_FILE).exists()
    return tmp_path


def without_index(folder: Path) -> Results:
    """What the files say."""
    (folder / INDEX_FILE).unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resnet_cli.store.reader.FEWEST", 10**9)
        return load_results(folder)


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(place: object) -> None:
        raise AssertionError(f"{place} was read")

    monkeypatch.setattr("resnet_cli.store.reader.read_run", refuse)


def test_the_index_says_what_the_files_say(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        forbid_reading(patch)
        found = load_results(folder)
    assert repr(found) == repr(without_index(folder))
    assert len(found.runs) == RUNS + 2


@pytest.mark.parametrize("name", [RUN_FILE, METRICS_FILE])
def test_a_changed_file_is_read_whatever_the_index_says(folder: Path, make_run: MakeRun, name: str) -> None:
    path = run_folder(folder, make_run(seeds=0, init="default")) / name
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as an editor that hides its traces
    results = load_results(folder)
    assert len(results.runs) == RUNS + 1
    assert str(path) in results.problems[0]


def test_a_run_that_was_trained_again_replaces_the_one_in_the_index(folder: Path, make_run: MakeRun) -> None:
    stored = load_results(folder).runs[0]
    write_run(folder, replace(stored, history=[row._replace(test_loss=7.0) for row in stored.history]))
    assert load_results(folder).runs[0].history[-1].test_loss == 7.0


def test_removed_and_unfinished_runs_are_not_taken_from_the_index(folder: Path) -> None:
    first, second, *_ = sorted((folder / "runs").iterdir())
    (first / RUN_FILE).unlink()
    (second / METRICS_FILE).unlink()
    results = load_results(folder)
    assert len(results.runs) == RUNS
    assert len(results.problems) == 1
    assert METRICS_FILE in results.problems[0]


def test_a_copied_index_is_not_believed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    for record in (folder / "runs").iterdir():
        place = other / "runs" / record.name
        place.mkdir(parents=True)
        for path in record.iterdir():
            (place / path.name).write_bytes(path.read_bytes())
            os.utime(place / path.name, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    forged = (folder / INDEX_FILE).read_bytes().replace(b'"done"', b'"died"')
    (other / INDEX_FILE).write_bytes(forged)
    assert repr(load_results(other).runs) == repr(without_index(other).runs)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    return content[:200] + bytes([content[200] ^ 1]) + content[201:]


def body(**changes: object) -> Callable[[bytes], bytes]:
    """An index with another content under the right checksum."""

    def change(content: bytes) -> bytes:
        values = json.loads(content.partition(b"\n")[2]) | changes
        new = memoryview(json.dumps(values).encode())
        return index._header(new) + bytes(new)

    return change


@pytest.mark.parametrize(
    "damage",
    [
        *[cut, flip, lambda content: b"", lambda content: content + b" ", lambda content: b"\x00" * 10**5],
        *[body(columns=["epoch"]), body(entries=[]), body(entries={}), body(kinds=[]), body(environments=3)],
        *[body(other=1), body(kinds=[{"task": "sine"}] * 9)],
    ],
)
def test_an_index_that_cannot_be_used_changes_nothing(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    path = folder / INDEX_FILE
    path.write_bytes(damage(path.read_bytes()))
    found = load_results(folder)
    assert repr(found) == repr(without_index(folder))


def test_files_that_have_just_changed_are_not_indexed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / INDEX_FILE).unlink()
    monkeypatch.setattr(index, "SETTLED_SECONDS", 1000.0)
    load_results(folder)
    assert index.RunIndex.read(folder).entries == {}


def test_few_runs_have_no_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / INDEX_FILE).unlink()
    monkeypatch.setattr(index, "FEWEST", 100)
    monkeypatch.setattr("resnet_cli.store.reader.FEWEST", 100)
    load_results(folder)
    assert not (folder / INDEX_FILE).exists()


def test_a_folder_that_cannot_be_written_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = without_index(folder)

    def refuse(**options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    assert repr(load_results(folder)) == repr(expected)
    assert not (folder / INDEX_FILE).exists()
