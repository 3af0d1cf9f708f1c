"""Reading files that may come from somebody else."""

import contextlib
import errno
import gzip
import io
import os
import stat
import zlib
from pathlib import Path
from typing import BinaryIO

MEGABYTE = 2**20
LARGEST_TABLE = 100 * MEGABYTE
"""Nothing larger is taken for the table of an analysis."""


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file to be read; links are followed. A pipe would keep whoever opens it waiting.

    Raises:
        OSError: it is missing, or is a folder, pipe or device.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return open(path, "rb")


def starts_with(path: Path, start: bytes) -> bool:
    """Whether `path` is a regular file that can be read and starts with these bytes."""
    with contextlib.suppress(OSError), open_regular(path) as file:
        return file.read(len(start)) == start
    return False


def read_regular(path: str | Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes; links are followed.

    Raises:
        OSError: it is missing, is a folder, pipe or device, is larger, or fails to be read; `filename` and `strerror`
            say which file and why.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(min(size, most) + 1)  # a request for `most` would take memory for that
            if len(content) > size:  # it has grown
                content += file.read(max(most + 1 - len(content), 0))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    except (MemoryError, OverflowError):
        raise OSError(errno.EFBIG, "too large for the memory", str(path)) from None
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most / MEGABYTE:.0f} MiB", str(path))
    return content


def decompress(content: bytes, most: int) -> bytes:
    """The content of a gzip file that holds at most `most` bytes. Raises OSError if it is damaged or holds more."""
    try:
        if not content:
            raise EOFError("it is empty")
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            found = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise OSError(errno.EINVAL, str(error)) from None
    if len(found) > most:
        raise OSError(errno.EFBIG, f"holds more than {most / MEGABYTE:.0f} MiB")
    return found


def lies_in(path: Path, folder: Path) -> bool:
    """Whether `path` is a regular file in `folder` or below it; a link that leads elsewhere is not."""
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())
