"""What all analyses share: their options, progress, a table on the terminal, and a CSV and a figure as files."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from resnet_cli.cli.home import in_home
from resnet_cli.settings.errors import not_among, printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from resnet_cli.store.record import RunRecord

_Item = TypeVar("_Item")
FORMATS = ("png", "svg", "pdf")


def _check_format(text: str) -> str:
    """Reject an unknown format before anything is computed."""
    formats = split_words(text)
    if not formats or not set(formats) <= set(FORMATS):
        raise not_among("format", text, FORMATS)
    return text


Folder = Annotated[Path, typer.Argument(help="A results folder of a sweep with --save-models.")]
Models = Annotated[str, typer.Option("--models", "--model", help="Models, separated by commas. (default: all)")]
Depths = Annotated[str | None, typer.Option("--depths", "--depth", help="Depths, such as 20 or 8..32. (default: all)")]
Seeds = Annotated[str | None, typer.Option("--seeds", "--seed", help="Seeds, written like depths. (default: all)")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Format = Annotated[
    str, typer.Option("--format", callback=_check_format, help="png, svg or pdf, or several, such as png,svg.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        callback=in_home,
        metavar="DIR",
        help="Output folder. (default: analysis/ beside the runs; of packed results results/analysis/<name>)",
    ),
]


def say_problem(problem: str) -> None:
    """Report a stored run that cannot be read on stderr."""
    typer.echo(f"resnet-exp: {problem}", err=True)


def split_words(text: str) -> list[str]:
    """Words separated by commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def tracked(items: Iterable[_Item], names: Sequence[str]) -> Iterator[_Item]:
    """The items one after another; stderr names each when it is done, on a terminal the current one beside a bar."""
    from rich.console import Console
    from rich.progress import Progress

    rest = iter(items)
    if not sys.stderr.isatty():
        for number, name in enumerate(names, 1):
            item = next(rest)
            typer.echo(f"{number}/{len(names)}: {name}", err=True)
            yield item
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(names))
        for name in names:
            progress.update(task, description=name)
            yield next(rest)
            progress.advance(task)


def run_ids(runs: "Iterable[RunRecord]") -> list[str]:
    """The names of runs."""
    return [stored.run.run_id for stored in runs]


def show_table(title: str, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print what an analysis found: a title that names the statistic, headers with units, – where there is no value.

    Args:
        title: one line.
        headers: one for each column.
        rows: words, integers, and floats, which are shown with three significant digits.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from resnet_cli.cli.console import make_console

    lines = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for column, header in enumerate(headers):
        is_number = any(_is_number(line[column]) for line in lines)
        table.add_column(header, justify="right" if is_number else "left", overflow="fold")
    for line in lines:
        table.add_row(*map(cell_text, line))
    console = make_console()
    console.print(Text(title, "bold"))
    console.print(table)


def cell_text(value: object) -> str:
    """A value of a table in words."""
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if math.isfinite(value) else "∞"
    return str(value)


def _is_number(value: object) -> bool:
    return not isinstance(value, str) and value is not None


def headers_of(settings: Iterable[str]) -> list[str]:
    """Settings as headers of a table."""
    return [name.replace("_", " ") for name in settings]


def write(
    name: str, frame: "pd.DataFrame", draw: "Callable[[pd.DataFrame], Figure]", target: Path, file_format: str
) -> None:
    """Write `name`.csv and the figure of a frame into `target`, and print their paths; the CSV comes first."""
    from resnet_cli.figures import style
    from resnet_cli.store.files import atomic_file, remove_temporary_files

    remove_temporary_files(target)
    with atomic_file(target / f"{name}.csv") as file:
        frame.to_csv(file, index=False, lineterminator="\n", float_format="%.7g")  # float32 has no more
    typer.echo(printable(target / f"{name}.csv"))
    figure = draw(frame)
    for extension in split_words(file_format):
        with atomic_file(target / f"{name}.{extension}") as file:
            file.write(style.render(figure, f".{extension}"))
        typer.echo(printable(target / f"{name}.{extension}"))
