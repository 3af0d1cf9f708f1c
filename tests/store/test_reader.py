"""Reading back what was written, and what was broken since."""

import csv
import hashlib
import json
import math
import os
from pathlib import Path

import pandas as pd
import pytest

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import IDENTITY
from resnet_cli.store.layout import run_folder
from resnet_cli.store.reader import find_results, load_results, load_run, write_summary
from resnet_cli.store.record import content_hash, record_text
from resnet_cli.store.regular import read_regular
from tests.conftest import MakeRun
from tests.store.records import HISTORY, store


def test_a_run_is_read_back_to_the_bit(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    stored = load_run(store(tmp_path, run))
    assert (stored.run, stored.status, stored.parameters) == (run, "done", 100)
    assert stored.last == HISTORY[-1]
    assert stored.history == HISTORY


def test_a_diverged_run_keeps_its_nan(make_run: MakeRun, tmp_path: Path) -> None:
    history = [Metrics(1.0, 10, 0.1, math.nan, math.inf, 90.0, 90.0, math.nan)]
    stored = load_run(store(tmp_path, make_run(), history, "diverged"))
    assert stored.last is not None
    assert math.isnan(stored.last.train_loss)
    assert stored.last.test_loss == math.inf
    summary = load_results(tmp_path).summary()
    assert summary["status"].tolist() == ["diverged"]


def test_a_failed_run_without_evaluations_stays_in_the_table(make_run: MakeRun, tmp_path: Path) -> None:
    store(tmp_path, make_run(depths=3), [], "failed")
    store(tmp_path, make_run(depths=4))
    results = load_results(tmp_path)
    assert results.summary()["status"].tolist() == ["failed", "done"]
    assert len(results.curves()) == 2


def test_the_summary_has_rows_by_run_and_varying_settings(make_run: MakeRun, tmp_path: Path) -> None:
    for init in ("he", "default"):
        store(tmp_path, make_run(init=init))
    store(tmp_path, make_run(models="residual"))
    summary = load_results(tmp_path).summary()
    assert len(summary) == 3
    assert sorted(summary["init"]) == ["default", "default", "he"]
    assert "block_size" not in summary.columns, "it differs between models only"


def test_curves_separate_the_scheduled_and_the_set_learning_rate(make_run: MakeRun, tmp_path: Path) -> None:
    for rate in (0.5, 0.25):
        store(tmp_path, make_run(learning_rate=rate))
    curves = load_results(tmp_path).curves()
    assert sorted(set(curves["learning_rate"])) == [0.25, 0.5]
    assert set(curves["scheduled_learning_rate"]) == {0.1}


def test_summary_shows_the_learning_rate_before_the_schedule(make_run: MakeRun, tmp_path: Path) -> None:
    for rate in (0.5, 0.25):
        store(tmp_path, make_run(learning_rate=rate))
    write_summary(load_results(tmp_path))
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert sorted(summary["learning_rate"]) == [0.25, 0.5]
    assert "scheduled_learning_rate" not in summary


def test_a_deleted_summary_file_is_restored_identically(make_run: MakeRun, tmp_path: Path) -> None:
    for depth in (3, 4):
        store(tmp_path, make_run(depths=depth))
    write_summary(load_results(tmp_path))
    first = (tmp_path / "summary.csv").read_bytes()
    (tmp_path / "summary.csv").unlink()
    write_summary(load_results(tmp_path))
    assert (tmp_path / "summary.csv").read_bytes() == first
    assert pd.read_csv(tmp_path / "summary.csv")["depth"].tolist() == [3, 4]


@pytest.mark.parametrize("cut", [1, 30, 100])
def test_a_truncated_metrics_file_is_named_and_left_out(make_run: MakeRun, tmp_path: Path, cut: int) -> None:
    broken = store(tmp_path, make_run(depths=3)) / "metrics.csv"
    store(tmp_path, make_run(depths=4))
    broken.write_bytes(broken.read_bytes()[:-cut])
    results = load_results(tmp_path)
    assert [stored.run.depth for stored in results.runs] == [4]
    (problem,) = results.problems
    assert str(broken) in problem
    assert "cut off" in problem


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"format": 1}', "\x00\x01", '{"format": 1, "metrics_sha256": 5}'],
)
def test_a_broken_record_is_named_and_left_out(make_run: MakeRun, tmp_path: Path, content: str) -> None:
    place = store(tmp_path, make_run(depths=3))
    (place / "run.json").write_text(content)
    results = load_results(tmp_path)
    assert results.runs == []
    assert str(place) in results.problems[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("status", "odd"), ("seconds", None), ("seconds", math.inf), ("extra", 1)],
        *[("parameters", "many"), ("parameters", 10**400), ("parameters", -1)],
        *[("format", "2"), ("format", True), ("format", 1.5), ("format", 0), ("format", None)],
    ],
)
def test_an_edited_record_is_named_and_left_out(make_run: MakeRun, tmp_path: Path, key: str, value: object) -> None:
    place = store(tmp_path, make_run())
    record = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps(record | {key: value}))
    (problem,) = load_results(tmp_path).problems
    assert problem.startswith(f"{place / 'run.json'} is left out: {key} ")


