"""From a results folder to its packed form (see `store.packed`) and back."""

from collections.abc import Collection, Iterable
from pathlib import Path

from resnet_cli.settings.errors import UserError, printable
from resnet_cli.settings.format import PACKED_RUNS_FILE
from resnet_cli.store.files import whole_folder, write_bytes
from resnet_cli.store.layout import (
    ANALYSIS_FOLDER,
    FIGURES_FOLDER,
    METRICS_FILE,
    RUN_FILE,
    RUNS_FOLDER,
    SWEEP_FILE,
    RunFiles,
)
from resnet_cli.store.packed import PACKED_METRICS_FILE, compress, is_ours, is_packed, pack_runs
from resnet_cli.store.reader import Results, load_results, read_runs, write_summary
from resnet_cli.store.regular import LARGEST_TABLE, decompress, lies_in
from resnet_cli.store.tables import CHECKSUM_SUFFIX

DERIVED = (FIGURES_FOLDER, ANALYSIS_FOLDER)
CHECKSUM_FILES = CHECKSUM_SUFFIX.removeprefix(".")

MOST_OF_TABLE = 500_000
"""Bytes above which the table of an analysis is compressed."""


def pack_folder(results: Results, target: str | Path, *, figures: Collection[str] = ()) -> list[Path]:
    """Write the runs of `results`, the folder's sweep file, the CSVs of its analyses and some figures into `target`.

    The folder may be packed itself. `target` is a new or empty folder, or one of packed results, which are replaced;
    `figures` are names of PNG files in figures/ and analysis/, without `.png`. Returns the files as written.

    Raises:
        UserError: there are no runs, a figure does not exist, or `target` holds something else.
    """
    folder, target = results.folder, Path(target)
    if not results.runs:
        raise UserError(f"{printable(folder)} holds no finished run that could be packed.")
    _check_target(folder, target)
    pictures = {path.stem: path for path in _derived_files(folder, DERIVED, "png")}
    for name in figures:
        if name not in pictures:
            raise UserError(
                f"figures (={name}): {printable(folder)} has no such PNG file; "
                f"it has {', '.join(sorted(pictures)) or 'none'}."
            )
    wanted = {stored.run.run_id for stored in results.runs}
    files = [files for files in read_runs(folder) if isinstance(files, RunFiles) and files.run_id in wanted]
    try:
        runs, metrics = pack_runs(files)
    except ValueError as error:
        raise UserError(f"{printable(error)}; it cannot be packed.") from None
    copies = [folder / SWEEP_FILE, *_derived_files(folder, [ANALYSIS_FOLDER], "csv"), *(pictures[n] for n in figures)]
    written = [_packed_file(path.relative_to(folder), path.read_bytes()) for path in copies if path.is_file()]
    written += [(path.relative_to(folder), path.read_bytes()) for path in _derived_files(folder, DERIVED, "csv.gz")]
    written += [(Path(PACKED_METRICS_FILE), metrics), (Path(PACKED_RUNS_FILE), runs)]
    for path in _derived_files(target, [ANALYSIS_FOLDER], CHECKSUM_FILES):
        path.unlink()  # of tables that are replaced now
    checksums = _derived_files(folder, [ANALYSIS_FOLDER], CHECKSUM_FILES)
    written += [(path.relative_to(folder), path.read_bytes()) for path in checksums]
    for path, content in written:
        write_bytes(target / path, content)
        _other_form(target / path).unlink(missing_ok=True)
    return [target / path for path, _ in written]


def _check_target(folder: Path, target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise UserError(f"out (={target}) is a file; choose a folder.")
    if target.exists() and folder.samefile(target):
        raise UserError(f"out (={target}) is the folder to be packed; choose another.")
    if _is_in_use(target) and not (is_packed(target) and is_ours(target)):
        raise UserError(f"out (={target}) holds files, but no packed results; choose a new or an empty folder.")


def unpack_folder(results: Results, target: str | Path) -> None:
    """Write the runs of `results`, of a packed folder, into `target` as a sweep would; all of them or none.

    Figures and the CSVs of analyses are copied, and summary.csv is written anew.

    Raises:
        UserError: the folder is not packed, or `target` is not a new or empty folder.
    """
    folder, target = results.folder, Path(target)
    if not is_packed(folder):
        raise UserError(f"{printable(folder)} holds no packed results ({PACKED_RUNS_FILE}, {PACKED_METRICS_FILE}).")
    wanted = {stored.run.run_id for stored in results.runs}
    with whole_folder(target) as place:
        for files in read_runs(folder):
            if isinstance(files, RunFiles) and files.run_id in wanted:
                write_bytes(place / RUNS_FOLDER / files.run_id / METRICS_FILE, files.metrics)
                write_bytes(place / RUNS_FOLDER / files.run_id / RUN_FILE, files.record)
        for path in (folder / SWEEP_FILE, *_derived_files(folder, DERIVED, "*")):
            if path.is_file():
                unpacked, content = _unpacked_file(folder, path)
                write_bytes(place / unpacked, content)
        write_summary(load_results(place))


def _derived_files(folder: Path, kinds: Iterable[str], suffix: str) -> Iterable[Path]:
    """Files in figures/ or analysis/; links that lead out of the folder are passed over."""
    for kind in kinds:
        yield from (path for path in sorted((folder / kind).glob(f"*.{suffix}")) if lies_in(path, folder))


def _packed_file(path: Path, content: bytes) -> tuple[Path, bytes]:
    """A file as it is packed: a large table is compressed."""
    if path.suffix != ".csv" or len(content) <= MOST_OF_TABLE:
        return path, content
    return path.with_name(f"{path.name}.gz"), compress(content)


def _other_form(path: Path) -> Path:
    """Where a table lies if it is compressed, or if it is not."""
    return path.with_suffix("") if path.suffix == ".gz" else path.with_name(f"{path.name}.gz")


def _unpacked_file(folder: Path, path: Path) -> tuple[Path, bytes]:
    """A file of a packed folder as it was before: its place below a results folder, and its content."""
    below = path.relative_to(folder)
    if not path.name.endswith(".csv.gz"):
        return below, path.read_bytes()
    try:
        return below.with_suffix(""), decompress(path.read_bytes(), LARGEST_TABLE)
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be unpacked ({error.strerror}); restore or remove it.") from None


def _is_in_use(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
