"""Tables of analyses: CSV files, each with its checksum in a file beside it.

<folder>/<kind>.csv      or, in the packed form of results, <kind>.csv.gz
<folder>/<kind>.sha256   the SHA-256 of the uncompressed table; `sha256sum --check` understands it

Tables of earlier versions have no checksum. They are read unless they are obviously cut.
"""

import hashlib
import io
from pathlib import Path

import pandas as pd

from resnet_cli.store.files import write_bytes, write_text
from resnet_cli.store.regular import LARGEST_TABLE, MEGABYTE, decompress, read_regular

CHECKSUM_SUFFIX = ".sha256"


class DamagedTable(ValueError):
    """The bytes of a table are not those that were written; its text says what is wrong, as the end of a sentence."""


def checksum_file(path: Path) -> Path:
    """Where the checksum of a table is, compressed or not."""
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".csv") + CHECKSUM_SUFFIX)


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write the table of an analysis as CSV, then its checksum. Raises StorageError if one cannot be written.

    A process killed in between leaves a whole table without a checksum.
    """
    text = frame.to_csv(index=False, lineterminator="\n", float_format="%.7g")  # float32 has no more
    checksum_file(path).unlink(missing_ok=True)
    write_bytes(path, text.encode())
    write_text(checksum_file(path), f"{hashlib.sha256(text.encode()).hexdigest()}  {path.name}\n")


def read_table(path: Path) -> pd.DataFrame:
    """The table of an analysis. Raises as `read_table_text` does, or ValueError if it is no table."""
    return pd.read_csv(io.StringIO(read_table_text(path)))


def read_table_text(path: Path) -> str:
    """The text of the table of an analysis, compressed or not.

    Raises:
        DamagedTable: it is cut, or was changed after it was written.
        OSError: it cannot be read or decompressed, or is too large; `strerror` says why.
    """
    content = read_regular(path, LARGEST_TABLE)
    if path.suffix == ".gz":
        content = decompress(content, LARGEST_TABLE)
    try:
        text = content.decode()
    except ValueError as error:
        raise DamagedTable(f"it is damaged: {error}") from None
    if not text.endswith("\n"):
        raise DamagedTable("it is empty or cut off")
    try:
        expected = read_regular(checksum_file(path), MEGABYTE).split()
    except FileNotFoundError:
        return text
    if not expected or expected[0] != hashlib.sha256(content).hexdigest().encode():
        fix = f"repeat the analysis, or remove {checksum_file(path).name} to use it as it is"
        raise DamagedTable(f"it was changed after it was written, or is another table; {fix}")
    return text