@pytest.mark.parametrize(
    ("key", "value"), [("parameters", 101), ("status", "diverged"), ("seconds", 2.0), ("message", "x"), ("format", 1)]
)
def test_a_believable_change_by_hand_is_found(make_run: MakeRun, tmp_path: Path, key: str, value: object) -> None:
    place = store(tmp_path, make_run())
    record = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps(record | {key: value}))
    (problem,) = load_results(tmp_path).problems
    assert problem == f"{place / 'run.json'} is left out: it is cut off or was changed after it was written."


def test_a_run_without_its_checksum_is_read_only_in_format_1(make_run: MakeRun, tmp_path: Path) -> None:
    place = store(tmp_path, make_run())
    record = json.loads((place / "run.json").read_text())
    del record["content_sha256"]
    (place / "run.json").write_text(json.dumps(record | {"format": 1}))
    assert len(load_results(tmp_path).runs) == 1
    (place / "run.json").write_text(json.dumps(record))
    assert load_results(tmp_path).runs == []


@pytest.mark.parametrize(
    "change",
    [
        *[{"status": "he"}, {"train_loss": 1.0}, {"seconds": 1}, {"$x^": 1}, {"a b": 1}, {"\x1b[2J": 1}, {"depths": 1}],
        *[{"task": r"$\frac$"}, {"task": "\x1b[2J"}, {"task": "x" * 100_000}, {"model": "../plain"}, {"task": "a\n"}],
        *[
            {"ordering": r"$\frac$"},
            {"survival": math.nan},
            {"survival": 10**400},
            {"survival": 2**63},
            {"ordering": "a\n"},
        ],
    ],
)
def test_a_forged_run_is_left_out_in_one_short_printable_line(
    make_run: MakeRun, tmp_path: Path, change: dict[str, object]
) -> None:
    place = store(tmp_path, make_run())
    content = json.loads((place / "run.json").read_text())
    content["settings"] |= change
    run = object.__new__(Run)  # unchecked
    values = content["settings"]
    vars(run).update(values, settings={name: values[name] for name in values if name not in IDENTITY})
    content["content_sha256"] = content_hash(content)
    (place / "run.json").write_text(record_text(content))
    if len(run.task) < 100 and "/" not in run.model and run.task.isprintable():
        place.rename(run_folder(tmp_path, run))
    results = load_results(tmp_path)
    assert results.runs == []
    (problem,) = results.problems
    assert "run.json is left out: settings" in problem
    assert problem.isprintable()
    assert len(problem) < len(str(place)) + 200


@pytest.mark.parametrize("name", ["run.json", "metrics.csv"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "memory", "nowhere", "loop"])
def test_only_regular_files_are_read(make_run: MakeRun, tmp_path: Path, name: str, kind: str) -> None:
    path = store(tmp_path, make_run()) / name
    store(tmp_path, make_run(depths=4))
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("this system has no named pipes")
        os.mkfifo(path)
    else:
        path.symlink_to({"memory": Path("/proc/self/mem"), "nowhere": tmp_path / "missing", "loop": path}[kind])
    results = load_results(tmp_path)
    assert [stored.run.depth for stored in results.runs] == [4]
    (problem,) = results.problems
    assert f"is left out: {name} cannot be read (" in problem


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_an_unreadable_sweep_file_is_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "sweep.toml"
    if kind == "folder":
        path.mkdir()
    elif Path("/proc/self/mem").exists():
        path.symlink_to("/proc/self/mem")
    else:
        pytest.skip("this system does not show memory as a file")
    with pytest.raises(UserError, match=r"sweep\.toml cannot be read \(.+\); remove it"):
        load_results(tmp_path)


def test_nothing_beyond_a_sane_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(11))
    assert len(read_regular(tmp_path / "large", 11)) == 11
    with pytest.raises(OSError, match="larger than"):
        read_regular(tmp_path / "large", 10)


