"""`resnet-exp report`: one HTML page about the results below a folder."""

from pathlib import Path
from typing import Annotated

import typer

from resnet_cli.cli.console import complain
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import path_option
from resnet_cli.cli.words import known_words
from resnet_cli.figures.kinds import OF_PAGES, listed
from resnet_cli.settings.errors import UserError, printable

EPILOG = examples(
    "resnet-exp report results/ -o report.html",
    "resnet-exp report results/sine results/digits --title 'Does depth hurt?' -o depth.html",
    "resnet-exp report docs/results --figures depth --no-claims",
)
NO_FIGURES = "none"
FILE_NAME = "report.html"


def command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER", help="A results folder, or one that holds several, packed or not. (default: results)"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        path_option(
            "--out",
            "-o",
            metavar="FILE",
            help="The page; an earlier report is replaced, no other file. (default: report.html in the folder; of "
            "packed results or several folders results/report.html)",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Title instead of the folder's name.")] = None,
    figures: Annotated[
        str,
        typer.Option(
            "--figures", metavar="LIST", help=f"{listed(OF_PAGES)}, or several joined by commas; or {NO_FIGURES}."
        ),
    ] = ",".join(OF_PAGES),
    claims: Annotated[
        bool, typer.Option("--claims/--no-claims", help="Whether the documents' claims are judged from these results.")
    ] = True,
) -> None:
    """Write one HTML page that shows results to somebody without a terminal, a network or this program.

    It holds an answer with its figure, the verdicts on the documents' claims, every figure with its data, a table of
    runs to sort and to filter, the settings with the command that repeats them, and what is missing. The same results
    give the same bytes.

    What cannot be read or drawn is named on stderr and on the page; the exit code is then 2.
    """
    kinds = [] if figures.strip() == NO_FIGURES else known_words("figures", figures, tuple(OF_PAGES))
    roots = folders or [Path("results")]
    target = out or _default_out(roots)
    from rich.console import Console
    from rich.status import Status

    from resnet_cli.report.page import check_out, make_report, write_report

    check_out(target)
    with Status("", console=Console(stderr=True)) as status:  # which only a terminal shows
        report = make_report(
            roots, title=title, kinds=kinds, claims=claims, on_progress=lambda name: status.update(printable(name))
        )
        size = write_report(report, target)
    typer.echo(f"{printable(target)} ({size / 1000:,.0f} kB)")
    for problem in report.problems:
        complain(problem)
    if report.problems:
        raise typer.Exit(UserError.exit_code)


def _default_out(roots: list[Path]) -> Path:
    """Where the page goes: among the results, but never among packed ones."""
    from resnet_cli.store.packed import is_packed
    from resnet_cli.store.reader import find_results

    places = [place for root in roots for place in find_results(root)]
    shared = len(roots) > 1 or any(map(is_packed, places))
    return (Path("results") if shared else roots[0]) / FILE_NAME
