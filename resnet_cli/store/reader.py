"""Reading results folders into pandas: forgiving about broken runs, which are named and left out."""

import csv
import hashlib
import io
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from resnet_cli.spec.errors import UserError
from resnet_cli.spec.events import Metrics, Status
from resnet_cli.spec.format import check_format
from resnet_cli.spec.request import explain
from resnet_cli.spec.run import IDENTITY, Run, setting_names
from resnet_cli.store.files import atomic_file
from resnet_cli.store.layout import (
    METRICS_FILE,
    METRICS_HEADER,
    RUN_FILE,
    RUNS_FOLDER,
    SUMMARY_FILE,
    SWEEP_FILE,
    Record,
)

SUMMARY_COLUMNS = (
    "run_id",
    "task",
    "model",
    "depth",
    "seed",
    "status",
    "epoch",
    "step",
    "train_loss",
    "test_loss",
    "train_error",
    "test_error",
    "parameters",
)


class BrokenRun(Exception):
    """A run's files cannot be used: `path` is the culprit, `reason` says what is wrong with it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is left out: {reason}.")
        self.path, self.reason = path, reason


@dataclass(frozen=True)
class StoredRun:
    """A finished run as it is on disk; `history` holds its evaluations in order."""

    run: Run
    status: Status
    message: str
    parameters: int | None
    seconds: float
    history: list[Metrics]

    @property
    def last(self) -> Metrics | None:
        """The last evaluation, if there was any."""
        return self.history[-1] if self.history else None


@dataclass(frozen=True)
class Results:
    """All runs of one results folder, in the order of their run ids, and a sentence for each that is broken."""

    folder: Path
    runs: list[StoredRun]
    problems: list[str]

    @property
    def varying(self) -> list[str]:
        """The settings, beside task, model, depth and seed, that tell runs of the same model apart."""
        found = []
        for name in setting_names(stored.run for stored in self.runs):
            values: dict[str, set[object]] = {}
            for stored in self.runs:
                values.setdefault(stored.run.model, set()).add(stored.run[name])
            if any(len(of_model) > 1 for of_model in values.values()):
                found.append(name)
        return found

    def summary(self) -> pd.DataFrame:
        """One row per run: `SUMMARY_COLUMNS` from its last evaluation, then the settings that vary."""
        varying = self.varying
        rows = [
            {
                **_identity(stored, varying),
                **(stored.last._asdict() if stored.last else {}),
                "parameters": stored.parameters,
            }
            for stored in self.runs
        ]
        return pd.DataFrame(rows, columns=[*SUMMARY_COLUMNS, *varying])

    def curves(self) -> pd.DataFrame:
        """One row per evaluation: who (as in `summary`), then the fields of `Metrics`."""
        varying = self.varying
        rows: list[tuple[Any, ...]] = []
        for stored in self.runs:
            identity = [stored.run.run_id, *(stored.run[name] for name in IDENTITY), stored.status]
            settings = [stored.run[name] for name in varying]
            rows += [(*identity, *settings, *metrics) for metrics in stored.history]
        columns = ["run_id", *IDENTITY, "status", *varying, *Metrics._fields]
        frame = pd.DataFrame(rows, columns=columns)
        return frame.astype({name: float for name in Metrics._fields if name != "step"})


def _identity(stored: StoredRun, varying: list[str]) -> dict[str, Any]:
    settings = {name: stored.run[name] for name in (*IDENTITY, *varying)}
    return {"run_id": stored.run.run_id, "status": stored.status, **settings}


def find_results(root: Path) -> list[Path]:
    """Every results folder at or below `root`, sorted.

    Raises:
        UserError: `root` does not exist, or holds none.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; give a results folder, such as results/.")
    folders = sorted({path.parent for path in root.rglob(SWEEP_FILE)} | _folders_with_runs(root))
    if not folders:
        raise UserError(f"{root} holds no results (no {SWEEP_FILE} below it); run `resnet-exp sweep` first.")
    return folders


def _folders_with_runs(root: Path) -> set[Path]:
    return {path.parents[2] for path in root.rglob(f"{RUNS_FOLDER}/*/{RUN_FILE}")}


def load_results(folder: str | Path) -> Results:
    """Read all finished runs of a results folder.

    Raises:
        UserError: the folder was written by a newer version of the program.
    """
    folder = Path(folder)
    check_sweep_file(folder)
    runs, problems = [], []
    for place in _run_folders(folder):
        try:
            runs.append(load_run(place))
        except BrokenRun as problem:
            problems.append(str(problem))
    return Results(folder, runs, problems)


def _run_folders(folder: Path) -> Iterator[Path]:
    return iter(sorted(path.parent for path in (folder / RUNS_FOLDER).glob(f"*/{RUN_FILE}")))


def check_sweep_file(folder: Path) -> dict[str, Any]:
    """The content of the sweep file of `folder`, nothing if it has none.

    Raises:
        UserError: the file cannot be read, or comes from a newer version of the program.
    """
    path = folder / SWEEP_FILE
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path} cannot be read ({reason}); remove it, the runs beside it stay usable.") from None
    check_format(path, content.get("format"))
    return content


def load_run(place: Path) -> StoredRun:
    """Read one finished run from its folder.

    Raises:
        BrokenRun: a file is missing, cut, changed by hand or not understood.
        UserError: it was written by a newer version of the program.
    """
    path = place / RUN_FILE
    try:
        content = json.loads(path.read_text("utf-8"))
        metrics = (place / METRICS_FILE).read_bytes()
    except OSError as error:
        raise BrokenRun(place, f"{Path(error.filename).name} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise BrokenRun(path, "it is cut off or was changed after it was written") from None
    if isinstance(content, dict):
        check_format(path, content.get("format"))
    try:
        record = Record.model_validate(content)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "its content"
        raise BrokenRun(path, f"{where} {explain(error)}") from None
    if record.settings.run_id != place.name:
        raise BrokenRun(path, "its settings are those of another run")
    if hashlib.sha256(metrics).hexdigest() != record.metrics_sha256:
        raise BrokenRun(place / METRICS_FILE, "it is cut off or was changed after it was written")
    try:
        history = _parse_metrics(metrics.decode())
    except (ValueError, TypeError, csv.Error) as error:
        raise BrokenRun(place / METRICS_FILE, str(error)) from None
    return StoredRun(record.settings, record.status, record.message, record.parameters, record.seconds, history)


def _parse_metrics(text: str) -> list[Metrics]:
    """The rows of metrics.csv, to the last bit."""
    header, *rows = csv.reader(io.StringIO(text))
    if tuple(header) != METRICS_HEADER:
        raise ValueError("its columns are not those of metrics.csv")
    history = []
    for cells in rows:
        epoch, step, *losses = cells[:5]
        train_error, test_error, gradient_norm = (float(cell) if cell else None for cell in cells[5:])
        rate, train_loss, test_loss = map(float, losses)
        history.append(
            Metrics(float(epoch), int(step), rate, train_loss, test_loss, train_error, test_error, gradient_norm)
        )
    return history


def write_summary(results: Results) -> None:
    """Write summary.csv beside the runs; the same runs give the same bytes."""
    with atomic_file(results.folder / SUMMARY_FILE) as file:
        results.summary().to_csv(file, index=False, lineterminator="\n")
