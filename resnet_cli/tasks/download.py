"""Fetching CIFAR-10 from its home, and telling whether a copy is the real thing."""

import contextlib
import errno
import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import filelock

from resnet_cli.settings.errors import UserError, printable
from resnet_cli.tasks import cifar10

FILES = cifar10.TRAIN_FILES + cifar10.TEST_FILES
CLASS_NAMES = "batches.meta.txt"
RECORD = "fetched.json"  # written beside the files by `fetch`
WORKSPACE_PREFIX = ".fetch-"
LOCK_FILE = "lock"
NOTE_FILE = "NOTE.txt"
NOTE = "A download of `resnet-exp data fetch`. If it was killed, the next one removes this folder.\n"

Verdict = Literal["official archive", "official images", "other images"]


@dataclass(frozen=True)
class Archive:
    """A packed CIFAR-10 and how to recognise it.

    A fingerprint is the sum, modulo 2²⁵⁶, of the SHA-256 digests of all records (class and pixels), in hexadecimal:
    it is the same for the same images in any order and spread over any files.
    """

    url: str
    md5: str
    records_per_file: int
    train_fingerprint: str
    test_fingerprint: str


OFFICIAL = Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",  # 170,052,171 bytes
    md5="c32a1d4ab5d03f1284b67883e8d87530",  # as published on https://www.cs.toronto.edu/~kriz/cifar.html
    records_per_file=cifar10.RECORDS_PER_FILE,
    train_fingerprint="d17523651dcffdf1be45e6671e5077f61b15cbf5376a64e556c870e6fb6066d3",
    test_fingerprint="ab21d127e2bbf4b95f1588dcadf3c8502b8fedb328dd5315bc7fa51b5ab965c0",
)


@dataclass(frozen=True)
class Report:
    """What `check` found out about the files in `folder`."""

    folder: Path
    verdict: Verdict

    def __str__(self) -> str:
        meaning = {
            "official archive": "CIFAR-10, unpacked from the official archive and unchanged since.",
            "official images": "CIFAR-10: exactly the official training and test images, though not as unpacked "
            "from the official archive by `resnet-exp data fetch` (their order may differ).",
            "other images": "well-formed files, usable, but NOT the official CIFAR-10 images: "
            "errors cannot be compared with published ones.",
        }
        return printable(f"{self.folder}: {meaning[self.verdict]}")


def check(data_dir: Path | None = None, archive: Archive = OFFICIAL) -> Report:
    """Read every CIFAR-10 file and say whether the images are the official ones.

    The images alone decide; the record that `fetch` leaves only adds that the files are unchanged since.

    Args:
        data_dir: where to look; see `cifar10.batches_folder`.
        archive: what counts as official.

    Raises:
        UserError: a file is missing or broken.
    """
    folder = cifar10.batches_folder(data_dir)
    train = _fingerprint(folder, cifar10.TRAIN_FILES, archive.records_per_file)
    test = _fingerprint(folder, cifar10.TEST_FILES, archive.records_per_file)
    if (train, test) != (archive.train_fingerprint, archive.test_fingerprint):
        return Report(folder, "other images")
    return Report(folder, "official archive" if _is_as_fetched(folder, archive) else "official images")


