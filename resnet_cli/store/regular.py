"""Reading files that may come from somebody else."""

import errno
import stat
from pathlib import Path

MEGABYTE = 2**20


def read_regular(path: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes; links are followed.

    Raises:
        OSError: it is missing, is a folder, pipe or device, is larger, or fails to be read; `filename` and `strerror`
            say which file and why.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    except (MemoryError, OverflowError):
        raise OSError(errno.EFBIG, "too large for the memory", str(path)) from None
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most / MEGABYTE:.0f} MiB", str(path))
    return content
