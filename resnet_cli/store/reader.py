"""Reading results folders into pandas: forgiving about broken runs, which are named and left out."""

import os
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from resnet_cli.settings import registry
from resnet_cli.settings.errors import UserError, printable, shorten
from resnet_cli.settings.format import check_format
from resnet_cli.settings.metrics import METRICS, OTHER_METRIC, check_metric, columns_of
from resnet_cli.settings.setting import IDENTITY
from resnet_cli.settings.varying import varying_settings
from resnet_cli.store.files import TEMPORARY_PREFIX, atomic_file
from resnet_cli.store.layout import (
    METRICS_FILE,
    RUN_FILE,
    RUNS_FOLDER,
    SUMMARY_FILE,
    SWEEP_FILE,
    RunFiles,
)
from resnet_cli.store.packed import is_packed, read_packed
from resnet_cli.store.record import BrokenRun, RunRecord, parse_run
from resnet_cli.store.regular import MEGABYTE, read_regular

SUMMARY_COLUMNS = (
    "run_id",
    *IDENTITY,
    "status",
    *(name for name, metric in METRICS.items() if metric.in_summary),
    "parameters",
)

MOST_OF_SWEEP_FILE = MOST_OF_RECORD = 10 * MEGABYTE
MOST_OF_METRICS = 500 * MEGABYTE
"""Nothing larger is read: no sweep of this program comes near."""


@dataclass(frozen=True)
class Results:
    """All runs of one results folder, in the order of their run ids, and a sentence for each that is broken."""

    folder: Path
    runs: list[RunRecord]
    problems: list[str]

    @property
    def varying(self) -> list[str]:
        """The settings, beside task, model, depth and seed, that tell runs of the same model apart."""
        names = registry.names_in_order(stored.run for stored in self.runs)
        return varying_settings(
            names, ((stored.run.model, [stored.run.get(name) for name in names]) for stored in self.runs)
        )

    def given_values(self) -> dict[str, list[Any]]:
        """The lists in the sweep file: the values of settings in the order in which they were given."""
        return {name: values for name, values in check_sweep_file(self.folder).items() if isinstance(values, list)}

    @property
    def other_metrics(self) -> list[str]:
        """The metrics of its runs that this version does not know, by the names of their columns in metrics.csv."""
        return list(dict.fromkeys(name for stored in self.runs for name in stored.other_metrics))

    def summary(self, metric: str | None = None) -> pd.DataFrame:
        """One row per run: `SUMMARY_COLUMNS` from its last evaluation, `metric`, then the settings that vary.

        A metric that this version does not know has the column `metric_value`.

        Raises:
            UserError: there is no such metric.
        """
        varying, wanted = self.varying, self._columns_of(metric)
        rows = []
        for stored in self.runs:
            last = _evaluations(stored, metric)[-1] if stored.history else ()
            values = dict(zip([*METRICS, OTHER_METRIC], last, strict=False))
            settings = {name: stored.run.get(name) for name in (*IDENTITY, *varying)}
            identity = {"run_id": stored.run.run_id, "status": stored.status, "parameters": stored.parameters}
            rows.append({**identity, **settings, **values})
        columns = list(dict.fromkeys([*SUMMARY_COLUMNS, *wanted, *varying]))
        frame = pd.DataFrame(rows, columns=columns, dtype=object)
        return _with_whole_numbers(frame, ["step", "parameters", *varying]).infer_objects()

    def curves(self, metric: str | None = None) -> pd.DataFrame:
        """One row per evaluation: who (as in `summary`), then all declared metrics, then `metric` if it is another.

        Raises:
            UserError: there is no such metric.
        """
        varying = self.varying
        metrics = list(dict.fromkeys([*METRICS, *self._columns_of(metric)]))
        rows: list[tuple[Any, ...]] = []
        for stored in self.runs:
            identity = [stored.run.run_id, *(stored.run.get(name) for name in IDENTITY), stored.status]
            settings = [stored.run.get(name) for name in varying]
            rows += [(*identity, *settings, *values[: len(metrics)]) for values in _evaluations(stored, metric)]
        frame = pd.DataFrame(rows, columns=["run_id", *IDENTITY, "status", *varying, *metrics])
        return frame.astype({name: float for name in metrics if name != "step"})

    def _columns_of(self, metric: str | None) -> list[str]:
        if metric is None:
            return []
        check_metric(metric, self.other_metrics)
        return columns_of(metric)


