"""The packed form of a results folder: two files for all runs, suited to version control.

<folder>/sweep.toml      the same bytes as before
<folder>/runs.csv        one row per run: settings, status, environment, times, hashes
<folder>/metrics.csv.gz  the lines of every metrics.csv, each preceded by the id of its run; a header for each set of
                         columns
<folder>/analysis/*.csv  the same bytes as before; large tables as *.csv.gz

Unpacking restores the same bytes, and so does packing what was unpacked: gzip writes neither a name nor a time. Only
another implementation of zlib may compress the same content to other bytes.

A cell of runs.csv is empty if the key is missing, a bare word if that is unambiguous, and JSON otherwise. So values
keep their types: `1` is an integer, `1.0` a float, `"1"` text. Words that a spreadsheet would take for a formula are
JSON as well.
"""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from resnet_cli.settings import registry
from resnet_cli.settings.errors import UserError, printable, shorten
from resnet_cli.settings.format import FORMULA_STARTS, PACKED_RUNS_FILE
from resnet_cli.settings.setting import IDENTITY
from resnet_cli.store.layout import ANALYSIS_FOLDER, RUNS_FOLDER, RunFiles
from resnet_cli.store.record import RunJson, record_text
from resnet_cli.store.regular import MEGABYTE, decompress, read_regular, starts_with

PACKED_METRICS_FILE = "metrics.csv.gz"
MOST_OF_RUNS = 500 * MEGABYTE
MOST_OF_METRICS = 2000 * MEGABYTE

_ID = "run_id"
_FIRST = (_ID, "status", *IDENTITY)
_LAST = ("parameters", "seconds", "started", "finished")
_HASHES = ("format", "metrics_sha256", "content_sha256", "message")
_WHOLE_RECORD = "run_json"
_ENVIRONMENT = "environment."


def is_packed(folder: Path) -> bool:
    """Whether `folder` holds results in packed form."""
    return (
        (folder / PACKED_RUNS_FILE).exists()
        and (folder / PACKED_METRICS_FILE).exists()
        and not (folder / RUNS_FOLDER).exists()
    )


def output_folder(folder: Path, kind: str) -> Path:
    """Where what is made from the runs in `folder` goes: beside them, or below results/ if they are packed.

    Packed results are often committed or somebody else's, so only `pack` writes there.

    Args:
        folder: a results folder.
        kind: `FIGURES_FOLDER` or `ANALYSIS_FOLDER`.
    """
    return Path("results") / kind / folder.resolve().name if is_packed(folder) else folder / kind


def analysis_table(folder: Path, kind: str) -> Path | None:
    """The table of an analysis of the runs in a results folder, which pandas reads, if it is there."""
    return table_in(folder / ANALYSIS_FOLDER, kind)


def table_in(folder: Path, kind: str) -> Path | None:
    """The table of an analysis in the folder it was written to, compressed or not, if it is there."""
    return next((path for suffix in ("", ".gz") if (path := folder / f"{kind}.csv{suffix}").is_file()), None)


def is_ours(folder: Path) -> bool:
    """Whether the table of runs in `folder` starts like one that `resnet-exp pack` wrote."""
    return starts_with(folder / PACKED_RUNS_FILE, ",".join(_FIRST).encode())


def pack_runs(runs: Sequence[RunFiles]) -> tuple[bytes, bytes]:
    """The content of runs.csv and of metrics.csv.gz.

    Raises:
        ValueError: metrics.csv of a run has a form that could not be restored; the message names the file.
    """
    contents = [json.loads(files.record) for files in runs]
    columns = _columns_for(contents)
    rows = [_row_of(files, content, columns) for files, content in zip(runs, contents, strict=True)]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return table.getvalue().encode(), compress(_metrics_table(runs).encode())


def _columns_for(contents: Sequence[Mapping[str, Any]]) -> list[str]:
    """Settings in their order; other keys in order of appearance."""
    environment = (_ENVIRONMENT + _cell(name) for content in contents for name in content["environment"])
    settings = (name for content in contents for name in content["settings"] if name not in IDENTITY)
    return [
        *_FIRST,
        *registry.in_order(settings),
        *_LAST,
        *dict.fromkeys(environment),
        *_HASHES,
        _WHOLE_RECORD,
    ]


