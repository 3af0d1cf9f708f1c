"""Fetching data sets from their homes, and telling whether a copy is the real thing."""

import contextlib
import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import filelock

from resnet_cli.settings.errors import UserError, printable, shorten
from resnet_cli.tasks.archive import Archive, Part
from resnet_cli.tasks.transfer import TransferError, transfer
from resnet_cli.tasks.unpack import NotUnpacked, most_bytes, unpack

RECORD = "fetched.json"  # written beside the files by `fetch`
WORKSPACE_PREFIX = ".fetch-"
LOCK_FILE = "lock"
NOTE_FILE = "NOTE.txt"
NOTE = "A download of `resnet-exp data fetch`. If it was killed, the next one removes this folder.\n"

Verdict = Literal["official archive", "official images", "other images", "unknown images"]
_MEANINGS: dict[Verdict, str] = {
    "official archive": "{}, unpacked from the official archive and unchanged since.",
    "official images": "{}: exactly the official training and test images, though not as unpacked from the official "
    "archive by `resnet-exp data fetch` (their order may differ).",
    "other images": "well-formed files, usable, but NOT the official {} images: errors cannot be compared with "
    "published ones.",
    "unknown images": "well-formed files of {}, usable, but not as unpacked by `resnet-exp data fetch`; whether they "
    "are the official images cannot be told.",
}


@dataclass(frozen=True)
class Report:
    """What `check` found out about the files of an archive in `folder`."""

    archive: Archive
    folder: Path
    verdict: Verdict

    def __str__(self) -> str:
        return printable(f"{self.folder}: {_MEANINGS[self.verdict].format(self.archive.title)}")


def check(archive: Archive, data_dir: Path | None = None) -> Report:
    """Read every file of a data set and say whether the images are the official ones.

    Where their fingerprints are known, the images alone decide, and the record that `fetch` leaves only adds that the
    files are unchanged since. Otherwise that record is all there is to go by.

    Raises:
        UserError: a file is missing or broken.
    """
    folder = archive.place(data_dir)
    is_known = bool(archive.train.fingerprint and archive.test.fingerprint)
    for part in (archive.train, archive.test):
        fingerprint = _fingerprint(archive, folder, part)  # also where it is not known: every file is read
        if is_known and fingerprint != part.fingerprint:
            return Report(archive, folder, "other images")
    if _is_as_fetched(folder, archive):
        return Report(archive, folder, "official archive")
    return Report(archive, folder, "official images" if is_known else "unknown images")


def fetch(archive: Archive, data_dir: Path | None = None, *, progress: bool = True) -> Report:
    """Download a data set, verify it, and unpack it into `archive.place(data_dir)`; if it is there, do nothing.

    Everything happens in a temporary folder beside the place it goes to, so that a failure leaves nothing behind.
    A folder where a file is missing or broken gets all files anew; a whole set of other images is left alone.

    Raises:
        UserError: the download failed or is not the archive expected, the folder cannot be written, or it holds
            other images.
    """
    folder = archive.place(data_dir)
    for place in (folder, folder.parent):
        _remove_leftovers(place)
    try:
        present = check(archive, folder)
    except UserError:
        present = None  # missing or broken
    if present is not None:
        if present.verdict == "other images":
            raise UserError(
                f"{folder} holds images that are not the official {archive.title}, and they are not overwritten; "
                "move them away, or name another folder with --data-dir."
            )
        return present

    try:
        beside = folder if folder.exists() else folder.parent  # on the same file system as its destination
        beside.mkdir(parents=True, exist_ok=True)
        with _workspace(beside) as temporary:
            packed = _download(archive, temporary, progress)
            unpacked = temporary / archive.folder
            _unpack(packed, unpacked, archive)
            _put_in_place(unpacked, folder, archive)
    except OSError as error:
        full = "; about 400 MB are needed" if error.errno == errno.ENOSPC else ""
        raise UserError(
            f"{archive.title} cannot be stored in {folder} ({error.strerror or error}{full}); "
            "mend that, or name another folder with --data-dir."
        ) from error
    return Report(archive, folder, "official archive")