def _evaluations(stored: RunRecord, metric: str | None) -> list[tuple[Any, ...]]:
    """The declared metrics of each evaluation, then `metric` if it is another."""
    others = stored.other_metrics.get(metric or "", [None] * len(stored.history))
    return [(*row, other) for row, other in zip(stored.history, others, strict=True)]


def _with_whole_numbers(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """`frame` with nullable whole numbers where all values of these columns are whole: 5 stays 5 beside a gap."""
    kinds = {name: {type(value) for value in frame[name] if not pd.isna(value)} for name in names}
    return frame.astype({name: "Int64" for name, kind in kinds.items() if kind == {int}})


def find_results(*roots: str | Path) -> list[Path]:
    """Every results folder at or below `roots`, packed ones and those behind links too, each once and sorted.

    Raises:
        UserError: one of `roots` does not exist, or holds none.
    """
    found: dict[str, Path] = {}
    for root in map(Path, roots):
        if not root.is_dir():
            raise UserError(f"{printable(root)} is not a folder; give a results folder, such as results/.")
        below = {os.path.realpath(place): place for place in _results_below(root)}
        if not below:
            raise UserError(
                f"{printable(root)} holds no results (no {SWEEP_FILE} below it); run `resnet-exp sweep` first."
            )
        found = below | found
    return sorted(found.values())


def _results_below(root: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for name, folders, files in os.walk(root, followlinks=True):
        place = Path(name)
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        has_runs = RUNS_FOLDER in folders and next(_run_folders(place), None) is not None
        if has_runs or SWEEP_FILE in files or is_packed(place):
            yield place
            folders[:] = [folder for folder in folders if folder != RUNS_FOLDER]
        folders[:] = sorted(folder for folder in folders if not folder.startswith(TEMPORARY_PREFIX))


def load_results(folder: str | Path) -> Results:
    """Read all finished runs of a results folder, packed or not.

    Raises:
        UserError: there is no such folder, a newer version of the program wrote it, or its packed files cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give a results folder, such as results/sine.")
    check_sweep_file(folder)
    runs, problems = [], []
    for files in read_runs(folder):
        try:
            if isinstance(files, BrokenRun):
                raise files
            runs.append(parse_run(files))
        except BrokenRun as problem:
            problems.append(str(problem))
    return Results(folder, runs, problems)


def read_runs(folder: Path) -> Iterator[RunFiles | BrokenRun]:
    """The files of all finished runs of a results folder, packed or not, in the order of their run ids.

    Raises:
        UserError: the packed files cannot be read.
    """
    if is_packed(folder):
        files, problems = read_packed(folder)
        yield from (BrokenRun(place, reason) for place, reason in problems)
        yield from files
        return
    for place in sorted(_run_folders(folder)):
        try:
            yield read_run(place)
        except BrokenRun as problem:
            yield problem


def _run_folders(folder: Path) -> Iterator[Path]:
    """The folders of the finished runs, in no order."""
    try:
        places = list((folder / RUNS_FOLDER).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for place in places:
        try:
            (place / RUN_FILE).lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:  # it cannot be looked into; reading it will say why
            pass
        yield place


def check_sweep_file(folder: Path) -> dict[str, Any]:
    """The content of the sweep file of `folder`, nothing if it has none.

    Raises:
        UserError: the file cannot be read, or comes from a newer version of the program.
    """
    path = folder / SWEEP_FILE
    try:
        content = tomllib.loads(read_regular(path, MOST_OF_SWEEP_FILE).decode())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else shorten(error, 200)
        raise UserError(
            f"{printable(path)} cannot be read ({reason}); remove it, the runs beside it stay usable."
        ) from None
    check_format(path, content.get("format"))
    return content


def load_run(place: Path) -> RunRecord:
    """Read one finished run from its folder.

    Raises:
        BrokenRun: a file is missing, cut, changed by hand or not understood.
        UserError: it was written by a newer version of the program.
    """
    return parse_run(read_run(place))


def read_run(place: Path) -> RunFiles:
    """The files of the finished run in the folder `place`. Raises BrokenRun if one cannot be read."""
    record, metrics = place / RUN_FILE, place / METRICS_FILE
    try:
        return RunFiles(
            place.name,
            read_regular(record, MOST_OF_RECORD),
            read_regular(metrics, MOST_OF_METRICS),
            str(record),
            str(metrics),
        )
    except OSError as error:
        raise BrokenRun(place, f"{Path(error.filename).name} cannot be read ({error.strerror})") from None


def write_summary(results: Results) -> None:
    """Write summary.csv beside the runs; the same runs give the same bytes."""
    with atomic_file(results.folder / SUMMARY_FILE) as file:
        results.summary().to_csv(file, index=False, lineterminator="\n")
