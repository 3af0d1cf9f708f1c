"""Event files of TensorBoard, read back by TensorBoard itself."""

import math
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata, plugin_data_pb2
from tensorboard.plugins.hparams.api_pb2 import Status

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import METRICS, Metrics
from resnet_cli.store.event_files import EVENT_FILE, tag, write_event_files
from resnet_cli.store.record import RunRecord
from tests.conftest import MakeRun

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
HISTORY = [
    Metrics(0.0, 0, 0.1, 0.1 + 0.2, 1 / 3, None, None, None),
    Metrics(1 / 31, 10, 0.05, 1e-300, 2.5e-7, 97.3, 98.1, 0.7),
    Metrics(4 / 31, 40, 0.05, math.nan, math.inf, 97.3, 98.1, 1e39),
]


@pytest.fixture
def record(make_run: MakeRun) -> RunRecord:
    """A run of 20 seconds with three evaluations and a metric that this version does not know."""
    return RunRecord(
        status="diverged",
        run=make_run(depths=3, seeds=7),
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:00:20+00:00",
        seconds=20.0,
        history=HISTORY,
        other_metrics={"train_sharpness": [None, 2.0, 3.0]},
    )


def read(directory: Path) -> EventAccumulator:
    """All events of a log directory."""
    return EventAccumulator(str(directory), size_guidance={"scalars": 0}).Reload()


def points(events: EventAccumulator, name: str) -> list[tuple[float, int, float]]:
    return [(event.wall_time, event.step, event.value) for event in events.Scalars(name)]


def session(events: EventAccumulator, name: str) -> Any:
    """What the plug-in for hyper-parameters is told."""
    content = plugin_data_pb2.HParamsPluginData.FromString(events.SummaryMetadata(name).plugin_data.content)
    return getattr(content, name.rpartition("/")[2])


def test_every_metric_comes_back_in_single_precision_at_its_step(record: RunRecord, tmp_path: Path) -> None:
    write_event_files({tmp_path / "run": record})
    events = read(tmp_path / "run")
    named = [name for name in METRICS if name != "step"]
    assert sorted(events.Tags()["scalars"]) == sorted(["train_sharpness", *map(tag, named)])
    for name in named:
        recorded = [(row.step, getattr(row, name)) for row in HISTORY if getattr(row, name) is not None]
        with np.errstate(over="ignore"):
            expected = [(step, float(np.float32(value))) for step, value in recorded]
        found = [(step, value) for _, step, value in points(events, tag(name))]
        np.testing.assert_array_equal(found, expected, name)
    assert [point[1:] for point in points(events, "train_sharpness")] == [(10, 2.0), (40, 3.0)]


def test_training_and_test_values_of_a_metric_stand_side_by_side() -> None:
    assert [tag(name) for name in ("train_loss", "test_error", "scheduled_learning_rate", "gradient_norm")] == [
        "loss/train",
        "error/test",
        "learning_rate",
        "gradient_norm",
    ]


def test_wall_times_divide_the_time_of_the_run_by_steps(record: RunRecord, tmp_path: Path) -> None:
    write_event_files({tmp_path: record})
    events = read(tmp_path)
    assert [time - START for time, _, _ in points(events, "epoch")] == [0, 5, 20]
    assert events.FirstEventTimestamp() == START
    assert session(events, metadata.SESSION_START_INFO_TAG).start_time_secs == START
    assert session(events, metadata.SESSION_END_INFO_TAG).end_time_secs == START + 20


def test_settings_are_hyperparameters_of_their_types(record: RunRecord, tmp_path: Path) -> None:
    write_event_files({tmp_path: record})
    start = session(read(tmp_path), metadata.SESSION_START_INFO_TAG)
    assert start.group_name == record.run.run_id
    found = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    assert found == record.run.as_dict()
    assert (found["batch_norm"], found["model"]) == (False, "plain-mlp")
    assert type(found["batch_norm"]) is bool


@pytest.mark.parametrize(("status", "expected"), [("done", "SUCCESS"), ("diverged", "FAILURE"), ("failed", "FAILURE")])
def test_runs_that_diverged_or_failed_are_marked(record: RunRecord, status: Any, expected: str, tmp_path: Path) -> None:
    history = [] if status == "failed" else HISTORY
    changed = RunRecord(status=status, run=record.run, history=history, finished="never")
    write_event_files({tmp_path: changed})
    events = read(tmp_path)
    assert session(events, metadata.SESSION_END_INFO_TAG).status == Status.Value(f"STATUS_{expected}")
    assert session(events, metadata.SESSION_END_INFO_TAG).end_time_secs == 0, "a time that cannot be read"
    assert bool(events.Tags()["scalars"]) == bool(history)


def test_exporting_again_replaces_the_same_bytes(record: RunRecord, tmp_path: Path) -> None:
    write_event_files({tmp_path: record})
    first = (tmp_path / EVENT_FILE).read_bytes()
    write_event_files({tmp_path: record})
    assert [path.name for path in tmp_path.iterdir()] == [EVENT_FILE]
    assert (tmp_path / EVENT_FILE).read_bytes() == first
    assert len(points(read(tmp_path), "loss/train")) == len(HISTORY)


@pytest.mark.parametrize("name", [EVENT_FILE, "events.out.tfevents.1700000000.host"])
def test_event_files_of_something_else_are_refused_before_writing(record: RunRecord, name: str, tmp_path: Path) -> None:
    foreign = tmp_path / "second" / name
    foreign.parent.mkdir()
    foreign.write_bytes(b"\x18\0\0\0\0\0\0\0 brain.Event:2 tensorboard.summary.writer.event_file_writer")
    before = foreign.read_bytes()
    with pytest.raises(UserError, match=r"is not from resnet-exp, and TensorBoard would mix it .* choose another"):
        write_event_files({tmp_path / "first": record, tmp_path / "second": record})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [foreign]
    assert foreign.read_bytes() == before


def test_other_files_beside_the_event_file_stay(record: RunRecord, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    write_event_files({tmp_path: record})
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", EVENT_FILE}


def test_a_missing_package_is_named_with_its_installation(
    record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match=r"not installed; install it with pip install 'resnet-exp\[tensorboard\]'\.$"):
        write_event_files({tmp_path: record})
    assert list(tmp_path.iterdir()) == []


def test_tensorflow_is_not_loaded(record: RunRecord, tmp_path: Path) -> None:
    write_event_files({tmp_path: record})
    assert "tensorflow" not in sys.modules
