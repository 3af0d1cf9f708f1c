"""Who may work in a results folder: one sweep, or the shards of one division of a sweep, each of them once.

A sweep keeps the lock of the folder until it ends. A shard holds it only while it takes the lock of its own number, so
that shards start one after another and then work side by side. All are file locks, which end with their process.
"""

import contextlib
import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from resnet_cli.planning.plan import Shard
from resnet_cli.settings.errors import StorageError, UserError

LOCK_FILE = ".lock"
SUMMARY_LOCK_FILE = ".lock-summary"
_OF_SHARD = re.compile(r"\.lock-(\d+)-of-(\d+)")

START_SECONDS = 10.0
"""How long a shard waits for others that are starting, each of which takes milliseconds."""

SUMMARY_SECONDS = 60.0
"""How long a shard waits for others that are writing the summary before it writes its own regardless."""


@contextmanager
def locked(folder: Path, shard: Shard | None, prepare: Callable[[bool], None]) -> Iterator[None]:
    """Keep others out of a results folder, which is made if needed; for a shard, all but its fellows.

    `prepare` is called while nobody else can start, with whether other shards are at work.

    Raises:
        UserError: the folder is in use, or cannot be written.
    """
    with _named_errors(folder):
        own = _enter(folder, shard, prepare)
    try:
        yield
    finally:
        own.release()


def _enter(folder: Path, shard: Shard | None, prepare: Callable[[bool], None]) -> filelock.FileLock:
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as undo:
        own = whole = _acquire(folder / LOCK_FILE, 0 if shard is None else START_SECONDS)
        if whole is None:
            raise _in_use(folder, "another sweep")
        undo.callback(whole.release)
        others = _shards_at_work(folder)
        if shard is None and others:
            raise _in_use(folder, f"shard {others[0]} of a sweep")
        if shard is not None:
            if strangers := [other for other in others if other.total != shard.total]:
                raise _in_use(folder, f"shard {strangers[0]}, which divides its sweep differently")
            own = _acquire(folder / f"{LOCK_FILE}-{shard.number}-of-{shard.total}", 0)
            if own is None:
                raise _in_use(folder, f"another process with shard {shard}")
            undo.callback(own.release)
        prepare(bool(others))
        undo.pop_all()
        if own is not whole:
            whole.release()
    assert own is not None
    return own


@contextmanager
def turn_to_summarise(folder: Path, shard: Shard | None) -> Iterator[None]:
    """Let the shards of a folder read all runs and write the summary one after another; so the last sees all."""
    lock = None
    if shard is not None and folder.is_dir():  # a lock would make it
        with contextlib.suppress(OSError):
            lock = _acquire(folder / SUMMARY_LOCK_FILE, SUMMARY_SECONDS)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _acquire(path: Path, seconds: float) -> filelock.FileLock | None:
    lock = filelock.FileLock(path, timeout=seconds)
    try:
        lock.acquire(poll_interval=0.02)
    except filelock.Timeout:
        return None
    return lock


def _shards_at_work(folder: Path) -> list[Shard]:
    """The shards whose locks are held. The caller holds the folder's; the locks that nobody holds are removed."""
    found = []
    for path in sorted(folder.glob(f"{LOCK_FILE}-*")):
        if name := _OF_SHARD.fullmatch(path.name):
            with contextlib.suppress(OSError):
                lock = _acquire(path, 0)
                if lock is None:
                    found.append(Shard(*map(int, name.groups())))
                    continue
                try:
                    path.unlink(missing_ok=True)
                finally:
                    lock.release()
    return found


def _in_use(folder: Path, by: str) -> UserError:
    return UserError(f"out (={folder}) is in use by {by}; wait for it to end, or choose another folder with --out.")


@contextmanager
def _named_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageError(folder, error) from None
        raise UserError(f"out (={folder}) cannot be written: {error.strerror}; choose another with --out.") from None
