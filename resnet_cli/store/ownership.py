"""Which files in a results folder are ours: they are recognised by content, and no others are replaced or removed."""

import contextlib
import errno
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from resnet_cli.settings.errors import UserError, shorten
from resnet_cli.settings.run import Run
from resnet_cli.store.files import DAMAGED_SUFFIX, is_temporary, remove_temporary_files
from resnet_cli.store.layout import (
    CHECKPOINT_FILE,
    METRICS_FILE,
    RUN_FILE,
    RUNS_FOLDER,
    STACKS_FOLDER,
    SUMMARY_FILE,
    SWEEP_FILE,
    WEIGHTS_FILE,
)
from resnet_cli.store.reader import MOST_OF_RECORD, check_sweep_file
from resnet_cli.store.record import metrics_text
from resnet_cli.store.regular import read_regular, starts_with
from resnet_cli.store.tensors import MAGIC

KEYS_OF_OURS = {"format", "task", "models", "depths"}
RECORD_KEYS = {"format", "run_id", "settings"}
RUN_ID = re.compile(r".+_d\d{3,}_s\d+_[0-9a-f]{10}")
SUMMARY_START = b"run_id,task,model,depth,seed,status"


def check_folder(folder: Path, task: str) -> None:
    """Make sure that results of `task` may be written into `folder`.

    Raises:
        UserError: the folder holds files but none of ours, has somebody else's file in the place of one of ours, holds
            results of another task or of a newer version of the program, or cannot be read.
    """
    if not (others := _entries(folder)):
        return
    content = check_sweep_file(folder)
    for name, is_ours, reason in (
        (SWEEP_FILE, _is_our_sweep, "was written or commented by hand"),
        (SUMMARY_FILE, lambda path: starts_with(path, SUMMARY_START), "is not a table of resnet-exp"),
    ):
        if (folder / name).exists() and not is_ours(folder / name):
            raise UserError(
                f"{folder / name} {reason}, and results in out (={folder}) would replace it; rename it, "
                "or choose another folder with --out."
            )
    if not content and next(_our_runs(folder), None) is None and not (folder / SUMMARY_FILE).exists():
        raise UserError(
            f"out (={folder}) holds files of something else (such as {others[0]}) and no results of resnet-exp; "
            "choose a new or an empty folder with --out."
        )
    known = content.get("task") or _task_of_runs(folder)
    if known not in (None, task):
        raise UserError(
            f"out (={folder}) holds results of {shorten(known)}, and this sweep is of {task}; "
            "choose another folder with --out."
        )


def forget_runs(folder: Path, runs: Iterable[Run] | None = None) -> None:
    """Remove our runs, finished or not, from a results folder, and nothing else, not even other files beside them.

    If only some `runs` are to go, states of stacks stay: other shards may need them.
    """
    wanted = None if runs is None else {run.run_id for run in runs}
    for place in [place for place in _our_runs(folder) if wanted is None or place.name in wanted]:
        for name in (RUN_FILE, METRICS_FILE, CHECKPOINT_FILE, WEIGHTS_FILE):
            (place / name).unlink(missing_ok=True)
            (place / name).with_suffix(DAMAGED_SUFFIX).unlink(missing_ok=True)
        remove_temporary_files(place, idle_seconds=0)
        _remove_if_empty(place)
    if wanted is None:
        forget_stacks(folder)
    (folder / SUMMARY_FILE).unlink(missing_ok=True)


def forget_stacks(folder: Path, wanted: Callable[[Path], bool] = lambda state: True) -> None:
    """Remove our states of stacks, or those `wanted`, from a results folder. Damaged ones set aside are kept."""
    for state in (folder / STACKS_FOLDER).glob("*.pt"):
        if wanted(state) and starts_with(state, MAGIC):
            state.unlink()
    _remove_if_empty(folder / STACKS_FOLDER)


def _entries(folder: Path) -> list[Path]:
    """The entries of a folder except hidden and unfinished files, sorted; empty if there is no folder."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not is_temporary(path))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UserError(f"out (={shorten(str(folder))}) is too long a path; choose a shorter one.") from None
        raise UserError(f"out (={folder}) cannot be read: {error.strerror}; choose another with --out.") from None


def _our_runs(folder: Path) -> Iterator[Path]:
    """The folders of runs that we wrote, finished or not. A copy under another name is somebody's own."""
    header = metrics_text([]).encode()
    for place in sorted((folder / RUNS_FOLDER).glob("*")):
        if RUN_ID.fullmatch(place.name) and (
            _record(place)
            or starts_with(place / METRICS_FILE, header)
            or starts_with(place / CHECKPOINT_FILE, MAGIC)
            or starts_with(place / WEIGHTS_FILE, MAGIC)
        ):
            yield place


def _task_of_runs(folder: Path) -> str | None:
    """The task of the first run with a readable record."""
    for place in _our_runs(folder):
        settings = _record(place).get("settings")
        if isinstance(settings, dict) and isinstance(settings.get("task"), str):
            return str(settings["task"])
    return None


def _is_our_sweep(path: Path) -> bool:
    """Whether a sweep file has our keys and no comments, which we never write."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        text = path.read_text("utf-8")
        return tomllib.loads(text).keys() >= KEYS_OF_OURS and "#" not in text
    return False


def _record(place: Path) -> dict[str, Any]:
    """The content of a run's record if it is ours, otherwise nothing."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        content = json.loads(read_regular(place / RUN_FILE, MOST_OF_RECORD))
        if isinstance(content, dict) and content.keys() >= RECORD_KEYS and content["run_id"] == place.name:
            return content
    return {}


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