def _row_of(files: RunFiles, content: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    values = {**content, **content["settings"]}
    values |= {_ENVIRONMENT + _cell(name): value for name, value in content["environment"].items()}
    row = [_cell(values[name]) if name in values else "" for name in columns[:-1]]
    if content.get("message") == "":
        row[columns.index("message")] = ""
    rebuilt = _record(dict(zip(columns, row, strict=False)))
    return [*row, "" if rebuilt == files.record else _cell(files.record.decode())]


def _cell(value: Any) -> str:
    if (
        isinstance(value, str)
        and value
        and value.isprintable()
        and not value.startswith(FORMULA_STARTS)
        and _value(value) == value
    ):
        return value
    return json.dumps(value)


@lru_cache(maxsize=10_000)
def _value(cell: str) -> Any:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _record(cells: Mapping[str, str]) -> bytes:
    """The content of run.json as our writer would write it, from the cells of its row."""
    values = {name: _value(cell) for name, cell in cells.items() if cell} | {"message": _value(cells["message"])}
    own = {*RunJson.model_fields, _WHOLE_RECORD}
    parts = {
        "settings": {n: v for n, v in values.items() if n not in own and not n.startswith(_ENVIRONMENT)},
        "environment": {
            str(_value(n.removeprefix(_ENVIRONMENT))): v for n, v in values.items() if n.startswith(_ENVIRONMENT)
        },
    }
    values |= parts
    return record_text({name: values[name] for name in RunJson.model_fields if name in values}).encode()


def _metrics_table(runs: Iterable[RunFiles]) -> str:
    """The rows of all runs, with a header where the columns of a run are not those of the run before.

    A run without rows is not there if its columns are those of the first header; otherwise its id stands alone.
    """
    lines: list[str] = []
    header = ""
    for files in runs:
        own_header, *rows = files.metrics.decode().split("\n")
        if not rows or rows.pop() != "" or "" in (own_header, *rows):
            raise ValueError(f"{files.metrics_place} is not as this program writes it")
        if own_header != header:
            header = own_header
            lines.append(f"{_ID},{header}")
        if not rows and lines[0] != f"{_ID},{header}":
            lines.append(files.run_id)
        lines += [f"{files.run_id},{row}" for row in rows]
    return "\n".join(lines) + "\n"


def compress(content: bytes) -> bytes:
    """Bytes as a gzip file, the same for the same content."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(content)
    return buffer.getvalue()


def read_packed(folder: Path) -> tuple[list[RunFiles], list[tuple[str, str]]]:
    """The files of the runs in a packed folder, and the places that cannot be used, each with the reason.

    The bytes are assembled, not checked: a run's own hashes show whether they are what was packed.

    Raises:
        UserError: one of the two files cannot be read, or is not a packed one.
    """
    rows = _read_rows(folder / PACKED_RUNS_FILE)
    header, lines = _read_metrics(folder / PACKED_METRICS_FILE)
    problems = []
    if strays := lines.keys() - {row["run_id"] for row in rows}:
        others = f", nor any of {len(strays) - 1:,} more" if len(strays) > 1 else ""
        place = f"{folder / PACKED_METRICS_FILE}, {shorten(min(strays))}"
        problems.append((place, f"no run of this name is beside it{others}"))
    runs: dict[str, RunFiles] = {}
    for row in rows:
        run_id = row["run_id"]
        place = f"{folder / PACKED_RUNS_FILE}, {shorten(run_id)}"
        if run_id in runs or None in row or None in row.values():  # what DictReader gives where cells are missing
            problems.append((place, "it is there twice" if run_id in runs else "its row is cut off or too long"))
            continue
        whole = row.get(_WHOLE_RECORD)
        runs[run_id] = RunFiles(
            run_id,
            str(_value(whole)).encode() if whole else _record(row),
            "".join(f"{line}\n" for line in lines.get(run_id, [header])).encode(),
            place,
            f"{folder / PACKED_METRICS_FILE}, {shorten(run_id)}",
        )
    return sorted(runs.values(), key=lambda files: files.run_id), problems


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        text = read_regular(path, MOST_OF_RUNS).decode()
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        header = tuple(reader.fieldnames or ())
        rows = list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise _unreadable(path, error) from None
    if header[: len(_FIRST)] != _FIRST or not {*_LAST, *_HASHES} <= set(header) or len(set(header)) < len(header):
        raise UserError(f"{printable(path)} is not a table that `resnet-exp pack` wrote; restore it or pack again.")
    return rows


def _read_metrics(path: Path) -> tuple[str, dict[str, list[str]]]:
    """The first header, and the lines of each run that is there, its header first."""
    try:
        text = decompress(read_regular(path, MOST_OF_METRICS), MOST_OF_METRICS).decode()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    first, _, rest = text.partition("\n")
    if not first.startswith(f"{_ID},epoch,step,"):
        raise UserError(f"{printable(path)} is not a table that `resnet-exp pack` wrote; restore it or pack again.")
    found: dict[str, list[str]] = {}
    header = first = first.removeprefix(f"{_ID},")
    for line in rest.removesuffix("\n").split("\n") if rest else ():
        run_id, comma, row = line.partition(",")
        if run_id == _ID:
            header = row
        else:
            lines = found.setdefault(run_id, [header])
            if comma:
                lines.append(row)
    return first, found


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else shorten(error, 200)
    return UserError(f"{printable(path)} cannot be read ({reason}); restore it or pack again.")
