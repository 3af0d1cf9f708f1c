"""`resnet-exp show`: results as a table, JSON or CSV."""

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from resnet_cli.cli import filters
from resnet_cli.cli.console import make_console, name_broken, print_csv
from resnet_cli.cli.help_pages import examples
from resnet_cli.settings.errors import UserError, printable, shorten
from resnet_cli.settings.metrics import OTHER_METRIC

EPILOG = examples(
    "resnet-exp show results/",
    "resnet-exp show results/sine --models plain --depths 20..40 --by-depth",
    "resnet-exp show results/mine results/yours --where init=he",
    "resnet-exp show results/sine --csv > sine.csv",
    "resnet-exp show results/ --json",
)


def command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER", help="Results folders, or folders that hold several. (default: results)"),
    ] = None,
    models: filters.Models = None,
    depths: filters.Depths = None,
    seeds: filters.Seeds = None,
    where: filters.Where = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array with one object per run.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values, one row per run.")] = False,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric", metavar="NAME", help="A metric to show instead of losses and errors, such as gradient_norm."
        ),
    ] = None,
    by_depth: Annotated[
        bool, typer.Option("--by-depth", help="A table of depth by model, with turning points.")
    ] = False,
) -> None:
    """Show the last evaluation of every run below some folders, and say why runs failed.

    A broken run is named on stderr and left out; the exit code is then 2.
    """
    if as_json + as_csv + by_depth > 1:
        raise UserError("--json, --csv and --by-depth exclude each other; choose one.")
    if metric and by_depth:
        raise UserError(
            f"metric (={metric}) has no effect on --by-depth, which is about losses; leave one of them out."
        )
    import pandas as pd

    from resnet_cli.cli.tables import LONGEST_MESSAGE, counted, depth_table, failures, results_table
    from resnet_cli.figures.run_table import in_given_order
    from resnet_cli.tasks import chance_losses

    selected, problems = filters.load_selected(folders, filters.parse_selection(models, depths, seeds, where))
    console = make_console()
    if as_json or as_csv:
        frames = [
            results.summary(metric)
            .rename(columns={OTHER_METRIC: metric})
            .assign(
                message=[shorten(stored.message, LONGEST_MESSAGE) for stored in results.runs],
                folder=printable(results.folder),
            )
            for results in selected
        ]
        whole = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
        if as_json:
            finite = whole.notna() & ~whole.isin([math.inf, -math.inf])  # JSON has no infinity
            typer.echo(json.dumps(whole.where(finite, None).to_dict("records"), indent=2))
        else:
            print_csv(whole)
    else:
        for number, results in enumerate(selected):
            summary = in_given_order(results.summary(metric), results.given_values())
            heading = f"{printable(results.folder)}: {counted(len(results.runs), 'run')}"
            if number > 0:
                console.print()
            console.print(heading, soft_wrap=True)
            if by_depth:
                console.print(depth_table(summary, chance_losses(stored.run for stored in results.runs)))
            else:
                console.print(results_table(summary, metric))
            for line in failures(results.runs):
                console.print(line, style="red", soft_wrap=True)
    name_broken(problems)