def _remove_leftovers(folder: Path) -> None:
    """Remove the workspaces that killed processes left in `folder`: those with our note whose lock nobody holds."""
    for note in folder.glob(f"{WORKSPACE_PREFIX}*/{NOTE_FILE}"):
        try:
            if note.read_text("utf-8") != NOTE:
                continue
            with filelock.FileLock(note.with_name(LOCK_FILE), timeout=0):
                pass
        except (OSError, ValueError, filelock.Timeout):
            continue
        shutil.rmtree(note.parent, ignore_errors=True)


@contextmanager
def _workspace(beside: Path) -> Iterator[Path]:
    """A temporary folder inside `beside`, locked while it is in use."""
    with tempfile.TemporaryDirectory(prefix=WORKSPACE_PREFIX, dir=beside) as name:
        folder = Path(name)
        with filelock.FileLock(folder / LOCK_FILE, timeout=0):
            (folder / NOTE_FILE).write_text(NOTE, "utf-8")
            yield folder


def _download(archive: Archive, folder: Path, progress: bool) -> Path:
    packed = folder / "archive.tar.gz"
    try:
        transfer(archive.url, packed, most_bytes=most_bytes(archive), progress=progress)
    except TransferError as error:
        raise UserError(
            f"{archive.url} cannot be downloaded ({error}); check the network and try again, or put the "
            f"files of its folder {archive.folder} where --data-dir points."
        ) from error
    with packed.open("rb") as file:
        found = hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
    if found != archive.md5:
        raise UserError(
            f"{archive.url} gave a file whose MD5 is not {archive.md5}, so it is broken or not {archive.title}, "
            "and nothing was unpacked; try again."
        )
    return packed


def _unpack(packed: Path, folder: Path, archive: Archive) -> None:
    """Take the files of a data set out of an archive, check them, and record where they came from."""
    folder.mkdir()
    try:
        unpack(packed, folder, archive)
    except NotUnpacked as error:
        raise UserError(
            f"{archive.url} is an archive that cannot be unpacked ({shorten(error, 200)}), and nothing was stored; "
            f"it is not {archive.title}'s binary version."
        ) from error
    for part in (archive.train, archive.test):
        for name in part.files:
            try:
                archive.read(folder / name, part.records)
            except UserError as error:
                raise UserError(
                    f"{archive.url} does not hold a whole {archive.folder}/{name}, and nothing was unpacked; "
                    f"it is not {archive.title}'s binary version."
                ) from error
    (folder / RECORD).write_bytes(_record(folder, archive).encode())


def _put_in_place(unpacked: Path, folder: Path, archive: Archive) -> None:
    if not folder.exists():
        unpacked.rename(folder)
        return
    (folder / RECORD).unlink(missing_ok=True)  # it comes back last, when all that it says is true
    for name in (*archive.files, *archive.others, RECORD):
        if (unpacked / name).exists():
            (unpacked / name).replace(folder / name)


def _is_as_fetched(folder: Path, archive: Archive) -> bool:
    """Whether the folder holds the record of a fetch of `archive`, and its files are the same bytes still."""
    expected, path = _record(folder, archive).encode(), folder / RECORD
    with contextlib.suppress(OSError):
        return path.stat().st_size == len(expected) and path.read_bytes() == expected
    return False


def _record(folder: Path, archive: Archive) -> str:
    """What `fetch` says about the files that it unpacked from `archive` into a folder."""
    record = {
        "format": 1,
        "source": archive.url,
        "archive_md5": archive.md5,
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in archive.files},
    }
    return json.dumps(record, indent=2) + "\n"


def _fingerprint(archive: Archive, folder: Path, part: Part) -> str:
    total = 0
    for name in part.files:
        for record in archive.read(folder / name, part.records):
            total += int.from_bytes(hashlib.sha256(record).digest(), "big")
    return f"{total % 2**256:064x}"
