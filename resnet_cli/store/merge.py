"""Results folders joined into one: every run once, with its saved net, and the checkpoints of unfinished runs."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from resnet_cli.settings.errors import UserError, either, printable, shorten
from resnet_cli.settings.events import Status
from resnet_cli.settings.format import FORMAT, PACKED_RUNS_FILE
from resnet_cli.settings.run import Run
from resnet_cli.store.files import atomic_file, whole_folder, write_bytes, write_text
from resnet_cli.store.layout import (
    ANALYSIS_FOLDER,
    CHECKPOINT_FILE,
    FIGURES_FOLDER,
    METRICS_FILE,
    RUN_FILE,
    RUNS_FOLDER,
    STACKS_FOLDER,
    SUMMARY_FILE,
    SWEEP_FILE,
    WEIGHTS_FILE,
    RunFiles,
    run_folder,
)
from resnet_cli.store.ownership import RUN_ID
from resnet_cli.store.packed import PACKED_METRICS_FILE, is_packed
from resnet_cli.store.reader import load_results, read_runs, write_summary
from resnet_cli.store.record import BrokenRun, parse_run
from resnet_cli.store.regular import open_regular, starts_with
from resnet_cli.store.tensors import MAGIC
from resnet_cli.store.weights import UnusableWeights, has_weights, read_weights

OURS = {SWEEP_FILE, SUMMARY_FILE, RUNS_FOLDER, STACKS_FOLDER, FIGURES_FOLDER, ANALYSIS_FOLDER}
OURS_PACKED = {PACKED_RUNS_FILE, PACKED_METRICS_FILE}
LISTED_CONFLICTS = 3


@dataclass(frozen=True)
class Copy:
    """A finished run in one of the folders."""

    folder: Path
    run: Run
    status: Status
    metrics: str  # SHA-256 of metrics.csv
    finished: str  # ISO 8601, UTC
    has_weights: bool


@dataclass(frozen=True)
class Merged:
    """What came of a merge: the runs, how many of them were in several folders, and sentences about what is missing."""

    runs: list[Run]
    repeated: int
    problems: list[str]  # runs that cannot be read
    notes: list[str]  # what was left out on purpose


def merge_folders(folders: Sequence[Path], target: Path, sweep: Mapping[str, Any] | None) -> Merged:
    """Write the runs of results folders, packed or not, into `target` as one sweep would have; all of them or none.

    A run that is in several folders must have the same settings, status and metrics there; one that failed gives way to
    one that did not. `sweep` is the content of the sweep file, if there is to be one.

    Raises:
        UserError: the folders have different tasks or hold different results of the same run, there are no runs, one is
            of a newer version of the program, or `target` is not a new or empty folder.
    """
    found, problems = _find_runs(folders)
    if not found:
        raise UserError(f"{_listed(folders)} hold no finished run that could be merged.")
    _check_tasks(found)
    chosen = _choose(found)
    notes = _notes(folders)
    with whole_folder(target) as place:
        for folder in folders:
            for files in read_runs(folder):
                if isinstance(files, RunFiles) and files.run_id in chosen and chosen[files.run_id].folder == folder:
                    write_bytes(place / RUNS_FOLDER / files.run_id / METRICS_FILE, files.metrics)
                    write_bytes(place / RUNS_FOLDER / files.run_id / RUN_FILE, files.record)
        for copy in chosen.values():
            if copy.has_weights:
                problems += _copy_weights(copy, place)
        for run_id, checkpoint in _checkpoints(folders).items():
            if run_id not in chosen or chosen[run_id].status == "failed":
                _copy_file(checkpoint, place / RUNS_FOLDER / run_id / CHECKPOINT_FILE)
        if sweep is not None:
            write_text(place / SWEEP_FILE, tomli_w.dumps({"format": FORMAT, **sweep}))
        write_summary(load_results(place))
    repeated = sum(len(copies) > 1 for copies in found.values())
    return Merged([copy.run for copy in chosen.values()], repeated, problems, notes)


def _find_runs(folders: Sequence[Path]) -> tuple[dict[str, list[Copy]], list[str]]:
    """The copies of each run, by id, and a sentence for each that cannot be read."""
    found: dict[str, list[Copy]] = {}
    problems = []
    for folder in folders:
        packed = is_packed(folder)
        for files in read_runs(folder):
            try:
                if isinstance(files, BrokenRun):
                    raise files
                record = parse_run(files)
            except BrokenRun as problem:
                problems.append(str(problem))
                continue
            digest = hashlib.sha256(files.metrics).hexdigest()
            saved = not packed and has_weights(folder, record.run)
            copy = Copy(folder, record.run, record.status, digest, record.finished, saved)
            found.setdefault(files.run_id, []).append(copy)
    return found, problems


def _check_tasks(found: Mapping[str, Sequence[Copy]]) -> None:
    tasks = {copy.run.task: copy.folder for copies in found.values() for copy in copies}
    if len(tasks) > 1:
        places = either((f"{printable(folder)} of {task}" for task, folder in sorted(tasks.items())), "and")
        raise UserError(f"A results folder has one task, but these hold results of several: {places}.")


def _choose(found: Mapping[str, Sequence[Copy]]) -> dict[str, Copy]:
    """The copy of each run that is kept; the first one with a saved net, if there is one."""
    chosen, conflicts = {}, []
    for run_id, copies in sorted(found.items()):
        ended = [copy for copy in copies if copy.status != "failed"]
        if not ended:
            chosen[run_id] = max(copies, key=lambda copy: copy.finished)
            continue
        for other in ended[1:]:
            for what, differ in (
                ("settings", other.run != ended[0].run),
                ("status", other.status != ended[0].status),
                ("metrics", other.metrics != ended[0].metrics),
            ):
                if differ:
                    conflicts.append(f"{run_id} (its {what} in {ended[0].folder} and {other.folder})")
                    break
        chosen[run_id] = max(ended, key=lambda copy: copy.has_weights)
    if conflicts:
        more = f" and {len(conflicts) - LISTED_CONFLICTS:,} more" if len(conflicts) > LISTED_CONFLICTS else ""
        raise UserError(
            f"The folders disagree about {'; '.join(conflicts[:LISTED_CONFLICTS])}{more}; nothing was written. Leave "
            "one of them out, or `resnet-exp pack` the part of it to be merged."
        )
    return chosen


def _copy_weights(copy: Copy, place: Path) -> list[str]:
    """Copy a saved net that can be used; otherwise say why not."""
    try:
        read_weights(copy.folder, copy.run)
    except UnusableWeights as problem:
        return [str(problem)]
    _copy_file(run_folder(copy.folder, copy.run) / WEIGHTS_FILE, run_folder(place, copy.run) / WEIGHTS_FILE)
    return []


def _checkpoints(folders: Sequence[Path]) -> dict[str, Path]:
    """Our checkpoints by run id, the latest of each run."""
    found = [
        path
        for folder in folders
        for path in (folder / RUNS_FOLDER).glob(f"*/{CHECKPOINT_FILE}")
        if RUN_ID.fullmatch(path.parent.name) and starts_with(path, MAGIC)
    ]
    return {path.parent.name: path for path in sorted(found, key=lambda path: (path.stat().st_mtime, str(path)))}


def _copy_file(source: Path, target: Path) -> None:
    with open_regular(source) as file, atomic_file(target) as copy:
        shutil.copyfileobj(file, copy)


def _notes(folders: Sequence[Path]) -> list[str]:
    """What the folders hold beside runs, which stays where it is."""
    notes = []
    others = [path for folder in folders for path in _others(folder)]
    if others:
        count = f"{len(others):,} files or folders that are" if len(others) > 1 else "A file or folder that is"
        notes.append(f"{count} no results stayed behind: {_listed(others)}.")
    if any((folder / name).exists() for folder in folders for name in (FIGURES_FOLDER, ANALYSIS_FOLDER)):
        notes.append("Figures and analyses are not merged: `resnet-exp plot` and `analyze` make them anew.")
    if any(any((folder / STACKS_FOLDER).glob("*.pt")) for folder in folders):
        notes.append("Stacks that are not finished start anew, since what is left is stacked differently.")
    return notes


def _others(folder: Path) -> list[Path]:
    """The entries that we did not write, but for hidden ones."""
    ours = OURS | (OURS_PACKED if is_packed(folder) else set())
    found = [path for path in folder.iterdir() if path.name not in ours]
    if (folder / RUNS_FOLDER).is_dir():
        found += [path for path in (folder / RUNS_FOLDER).iterdir() if not RUN_ID.fullmatch(path.name)]
    return sorted(path for path in found if not path.name.startswith("."))


def _listed(paths: Sequence[Path]) -> str:
    names = [shorten(path, 100) for path in paths[:3]] + (["…"] if len(paths) > 3 else [])
    return ", ".join(names)
