"""One record of a run: what training returns, what its two files hold, and what reading them gives."""

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import ConfigDict, Field, ValidationError, create_model

from resnet_cli.settings.errors import printable, shorten
from resnet_cli.settings.events import Status
from resnet_cli.settings.format import FORMAT, check_format
from resnet_cli.settings.metrics import COLUMNS, METRICS, REQUIRED, Metrics
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import explain
from resnet_cli.store.files import write_text
from resnet_cli.store.layout import METRICS_FILE, RUN_FILE, RunFiles, run_folder


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run and what came of it."""

    status: Status
    message: str = ""  # why it failed
    run: Run
    parameters: Annotated[int, Field(ge=0, lt=2**63)] | None = None  # None if the net was not built
    environment: dict[str, Any] = field(default_factory=dict)  # versions, device, threads, engine
    started: str = ""  # ISO 8601, UTC; that of the whole stack if it was trained in one
    finished: str = ""  # when it took its last step
    seconds: Annotated[float, Field(allow_inf_nan=False)] = 0.0  # between the two
    history: list[Metrics] = field(default_factory=list)  # may be empty if it failed
    other_metrics: dict[str, list[float | None]] = field(default_factory=dict)  # columns that are not declared
    state: Mapping[str, Any] = field(default_factory=dict)  # of its net where it was trained just now

    @property
    def last(self) -> Metrics | None:
        """The last evaluation, if there was any."""
        return self.history[-1] if self.history else None


_STORED = {
    "settings" if name == "run" else name: (kind, None if name == "parameters" else ...)
    for name, kind in get_type_hints(RunRecord, include_extras=True).items()
    if name not in ("history", "other_metrics", "state")
}
_KEYS: dict[str, Any] = {
    "format": (Annotated[int, Field(strict=True, ge=1)], ...),
    "run_id": (str, ...),
    **_STORED,
    "metrics_sha256": (str, ...),
    "content_sha256": (str | None, None),
}
RunJson = create_model("RunJson", __config__=ConfigDict(extra="forbid"), **_KEYS)
"""What run.json holds, in order: fields of `RunRecord`, and what shows that both files are whole.

Format 1 has no `content_sha256` (see `content_hash`).
"""


_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

CHANGED = "it is cut off or was changed after it was written"


_PLAIN_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class BrokenRun(Exception):
    """A run's files cannot be used: `path` is the culprit, `reason` says what is wrong with it."""

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path, self.reason = printable(path), printable(reason)
        super().__init__(f"{self.path} is left out: {self.reason}.")


def content_hash(content: Mapping[str, Any]) -> str:
    """The SHA-256 of what run.json holds, except this hash itself: of its JSON with sorted keys and without spaces."""
    rest = {key: value for key, value in content.items() if key != "content_sha256"}
    return hashlib.sha256(_PLAIN_JSON.encode(rest).encode()).hexdigest()


def record_text(content: Mapping[str, Any]) -> str:
    """The text of run.json: JSON with an indent of 2, which Python's own encoder takes thrice as long to make."""
    return f"{_indented(content, '')}\n"


def _indented(value: Any, indent: str) -> str:
    if isinstance(value, Mapping) and value:
        inner = f"{indent}  "
        lines = [f"{inner}{_PLAIN_JSON.encode(name)}: {_indented(one, inner)}" for name, one in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, (list, tuple)):
        return json.dumps(value, indent=2).replace("\n", f"\n{indent}")
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return repr(value)
    return _PLAIN_JSON.encode(value)


def write_run(folder: Path, record: RunRecord) -> None:
    """Write a finished run into the results folder `folder`: metrics.csv first, run.json last."""
    place = run_folder(folder, record.run)
    metrics = metrics_text(record.history)
    values = {"settings": record.run, **vars(record)}
    form = RunJson(
        format=FORMAT,
        run_id=record.run.run_id,
        **{name: values[name] for name in _STORED},
        metrics_sha256=hashlib.sha256(metrics.encode()).hexdigest(),
    )
    write_text(place / METRICS_FILE, metrics)
    content = form.model_dump(exclude_none=True)
    write_text(place / RUN_FILE, record_text(content | {"content_sha256": content_hash(content)}))


def metrics_text(history: Sequence[Metrics]) -> str:
    """Evaluations as CSV. Numbers are written with enough digits to be read back exactly; missing ones are empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(history)
    return buffer.getvalue()


def parse_run(files: RunFiles) -> RunRecord:
    """What the files of a run say.

    Raises:
        BrokenRun: one is cut, changed by hand or not understood.
        UserError: it was written by a newer version of the program.
    """
    try:
        content = json.loads(files.record)
    except (ValueError, RecursionError):
        raise BrokenRun(files.record_place, CHANGED) from None
    if isinstance(content, dict) and type(content.get("format")) is int and content["format"] > FORMAT:
        check_format(files.record_place, content["format"])
    try:
        form = vars(RunJson.model_validate(content))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "its content"
        raise BrokenRun(files.record_place, f"{shorten(where)} {explain(error)}") from None
    if form["settings"].run_id != files.run_id:
        raise BrokenRun(files.record_place, "its settings are those of another run")
    found_hash = form["content_sha256"]
    if (found_hash is not None or form["format"] > 1) and found_hash != content_hash(content):
        raise BrokenRun(files.record_place, CHANGED)
    if hashlib.sha256(files.metrics).hexdigest() != form["metrics_sha256"]:
        raise BrokenRun(files.metrics_place, CHANGED)
    try:
        history, others = _parse_metrics(files.metrics.decode())
    except (ValueError, TypeError, csv.Error) as error:
        raise BrokenRun(files.metrics_place, shorten(error, 200)) from None
    if form["status"] == "done" and not history:
        raise BrokenRun(files.metrics_place, "it has no evaluation, although the run is done")
    fields = {key: form[key] for key in form.keys() & _STORED.keys() - {"settings"}}
    return RunRecord(run=form["settings"], history=history, other_metrics=others, **fields)


def _parse_metrics(text: str) -> tuple[list[Metrics], dict[str, list[Any]]]:
    """The rows of metrics.csv, to the last bit, and its columns that are not declared."""
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    names = _names_of(tuple(header))
    if not set(map(len, rows)) <= {len(names)}:
        raise ValueError("one of its rows is too short or too long")
    cells = zip(*rows, strict=True) if rows else [()] * len(names)
    columns = {name: _numbers(name, column) for name, column in zip(names, cells, strict=True)}
    steps, epochs = columns["step"], columns["epoch"]
    if not all(map(math.isfinite, epochs)) or (steps and not 0 <= min(steps) <= max(steps) < 2**63):
        raise ValueError("it has an impossible step or epoch")
    declared = [columns.pop(name, [None] * len(rows)) for name in METRICS]
    return list(map(Metrics._make, zip(*declared, strict=True))), columns


@lru_cache
def _names_of(header: tuple[str, ...]) -> list[str]:
    """The names of columns; ValueError if they are not those of metrics.csv."""
    names = [COLUMNS.get(column, column) for column in header]
    if len(set(names)) < len(names) or not set(names) >= REQUIRED:
        raise ValueError("its columns are not those of metrics.csv")
    if odd := [name for name in names if not _NAME.fullmatch(name)]:
        raise ValueError(f"its column {shorten(odd[0])} is no word of a-z, 0-9 and _")
    return names


def _numbers(name: str, cells: Sequence[str]) -> list[Any]:
    if name == "step":
        return list(map(int, cells))
    if name in REQUIRED:
        return list(map(float, cells))
    return [float(cell) if cell else None for cell in cells] if any(cells) else [None] * len(cells)
