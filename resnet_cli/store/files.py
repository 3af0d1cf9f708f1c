"""Files that appear whole or not at all."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from resnet_cli.settings.errors import StorageError, UserError

TEMPORARY_PREFIX, TEMPORARY_SUFFIX = ".resnet-exp-", ".tmp"
_TEMPORARY = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}[a-z0-9_]{{8}}{re.escape(TEMPORARY_SUFFIX)}")
IDLE_SECONDS = 60.0
"""A temporary file that has not changed for so long is a leftover: what is written is in memory already."""

DAMAGED_SUFFIX = ".damaged"


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Write `path` through a temporary file in its folder: after the block it is complete, or else unchanged.

    The folder is created if needed. A process killed inside the block leaves a temporary file, which
    `remove_temporary_files` recognises by its name.

    Raises:
        StorageError: the file cannot be written, for example because the disk is full.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, suffix=TEMPORARY_SUFFIX, dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StorageError(path, error) from None
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all. Raises StorageError if that is impossible."""
    with atomic_file(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all. Raises StorageError if that is impossible."""
    write_bytes(path, text.encode())


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A place for files that are in `target`, a new or empty folder, after the block; if it fails, none of them is.

    Raises:
        UserError: `target` is something else.
    """
    name = f"{TEMPORARY_PREFIX}{target.resolve().name}{TEMPORARY_SUFFIX}"
    place = target / name if target.is_dir() else target.resolve().with_name(name)
    shutil.rmtree(place, ignore_errors=True)  # left by a killed process
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"out (={target}) is not empty; choose a new or an empty folder.")
    target = target.resolve()
    try:
        yield place
        if target.exists():  # stays the same folder: it may be somebody's working directory
            for path in sorted(place.iterdir(), reverse=True):
                path.replace(target / path.name)
        else:
            place.replace(target)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def is_temporary(path: Path) -> bool:
    """Whether `path` has the name of a file that `atomic_file` has not finished."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_temporary_files(folder: Path, *, idle_seconds: float = IDLE_SECONDS) -> None:
    """Remove the files that killed processes left in `folder`, not below it.

    Those changed more recently than `idle_seconds` are kept; 0 only if nobody else writes to the folder.
    """
    for leftover in folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
        if not is_temporary(leftover) or not leftover.is_file():
            continue
        if not idle_seconds or time.time() - leftover.stat().st_mtime >= idle_seconds:  # a clock may be set back
            leftover.unlink(missing_ok=True)


def damaged_path(path: Path) -> Path:
    """The name that `set_aside` gives to a file."""
    return path.with_suffix(DAMAGED_SUFFIX)


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used to one in `.damaged`, so that another can take its place.

    An earlier such file is replaced. Raises StorageError if it cannot be renamed.
    """
    damaged = damaged_path(path)
    try:
        path.replace(damaged)
    except OSError as error:
        raise StorageError(damaged, error) from None
    return damaged


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
