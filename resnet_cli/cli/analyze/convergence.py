"""`resnet-exp analyze convergence`: how soon the losses of stored runs reach given levels."""

import math
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from resnet_cli.cli.analyze.common import (
    Depths,
    Format,
    Models,
    Out,
    Seeds,
    say_problem,
    show_table,
    split_words,
    write,
)
from resnet_cli.cli.help_pages import examples
from resnet_cli.settings.errors import UserError

NAME = "convergence"
EPILOG = examples(
    "resnet-exp analyze convergence results/digits",
    "resnet-exp analyze convergence results/sine --levels 0.1,0.001",
    "resnet-exp analyze convergence results/stochastic-depth-digits --by survival --split test --unit epoch",
)


def command(
    folder: Annotated[Path, typer.Argument(help="A results folder; saved models are not needed.")],
    models: Models = "",
    depths: Depths = None,
    seeds: Seeds = None,
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
    file_format: Format = "png,svg",
    out: Out = None,
) -> None:
    """Measure after how many steps each run's loss first reaches given levels; train nothing.

    Between evaluations the logarithm of the loss is interpolated. Runs that never reach a level, or diverged before,
    stay in the table without a step and are marked at the figure's top edge. The command prints which of two twins (of
    the same depth and seed) is first.
    """
    from resnet_cli.analysis.convergence import compare_twins, levels_of, measure
    from resnet_cli.analysis.trained_nets import select_runs
    from resnet_cli.figures import convergence
    from resnet_cli.figures.panels import compare
    from resnet_cli.figures.run_table import SPLITS, check_choice
    from resnet_cli.figures.style import ordered_models
    from resnet_cli.store.layout import ANALYSIS_FOLDER
    from resnet_cli.store.packed import output_folder
    from resnet_cli.store.reader import Results

    check_choice("split", split, SPLITS)
    check_choice("unit", unit, ("step", "epoch"))
    runs = select_runs(
        folder, models=split_words(models), depths=depths, seeds=seeds, with_diverged=True, on_problem=say_problem
    )
    results = Results(folder, runs, [])
    wanted = levels_of(runs, split) if levels is None else _parse_levels(levels)
    frame = measure(runs, wanted, split=split, settings=results.varying)
    if by is not None:
        setting = by.replace("-", "_")
        names = compare(results.summary(), setting).set_index("run_id")["model"]
        frame = frame.assign(model=frame["run_id"].map(names)).drop(columns=setting)
    comparisons = compare_twins(frame, ordered_models(frame["model"]))
    first = comparisons[0].other
    show_table(
        f"Runs whose {'training' if split == 'train' else 'test'} loss reaches a level, and which of two twins (same "
        "depth and seed) is first",
        ["level", "model", "runs", "reach it", f"twins of {first}", "it is first", f"{first} is first", "neither"],
        [comparison.cells() for comparison in comparisons],
    )
    draw = partial(convergence.draw, unit=unit)
    write(NAME, frame, draw, out or output_folder(folder, ANALYSIS_FOLDER), file_format)


def _parse_levels(text: str) -> list[float]:
    try:
        levels = [float(word) for word in split_words(text)]
    except ValueError:
        levels = []
    if not levels or not all(0 < level < math.inf for level in levels):
        raise UserError(f"levels (={text}) must be losses above 0, separated by commas, such as 0.1,0.01.")
    return list(dict.fromkeys(levels))
