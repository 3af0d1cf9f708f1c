"""Where things are in a results folder, and how they are written.

<folder>/sweep.toml                  the resolved sweep
<folder>/runs/<run-id>/metrics.csv   one row per evaluation
<folder>/runs/<run-id>/run.json      settings, status, environment, times; written last: a run with it is finished
<folder>/runs/<run-id>/weights.pt    the net's final values, where a sweep was asked to save models
<folder>/runs/<run-id>/checkpoint.pt while a long run is not finished
<folder>/stacks/<name>.pt            while a stack of runs is not finished
*.damaged                            the last checkpoint or weights file in this place that could not be used
<folder>/summary.csv                 one row per run, derived
<folder>/figures/
<folder>/analysis/                   what `resnet-exp analyze` writes

In packed form (see `store.packed`) runs.csv and metrics.csv.gz stand for runs/.
"""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from resnet_cli.settings.events import Metrics, Status
from resnet_cli.settings.format import FORMAT
from resnet_cli.settings.run import Run
from resnet_cli.store.files import write_text

SWEEP_FILE = "sweep.toml"
SUMMARY_FILE = "summary.csv"
RUNS_FOLDER = "runs"
RUN_FILE = "run.json"
METRICS_FILE = "metrics.csv"
CHECKPOINT_FILE = "checkpoint.pt"
WEIGHTS_FILE = "weights.pt"
STACKS_FOLDER = "stacks"
FIGURES_FOLDER = "figures"
ANALYSIS_FOLDER = "analysis"

METRICS_HEADER = tuple("learning_rate" if name == "scheduled_learning_rate" else name for name in Metrics._fields)
"""The columns of metrics.csv: the fields of `Metrics`, but with the learning rate under its original name."""


def run_folder(folder: Path, run: Run) -> Path:
    """The folder of a run below a results folder."""
    return folder / RUNS_FOLDER / run.run_id


class Record(BaseModel):
    """What run.json holds."""

    model_config = ConfigDict(extra="forbid")

    format: Annotated[int, Field(strict=True, ge=1)]
    run_id: str
    status: Status
    message: str  # why it failed
    settings: Run
    parameters: Annotated[int, Field(ge=0, lt=2**63)] | None = (
        None  # number of trainable parameters; missing if the net was not built
    )
    environment: dict[str, Any]  # versions, device, threads, engine
    started: str  # ISO 8601, UTC
    finished: str
    # from the start of the run, or of the stack in which it trained, to its last step; not the run's share of a stack
    seconds: Annotated[float, Field(allow_inf_nan=False)]
    metrics_sha256: str
    content_sha256: str | None = None  # see `content_hash`; missing in format 1


class RunFiles(NamedTuple):
    """The two files of a finished run as bytes, and what messages call them."""

    run_id: str
    record: bytes
    metrics: bytes
    record_place: str
    metrics_place: str


def content_hash(content: Mapping[str, Any]) -> str:
    """The SHA-256 of what run.json holds, except this hash itself: of its JSON with sorted keys and without spaces."""
    rest = {key: value for key, value in content.items() if key != "content_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def record_text(content: Mapping[str, Any]) -> str:
    """The text of run.json."""
    return json.dumps(content, indent=2) + "\n"


def write_run(
    folder: Path,
    run: Run,
    *,
    status: Status,
    history: Sequence[Metrics],
    parameters: int | None,
    environment: dict[str, Any],
    times: dict[str, Any],
    message: str = "",
) -> None:
    """Write a finished run into the results folder `folder`: metrics.csv first, run.json last.

    Args:
        folder: the results folder.
        run: its settings.
        status: `done`, `diverged` or `failed`.
        history: its evaluations in order; may be empty if it failed.
        parameters: number of trainable parameters, None if the net was not built.
        environment: versions, device, threads, engine.
        times: `started` and `finished` (ISO 8601, UTC) and `seconds`, which are those of the whole stack in a stack.
        message: why it failed.
    """
    place = run_folder(folder, run)
    metrics = metrics_text(history)
    record = Record(
        format=FORMAT,
        run_id=run.run_id,
        status=status,
        message=message,
        settings=run,
        parameters=parameters,
        environment=environment,
        **times,
        metrics_sha256=hashlib.sha256(metrics.encode()).hexdigest(),
    )
    write_text(place / METRICS_FILE, metrics)
    content = record.model_dump(exclude_none=True)
    write_text(place / RUN_FILE, record_text(content | {"content_sha256": content_hash(content)}))


def metrics_text(history: Sequence[Metrics]) -> str:
    """Evaluations as CSV. Numbers are written with enough digits to be read back exactly; missing ones are empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(METRICS_HEADER)
    writer.writerows(history)
    return buffer.getvalue()
