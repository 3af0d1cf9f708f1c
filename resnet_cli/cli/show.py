"""`resnet-exp show`: results as a table, JSON or CSV."""

import json
import math
import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any

import typer

from resnet_cli.spec.errors import UserError

NAME = "show"
EPILOG = (
    "Examples: [bold]resnet-exp show results/[/] · [bold]resnet-exp show results/sine --csv > sine.csv[/] · "
    "[bold]resnet-exp show results/ --json[/]"
)


def command(
    folder: Annotated[Path, typer.Argument(help="A results folder, or one that holds several.")] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, one object a run.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values, one row a run.")] = False,
    by_depth: Annotated[bool, typer.Option("--by-depth", help="Depth against model, with turning points.")] = False,
) -> None:
    """Show the last evaluation of every run below a folder.

    A broken run is named on stderr and left out; the exit code is then 2.
    """
    if as_json + as_csv + by_depth > 1:
        raise UserError("--json, --csv and --by-depth exclude each other; choose one.")
    import pandas as pd

    from resnet_cli.cli.console import make_console
    from resnet_cli.cli.tables import depth_table, results_table
    from resnet_cli.store.reader import find_results, load_results

    all_results = [load_results(place) for place in find_results(folder)]
    problems = [problem for results in all_results for problem in results.problems]
    console = make_console()
    if as_json or as_csv:
        frames = [results.summary().assign(folder=str(results.folder)) for results in all_results]
        whole = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
        if as_json:
            records = whole.astype(object).where(whole.notna(), None).to_dict("records")
            typer.echo(json.dumps([_without_infinities(record) for record in records], indent=2))
        else:
            whole.to_csv(sys.stdout, index=False, lineterminator="\n")
    else:
        for results in all_results:
            summary = results.summary()
            console.print(f"{results.folder}: {len(results.runs)} runs", soft_wrap=True)
            console.print(depth_table(summary) if by_depth else results_table(summary))
    for problem in problems:
        typer.echo(f"resnet-exp: {problem}", err=True)
    if problems:
        raise typer.Exit(2)


def _without_infinities(record: dict[Hashable, Any]) -> dict[Hashable, Any]:
    """JSON has no infinity: the loss of a diverged run is null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in record.items()
    }
