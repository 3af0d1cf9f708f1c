"""Data sets that are downloaded: what is in their archives, where it is kept, and how its files are read.

A file is a row of records of one length, each one or two bytes for classes and then the bytes of an image. Nothing is
unpickled, so a file can hold nothing but these.
"""

import errno
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.request import expand_home

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Part:
    """The training set or the test set.

    A fingerprint is the sum, modulo 2²⁵⁶, of the SHA-256 digests of all records (classes and image), in hexadecimal: it
    is the same for the same images in any order and spread over any files.
    """

    files: tuple[str, ...]
    records: int  # in each file
    fingerprint: str = ""  # nothing where nobody has computed it


@dataclass(frozen=True)
class Archive:
    """A packed data set: where it is, and how to recognise it."""

    task: str  # as in `resnet-exp data fetch TASK`
    title: str
    url: str
    md5: str
    folder: str  # in the archive, and in the folder of the data sets
    train: Part
    test: Part
    others: tuple[str, ...]  # files that are kept but not needed, such as names of classes
    classes: tuple[int, ...]  # how many there are, for each byte at the start of a record
    image_bytes: int

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that are needed."""
        return self.train.files + self.test.files

    @property
    def record_bytes(self) -> int:
        """The length of a record."""
        return len(self.classes) + self.image_bytes

    def place(self, data_dir: Path | None) -> Path:
        """The folder of the files: the folder of the data sets where they lie in it, else the one inside it."""
        folder = data_folder(data_dir)
        holds_files = any((folder / name).exists() for name in self.files)
        return folder if folder.name == self.folder or holds_files else folder / self.folder

    def read(self, path: Path, records: int) -> "npt.NDArray[np.uint8]":
        """The records of one file, (records, record_bytes): the classes, then the image.

        Raises:
            UserError: the file is missing, cannot be read, has another size, or holds a class that does not exist.
        """
        import numpy as np

        folder = path.parent.parent if path.parent.name == self.folder else path.parent
        fetch = f"run `resnet-exp data fetch {self.task} --data-dir {shlex.quote(str(folder))}`"
        try:
            if path.exists() and not path.is_file():  # a pipe would not come to an end
                raise OSError(errno.EINVAL, "not a regular file")
            size = path.stat().st_size
            content = np.fromfile(path, dtype=np.uint8, count=records * self.record_bytes)
        except FileNotFoundError:
            raise UserError(
                f"{self.title} is not in {path.parent} ({path.name} is missing); {fetch} to download it, "
                "or name another --data-dir."
            ) from None
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"{path} cannot be read ({reason}); mend that, or name another --data-dir.") from None
        if not size == content.size == records * self.record_bytes:
            raise UserError(
                f"{path} has {size:,} bytes where {records:,} records of {self.record_bytes:,} bytes make "
                f"{records * self.record_bytes:,}; {fetch} to get it again."
            )
        content = content.reshape(records, self.record_bytes)
        for column, classes in enumerate(self.classes):
            wrong = np.flatnonzero(content[:, column] >= classes)
            if wrong.size:
                raise UserError(
                    f"{path} holds class {content[wrong[0], column]} in record {wrong[0] + 1:,} where classes are 0 to "
                    f"{classes - 1}; {fetch} to get it again."
                )
        return content


def data_folder(data_dir: Path | None) -> Path:
    """Where data sets are kept: `data_dir`, else $RESNET_EXP_DATA, else the user's cache folder."""
    if data_dir is not None:
        return expand_home("data_dir", data_dir)
    if from_environment := os.environ.get("RESNET_EXP_DATA"):
        return expand_home("RESNET_EXP_DATA", Path(from_environment))
    import platformdirs

    return Path(platformdirs.user_cache_dir("resnet-exp"))