def fetch(data_dir: Path | None = None, *, archive: Archive = OFFICIAL, progress: bool = True) -> Report:
    """Download CIFAR-10, verify it, and unpack it into the data folder; if it is there already, do nothing.

    Everything happens in a temporary folder beside the place it goes to, so that a failure leaves nothing behind.
    A folder where a file is missing or broken gets all files anew; a whole set of other images is left alone.

    Args:
        data_dir: where to keep it; see `cifar10.batches_folder`.
        archive: what to download.
        progress: whether to draw a progress bar on stderr.

    Raises:
        UserError: the download failed or is not the archive expected, the folder cannot be written, or it holds
            other images.
    """
    folder = cifar10.batches_folder(data_dir)
    for place in (folder, folder.parent):
        _remove_leftovers(place)
    try:
        present = check(folder, archive)
    except UserError:
        present = None  # missing or broken
    if present is not None:
        if present.verdict == "other images":
            raise UserError(
                f"{folder} holds images that are not the official CIFAR-10, and they are not overwritten; "
                "move them away, or name another folder with --data-dir."
            )
        return present

    try:
        beside = folder if folder.exists() else folder.parent  # on the same file system as its destination
        beside.mkdir(parents=True, exist_ok=True)
        with _workspace(beside) as temporary:
            packed = _download(archive, temporary, progress)
            unpacked = temporary / cifar10.FOLDER
            _unpack(packed, unpacked, archive)
            _put_in_place(unpacked, folder)
    except OSError as error:
        full = "; about 400 MB are needed" if error.errno == errno.ENOSPC else ""
        raise UserError(
            f"CIFAR-10 cannot be stored in {folder} ({error.strerror or error}{full}); "
            "mend that, or name another folder with --data-dir."
        ) from error
    return Report(folder, "official archive")


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
    import pooch  # here, with its HTTP library, because only a download needs them
    import requests

    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(
            pooch.retrieve(
                archive.url,
                known_hash=f"md5:{archive.md5}",
                fname="archive.tar.gz",
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=progress, timeout=60),
            )
        )
    except requests.RequestException as error:
        raise UserError(
            f"{archive.url} cannot be downloaded ({_reason(error)}); check the network and try again, or put the "
            f"files of its folder {cifar10.FOLDER} where --data-dir points."
        ) from error
    except ValueError as error:  # the only one that pooch raises here: the MD5 differs
        raise UserError(
            f"{archive.url} gave a file whose MD5 is not {archive.md5}, so it is broken or not CIFAR-10, "
            "and nothing was unpacked; try again."
        ) from error


def _reason(error: Exception) -> str:
    """What went wrong, on one line and without the layers that HTTP libraries wrap around it."""
    cause = error
    while cause.args and isinstance(cause.args[0], Exception):
        cause = cause.args[0]
    cause = getattr(cause, "reason", cause)
    return " ".join(str(cause.args[0] if cause.args else cause).split()) or type(error).__name__


def _unpack(packed: Path, folder: Path, archive: Archive) -> None:
    """Copy the files we know out of an archive, check them, and record where they came from.

    Names in the archive are compared but never used as paths, and links are passed over; `pooch.Untar` would follow
    them out of the folder on Python 3.11.
    """
    folder.mkdir()
    wanted = {PurePosixPath(cifar10.FOLDER, name): folder / name for name in (*FILES, CLASS_NAMES)}
    with tarfile.open(packed, "r:gz") as content:
        for member in content:
            path = wanted.get(PurePosixPath(member.name))
            source = content.extractfile(member) if path is not None and member.isreg() else None
            if path is not None and source is not None:
                with path.open("wb") as target:
                    shutil.copyfileobj(source, target)
    for name in FILES:
        try:
            cifar10.read_records(folder / name, archive.records_per_file)
        except UserError as error:
            raise UserError(
                f"{archive.url} does not hold a whole {cifar10.FOLDER}/{name}, and nothing was unpacked; "
                "it is not CIFAR-10's binary version."
            ) from error
    (folder / RECORD).write_bytes(_record(folder, archive).encode())


def _put_in_place(unpacked: Path, folder: Path) -> None:
    if not folder.exists():
        unpacked.rename(folder)
        return
    (folder / RECORD).unlink(missing_ok=True)  # it comes back last, when all that it says is true
    for name in (*FILES, CLASS_NAMES, RECORD):
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
        "sha256": {name: _sha256(folder / name) for name in FILES},
    }
    return json.dumps(record, indent=2) + "\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fingerprint(folder: Path, names: tuple[str, ...], records_per_file: int) -> str:
    total = 0
    for name in names:
        for record in cifar10.read_records(folder / name, records_per_file):
            total += int.from_bytes(hashlib.sha256(record).digest(), "big")
    return f"{total % 2**256:064x}"
