"""Runs as event files of TensorBoard: one log directory for each run, with its metrics and its settings.

TensorBoard shows single precision, so metrics are rounded to it. Its optional package writes the records; TensorFlow is
not needed. A run's file always has the same name and depends on its record alone, so another export replaces it.
"""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import COLUMNS, PAIRS
from resnet_cli.store.files import atomic_file, remove_temporary_files
from resnet_cli.store.record import RunRecord
from resnet_cli.store.regular import open_regular

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

EVENT_FILE = "events.out.tfevents.0.resnet-exp"
"""TensorBoard knows event files by `tfevents` in their names."""
_VERSION = "brain.Event:2"
_WRITER = "resnet-exp"
_PATTERN = "*tfevents*"


def write_event_files(records: Mapping[Path, RunRecord]) -> None:
    """Write the event file of each run into its log directory; those of an earlier export are replaced.

    Raises:
        UserError: before anything is written, if the package tensorboard is missing or a log directory holds an event
            file of something else; or if a file cannot be written.
    """
    try:
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError:
        raise UserError(
            "to (=tensorboard) needs the package tensorboard, which is not installed; "
            "install it with pip install 'resnet-exp[tensorboard]'."
        ) from None
    for directory in records:
        for path in directory.glob(_PATTERN):
            if not _is_ours(path):
                raise UserError(
                    f"{path} is not from resnet-exp, and TensorBoard would mix it with the run of this folder; "
                    "choose another folder to export to."
                )
    for directory, record in records.items():
        remove_temporary_files(directory)
        with atomic_file(directory / EVENT_FILE) as file:
            writer = RecordWriter(file)
            for event in _events(record):
                writer.write(event.SerializeToString())


def tag(metric: str) -> str:
    """What TensorBoard calls a metric: it puts tags with the same first word side by side, such as `loss/train`."""
    split, _, pair = metric.partition("_")
    column = next((column for column, name in COLUMNS.items() if name == metric), metric)
    return f"{pair}/{split}" if pair in PAIRS else column


def _is_ours(path: Path) -> bool:
    """Whether an event file says in its beginning that this program wrote it."""
    with contextlib.suppress(OSError), open_regular(path) as file:
        start = file.read(200)
        return _VERSION.encode() in start and _WRITER.encode() in start
    return False


def _events(record: RunRecord) -> Iterator["Event"]:
    """What an event file consists of: its version and writer, settings, evaluations, status."""
    from tensorboard.compat.proto.event_pb2 import Event, SourceMetadata
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2
    from tensorboard.plugins.hparams.api_pb2 import Status

    started, finished = _seconds(record.started), _seconds(record.finished)

    def hyperparameters(name: str, content: "plugin_data_pb2.HParamsPluginData") -> Summary:
        content.version = metadata.PLUGIN_DATA_VERSION
        data = SummaryMetadata.PluginData(
            plugin_name=metadata.PLUGIN_NAME, content=content.SerializeToString(deterministic=True)
        )
        of_plugin = SummaryMetadata(plugin_data=data)
        return Summary(value=[Summary.Value(tag=name, metadata=of_plugin, tensor=metadata.NULL_TENSOR)])

    yield Event(wall_time=started, file_version=_VERSION)
    yield Event(wall_time=started, source_metadata=SourceMetadata(writer=_WRITER))
    start = plugin_data_pb2.SessionStartInfo(group_name=record.run.run_id, start_time_secs=started)
    for name, value in record.run.as_dict().items():
        if isinstance(value, bool):
            start.hparams[name].bool_value = value
        elif isinstance(value, str):
            start.hparams[name].string_value = value
        else:
            start.hparams[name].number_value = value
    content = plugin_data_pb2.HParamsPluginData(session_start_info=start)
    yield Event(wall_time=started, summary=hyperparameters(metadata.SESSION_START_INFO_TAG, content))

    last_step = max((row.step for row in record.history), default=0)
    for number, row in enumerate(record.history):
        values = {**row._asdict(), **{name: column[number] for name, column in record.other_metrics.items()}}
        summary = Summary()
        for metric, value in values.items():
            if metric != "step" and value is not None:
                summary.value.add(tag=tag(metric), simple_value=value)
        share = row.step / last_step if last_step else 1.0
        yield Event(wall_time=started + share * (finished - started), step=row.step, summary=summary)

    status = Status.STATUS_SUCCESS if record.status == "done" else Status.STATUS_FAILURE
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=finished)
    content = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    yield Event(wall_time=finished, summary=hyperparameters(metadata.SESSION_END_INFO_TAG, content))


def _seconds(time: str) -> float:
    """A time of a record as seconds since 1970; 0 if it gives none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0
