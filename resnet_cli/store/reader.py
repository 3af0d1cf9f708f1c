"""Reading results folders into pandas: forgiving about broken runs, which are named and left out."""

import csv
import hashlib
import io
import json
import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from resnet_cli.spec.errors import UserError
from resnet_cli.spec.events import Metrics, Status
from resnet_cli.spec.format import FORMAT, check_format
from resnet_cli.spec.run import IDENTITY, Run
from resnet_cli.store.files import atomic_file
from resnet_cli.store.layout import (
    METRICS_FILE,
    RUN_FILE,
    RUNS_FOLDER,
    SUMMARY_FILE,
    SWEEP_FILE,
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
    """A run's files cannot be used; the text names the file and what is wrong with it."""


@dataclass(frozen=True)
class StoredRun:
    """A finished run as it is on disk; `metrics` has the columns of metrics.csv, one row per evaluation."""

    run: Run
    status: Status
    message: str
    parameters: int | None
    seconds: float
    environment: dict[str, Any]
    metrics: pd.DataFrame

    @property
    def last(self) -> Metrics | None:
        """The last evaluation, if there was any."""
        if self.metrics.empty:
            return None
        row = {str(name): value for name, value in self.metrics.iloc[-1].items()}
        for name in ("train_error", "test_error", "gradient_norm"):
            row[name] = None if pd.isna(row[name]) else row[name]
        return Metrics(**row | {"step": int(row["step"])})


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
        for name in Run.model_fields:
            values: dict[str, set[object]] = {}
            for stored in self.runs:
                values.setdefault(stored.run.model, set()).add(getattr(stored.run, name))
            if name not in IDENTITY and any(len(of_model) > 1 for of_model in values.values()):
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
        """One row per evaluation: who (as in `summary`), then the columns of metrics.csv.

        A learning rate that varies between runs is called `base_learning_rate` here, beside the rate at that step.
        """
        varying = self.varying
        names = {"learning_rate": "base_learning_rate"}
        frames = [
            stored.metrics.assign(
                **{names.get(name, name): value for name, value in _identity(stored, varying).items()}
            )
            for stored in self.runs
            if not stored.metrics.empty
        ]
        columns = ["run_id", *IDENTITY, "status", *(names.get(name, name) for name in varying), *Metrics._fields]
        return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def _identity(stored: StoredRun, varying: list[str]) -> dict[str, Any]:
    settings = {name: getattr(stored.run, name) for name in (*IDENTITY, *varying)}
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


def load_results(folder: Path) -> Results:
    """Read all finished runs of a results folder.

    Raises:
        UserError: the folder was written by a newer version of the program.
    """
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


def check_sweep_file(folder: Path) -> None:
    """Raise UserError if the sweep file of `folder` cannot be read or comes from a newer version of the program."""
    path = folder / SWEEP_FILE
    try:
        found = tomllib.loads(path.read_text("utf-8")).get("format", FORMAT)
    except (FileNotFoundError, NotADirectoryError):
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not readable TOML ({error}); delete it, the runs beside it stay usable.") from None
    check_format(path, found)


def load_run(place: Path) -> StoredRun:
    """Read one finished run from its folder.

    Raises:
        BrokenRun: a file is missing, cut, changed by hand or not understood.
        UserError: it was written by a newer version of the program.
    """
    try:
        record = json.loads((place / RUN_FILE).read_text("utf-8"))
        metrics = (place / METRICS_FILE).read_bytes()
    except (OSError, ValueError) as error:
        raise BrokenRun(f"{place} is left out: {error}.") from None
    if not isinstance(record, dict):
        raise BrokenRun(f"{place / RUN_FILE} is left out: it does not hold a run's record.")
    check_format(place / RUN_FILE, record.get("format"))
    if hashlib.sha256(metrics).hexdigest() != record.get("metrics_sha256"):
        raise BrokenRun(f"{place / METRICS_FILE} is left out: it is cut off or was changed after it was written.")
    try:
        return StoredRun(
            run=Run(**record["settings"]),
            status=record["status"],
            message=record["message"],
            parameters=record["parameters"],
            seconds=record["seconds"],
            environment=record["environment"],
            metrics=_parse_metrics(metrics.decode()),
        )
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise BrokenRun(f"{place / RUN_FILE} is left out: {reason}.") from None


def _parse_metrics(text: str) -> pd.DataFrame:
    """metrics.csv as a frame, to the last bit; missing values become NaN."""
    header, *rows = csv.reader(io.StringIO(text))
    if tuple(header) != Metrics._fields:
        raise ValueError(f"{METRICS_FILE} has the columns {', '.join(header)}")
    values = [[float(cell) if cell else math.nan for cell in row] for row in rows]
    return pd.DataFrame(values, columns=list(Metrics._fields), dtype=float).astype({"step": int})


def write_summary(results: Results) -> None:
    """Write summary.csv beside the runs; the same runs give the same bytes."""
    with atomic_file(results.folder / SUMMARY_FILE) as file:
        results.summary().to_csv(file, index=False, lineterminator="\n")
