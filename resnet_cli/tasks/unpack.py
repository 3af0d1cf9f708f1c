"""Taking the files of a data set out of an archive that may be damaged, or made to do harm.

Names in the archive are compared with those that are expected and never used as paths; links, devices and files of
another size are passed over; and no more is decompressed than the data set can hold.
"""

import gzip
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, cast

from resnet_cli.tasks.archive import Archive

MEGABYTE = 2**20
MOST_OF_ANOTHER = MEGABYTE
"""The largest file that is kept though it is not needed, such as the names of the classes."""
MOST_MEMBERS = 1000


class NotUnpacked(Exception):
    """An archive is damaged or unreasonable; the message says why."""


def most_bytes(archive: Archive) -> int:
    """More than the archive of a data set holds, packed or not: twice its images, and some megabytes."""
    images = sum(len(part.files) * part.records * archive.record_bytes for part in (archive.train, archive.test))
    return 2 * images + 16 * MEGABYTE


def unpack(packed: Path, folder: Path, archive: Archive) -> None:
    """Write the files that we know out of an archive into an empty folder; whether all are there is not checked.

    Raises:
        NotUnpacked: the archive is damaged, or holds more than a data set.
        OSError: a file cannot be written.
    """
    sizes = dict.fromkeys(archive.others, range(MOST_OF_ANOTHER + 1))
    for part in (archive.train, archive.test):
        exactly = part.records * archive.record_bytes
        sizes |= dict.fromkeys(part.files, range(exactly, exactly + 1))
    wanted = {PurePosixPath(archive.folder, name): name for name in sizes}
    try:
        with gzip.open(packed) as content:
            bounded = cast(IO[bytes], _Bounded(content, most_bytes(archive)))
            with tarfile.open(fileobj=bounded, mode="r|") as members:  # a stream: nothing makes it go back
                for number, member in enumerate(members):
                    if number == MOST_MEMBERS:
                        raise NotUnpacked(f"it holds more than {MOST_MEMBERS:,} files")
                    name = wanted.get(PurePosixPath(member.name))
                    if name is None or not member.isreg() or member.issparse() or member.size not in sizes[name]:
                        continue
                    source = members.extractfile(member)
                    assert source is not None
                    with (folder / name).open("wb") as target:
                        shutil.copyfileobj(source, target)
    except gzip.BadGzipFile as error:
        raise NotUnpacked(str(error)) from None
    except (OSError, NotUnpacked):
        raise
    except Exception as error:  # there is no list of what tarfile and zlib raise
        raise NotUnpacked(str(error) or type(error).__name__) from None


class _Bounded:
    """A file of which no more than `most` bytes are read."""

    def __init__(self, file: gzip.GzipFile, most: int) -> None:
        self._file, self._left, self._most = file, most, most

    def read(self, size: int) -> bytes:
        content = self._file.read(min(size, self._left + 1))
        self._left -= len(content)
        if self._left < 0:
            raise NotUnpacked(f"it holds more than {self._most:,} bytes")
        return content