@pytest.mark.parametrize("line", ["x", "1,2", f"0.5,{10**400},1,1,1,,,", "inf,1,1,1,1,,,", "1.0,1.5,1,1,1,,,"])
def test_metrics_that_make_no_sense_leave_only_their_run_out(make_run: MakeRun, tmp_path: Path, line: str) -> None:
    place = store(tmp_path, make_run())
    metrics = (place / "metrics.csv").read_text().splitlines()[0] + "\n" + line + "\n"
    (place / "metrics.csv").write_text(metrics)
    content = json.loads((place / "run.json").read_text())
    content["metrics_sha256"] = hashlib.sha256(metrics.encode()).hexdigest()
    content["content_sha256"] = content_hash(content)
    (place / "run.json").write_text(record_text(content))
    (problem,) = load_results(tmp_path).problems
    assert problem.startswith(f"{place / 'metrics.csv'} is left out: ")


def test_whole_numbers_stay_whole_beside_a_failed_run(make_run: MakeRun, tmp_path: Path) -> None:
    store(tmp_path, make_run(depths=3), [], "failed")
    place = store(tmp_path, make_run(depths=4))
    store(tmp_path, make_run(models="residual", depths=4, block_size=2))
    store(tmp_path, make_run(models="residual", depths=4, block_size=3))
    content = json.loads((place / "run.json").read_text())
    del content["parameters"]
    (place / "run.json").write_text(record_text(content | {"content_sha256": content_hash(content)}))
    write_summary(load_results(tmp_path))
    with (tmp_path / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["", "10", "10", "10"]
    assert [row["parameters"] for row in rows] == ["100", "", "100", "100"]
    assert sorted(row["block_size"] for row in rows) == ["", "", "2", "3"]


@pytest.mark.parametrize("value", ['"2"', "true", "1.5", "0", "-1"])
def test_a_format_that_is_no_version_is_refused(tmp_path: Path, value: str) -> None:
    (tmp_path / "sweep.toml").write_text(f"format = {value}\n")
    with pytest.raises(UserError, match=r"sweep\.toml has format \(=.+\), but a format is a whole number from 1 to 2"):
        load_results(tmp_path)


def test_linked_results_are_found_once_and_loops_end(make_run: MakeRun, tmp_path: Path) -> None:
    store(tmp_path / "elsewhere" / "sine", make_run())
    root = tmp_path / "results"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere" / "sine")
    (root / "again").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root)
    assert find_results(root) == [root / "again" / "sine"]
    assert find_results(root / "linked") == [root / "linked"]
    assert find_results(root, tmp_path / "elsewhere") == [root / "again" / "sine"]


def test_a_run_in_anothers_folder_is_left_out(make_run: MakeRun, tmp_path: Path) -> None:
    place = store(tmp_path, make_run(depths=3))
    place.rename(run_folder(tmp_path, make_run(depths=4)))
    (problem,) = load_results(tmp_path).problems
    assert "its settings are those of another run" in problem


def test_settings_added_by_hand_break_only_their_run(make_run: MakeRun, tmp_path: Path) -> None:
    place = store(tmp_path, make_run(depths=3))
    record = json.loads((place / "run.json").read_text())
    record["settings"]["colour"] = "red"
    (place / "run.json").write_text(json.dumps(record))
    assert "its settings are those of another run" in load_results(tmp_path).problems[0]


@pytest.mark.parametrize("where", ["sweep.toml", "run.json"])
def test_a_newer_format_is_rejected(make_run: MakeRun, tmp_path: Path, where: str) -> None:
    place = store(tmp_path, make_run())
    if where == "sweep.toml":
        (tmp_path / "sweep.toml").write_text("format = 99\n")
    else:
        record = json.loads((place / "run.json").read_text())
        (place / "run.json").write_text(json.dumps(record | {"format": 99}))
    with pytest.raises(UserError, match=rf"{where} has format version 99, newer than the 2 .*pip install --upgrade"):
        load_results(tmp_path)


def test_results_folders_are_found_at_any_depth(make_run: MakeRun, tmp_path: Path) -> None:
    store(tmp_path / "a" / "sine", make_run())
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "sweep.toml").write_text("format = 1\n")
    assert find_results(tmp_path) == [tmp_path / "a" / "sine", tmp_path / "b"]


def test_a_folder_without_results_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no results"):
        find_results(tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        find_results(tmp_path / "missing")
