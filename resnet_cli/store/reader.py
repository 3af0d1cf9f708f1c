"""Reading results folders into pandas: forgiving about broken runs, which are named and left out."""

import gc
import math
import os
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
from resnet_cli.store.index import FEWEST, RunIndex, stamp_of
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
        kinds = {(run.model, id(run.settings)): run for run in (stored.run for stored in self.runs)}.values()
        names = registry.names_in_order(kinds)  # thousands of runs share their settings
        return varying_settings(names, ((run.model, [run.get(name) for name in names]) for run in kinds))

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
        lasts = [_evaluation(stored, -1, metric) if stored.history else _NOTHING for stored in self.runs]
        values = {
            "run_id": [stored.run.run_id for stored in self.runs],
            "status": [stored.status for stored in self.runs],
            "parameters": [stored.parameters for stored in self.runs],
            **{name: [stored.run.get(name) for stored in self.runs] for name in (*IDENTITY, *varying)},
            **{name: [last[place] for last in lasts] for place, name in enumerate([*METRICS, OTHER_METRIC])},
        }
        columns = list(dict.fromkeys([*SUMMARY_COLUMNS, *wanted, *varying]))
        frame = pd.DataFrame({name: values[name] for name in columns}, dtype=object)
        return _with_whole_numbers(frame, ["step", "parameters", *varying]).infer_objects()

    def curves(self, metric: str | None = None) -> pd.DataFrame:
        """One row per evaluation: who (as in `summary`), then all declared metrics, then `metric` if it is another.

        Raises:
            UserError: there is no such metric.
        """
        varying = self.varying
        wanted = list(dict.fromkeys([*METRICS, *self._columns_of(metric)]))
        names = ["run_id", *IDENTITY, "status", *varying]
        evaluated = [stored for stored in self.runs if stored.history]
        rows = [
            (stored.run.run_id, *map(stored.run.get, IDENTITY), stored.status, *map(stored.run.get, varying))
            for stored in evaluated
        ]
        runs = pd.DataFrame(rows, columns=names)
        frame = runs.loc[runs.index.repeat([len(stored.history) for stored in evaluated])].reset_index(drop=True)
        for place, name in enumerate(METRICS):
            values = [row[place] for stored in evaluated for row in stored.history]
            frame[name] = pd.Series(values, dtype=None if name == "step" else float)
        if OTHER_METRIC in wanted:
            others = [value for stored in evaluated for value in _others(stored, metric)]
            frame[OTHER_METRIC] = pd.Series(others, dtype=float)
        return frame

    def _columns_of(self, metric: str | None) -> list[str]:
        if metric is None:
            return []
        check_metric(metric, self.other_metrics)
        return columns_of(metric)


_NOTHING = (math.nan,) * (len(METRICS) + 1)


def _evaluation(stored: RunRecord, number: int, metric: str | None) -> tuple[Any, ...]:
    """The declared metrics of an evaluation, then `metric` if it is another."""
    return *stored.history[number], _others(stored, metric)[number]


def _others(stored: RunRecord, metric: str | None) -> list[float | None]:
    """The values of a metric that is not declared."""
    return stored.other_metrics.get(metric or "") or [None] * len(stored.history)


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
        has_runs = RUNS_FOLDER in folders and any(map(_is_finished, _run_folders(place)))
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
    runs: list[RunRecord] = []
    problems: list[str] = []
    with _without_collection():
        for found in _records(folder):
            if isinstance(found, BrokenRun):
                problems.append(str(found))
            else:
                runs.append(found)
    return Results(folder, runs, problems)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Do not look for circles of references among hundreds of thousands of values, which have none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _records(folder: Path) -> Iterator[RunRecord | BrokenRun]:
    """What each finished run of a results folder says, from its index where that holds the same."""
    if is_packed(folder):
        for files in read_runs(folder):
            yield files if isinstance(files, BrokenRun) else _parsed(files)
        return
    places = _run_folders(folder)
    index = RunIndex.read(folder) if len(places) >= FEWEST else None
    for place in places:
        stamp = stamp_of(place) if index else None
        found: RunRecord | BrokenRun | None = index.get(os.path.basename(place), stamp) if index else None
        if found is None:
            try:
                found = _parsed(read_run(place))
            except BrokenRun as problem:
                if not _is_finished(place):
                    continue
                found = problem
            if index and stamp and isinstance(found, RunRecord):
                index.add(stamp, found)
        yield found
    if index:
        index.write()


def _parsed(files: RunFiles) -> RunRecord | BrokenRun:
    try:
        return parse_run(files)
    except BrokenRun as problem:
        return problem


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
    for place in _run_folders(folder):
        try:
            yield read_run(place)
        except BrokenRun as problem:
            if _is_finished(place):
                yield problem


def _run_folders(folder: Path) -> list[str]:
    """The folders of the runs, finished or not, in the order of their ids."""
    place = folder / RUNS_FOLDER
    try:
        return [os.path.join(place, name) for name in sorted(os.listdir(place))]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_finished(place: str) -> bool:
    """Whether the run in a folder is finished, or cannot be looked into; reading it will say why."""
    try:
        os.lstat(os.path.join(place, RUN_FILE))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


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


def read_run(place: str | Path) -> RunFiles:
    """The files of the finished run in the folder `place`. Raises BrokenRun if one cannot be read."""
    record, metrics = os.path.join(place, RUN_FILE), os.path.join(place, METRICS_FILE)
    try:
        return RunFiles(
            os.path.basename(place),
            read_regular(record, MOST_OF_RECORD),
            read_regular(metrics, MOST_OF_METRICS),
            record,
            metrics,
        )
    except OSError as error:
        raise BrokenRun(place, f"{Path(error.filename).name} cannot be read ({error.strerror})") from None


def write_summary(results: Results) -> None:
    """Write summary.csv beside the runs; the same runs give the same bytes."""
    with atomic_file(results.folder / SUMMARY_FILE) as file:
        results.summary().to_csv(file, index=False, lineterminator="\n")
