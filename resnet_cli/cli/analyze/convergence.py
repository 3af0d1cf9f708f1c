"""`resnet-exp analyze convergence`: how soon the losses of stored runs reach given levels."""

import math
from functools import partial
from typing import Annotated

import typer

from resnet_cli.cli.analyze.common import AnalysisCommand, AnalysisRequest, show_table
from resnet_cli.cli.help_pages import examples
from resnet_cli.settings.errors import UserError

EPILOG = examples(
    "resnet-exp analyze convergence results/digits",
    "resnet-exp analyze convergence results/sine --levels 0.1,0.001",
    "resnet-exp analyze convergence results/stochastic-depth-digits --by survival --split test --unit epoch",
)
CLASS = partial(AnalysisCommand, needs_nets=False, without=["device", "data_dir"])


def command(
    context: typer.Context,
    levels: Annotated[
        str | None,
        typer.Option(
            "--levels",
            "--level",
            metavar="LIST",
            help="Losses to reach, such as 0.1,0.01. (default: 1/2, 1/10 and 1/100 of the median loss before training)",
        ),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Whose loss: train or test.")] = "train",
    unit: Annotated[str, typer.Option("--unit", help="The figure's axis: step or epoch.")] = "step",
    by: Annotated[
        str | None, typer.Option("--by", metavar="SETTING", help="Compare the values of a setting as lines in a panel.")
    ] = None,
) -> None:
    """Measure after how many steps each run's loss first reaches given levels; train nothing.

    Between evaluations the logarithm of the loss is interpolated. Runs that never reach a level, or diverged before,
    stay in the table without a step and are marked at the figure's top edge. The command prints which of two twins (of
    the same depth and seed) is first.
    """
    from resnet_cli.analysis.convergence import compare_twins, levels_of, measure
    from resnet_cli.figures.panels import compare
    from resnet_cli.figures.run_table import SPLIT_LABELS, SPLITS, check_choice
    from resnet_cli.figures.style import ordered_models

    request: AnalysisRequest = context.obj
    check_choice("split", split, SPLITS)
    check_choice("unit", unit, ("step", "epoch"))
    results = request.select(with_diverged=True)
    wanted = levels_of(results.runs, split) if levels is None else _parse_levels(levels)
    frame = measure(results.runs, wanted, split=split, settings=results.varying)
    if by is not None:
        setting = by.replace("-", "_")
        names = compare(results.summary(), setting).set_index("run_id")["model"]
        frame = frame.assign(model=frame["run_id"].map(names)).drop(columns=setting)
    models = ordered_models(frame["model"])
    headers = {
        "reached": "reach it",
        "twins": f"twins of {models[0]}",
        "earlier": "it is first",
        "later": f"{models[0]} is first",
    }
    show_table(
        f"Runs whose {SPLIT_LABELS[split]} loss reaches a level, and which of two twins (same depth and seed) is first",
        compare_twins(frame, models),
        headers,
    )
    request.write("convergence", frame, unit=unit)


def _parse_levels(text: str) -> list[float]:
    try:
        levels = [float(word) for word in text.split(",")]
    except ValueError:
        levels = []
    if not levels or not all(0 < level < math.inf for level in levels):
        raise UserError(f"levels (={text}) must be losses above 0, separated by commas, such as 0.1,0.01.")
    return list(dict.fromkeys(levels))
