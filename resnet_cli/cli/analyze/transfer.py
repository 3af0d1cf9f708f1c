"""`resnet-exp analyze transfer`: learning new classes from few examples, from trained weights and from scratch."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from resnet_cli.cli.analyze.common import AnalysisCommand, AnalysisRequest, show_table
from resnet_cli.cli.help_pages import examples
from resnet_cli.settings.ranges import MAX_COUNT, numbers, parse_ranges

if TYPE_CHECKING:
    import pandas as pd

    from resnet_cli.analysis.trained_nets import StoredNet

EPILOG = examples(
    "resnet-exp sweep --config configs/transfer-digits.toml --save-models",
    "resnet-exp analyze transfer results/transfer-digits",
    "resnet-exp analyze transfer results/transfer-digits --examples 5,20 --steps 50",
)
MOST_DEPTHS = 3
CLASS = partial(AnalysisCommand, depths=f"{MOST_DEPTHS} of each model")


def command(
    context: typer.Context,
    examples: Annotated[
        str,
        typer.Option("--examples", metavar="LIST", help="Training examples of each new class, written like depths."),
    ] = "10,50",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps of each training.")] = 100,
) -> None:
    """Train nets that know some classes on the others, with few examples, and the same nets from scratch.

    For runs with the setting `classes`. The output layer is new; all weights are trained, with the settings of the run.
    """
    from resnet_cli.analysis.transfer import summarise, task_of_the_rest, transfer
    from resnet_cli.training.device import prepare_device, resolve_device

    request: AnalysisRequest = context.obj
    counts = numbers(parse_ranges(examples, option="examples", minimum=1, maximum=MAX_COUNT))
    results = request.keep_some(request.select(), depths=None if request.depths else MOST_DEPTHS)
    for stored in results.runs:
        task_of_the_rest(stored.run, counts[-1], steps)  # rejects too many before anything is trained
    prepare_device(resolve_device(request.device), threads=1)  # as sweeps of several runs do, for the same bits

    def transfer_one(net: "StoredNet") -> "pd.DataFrame":
        return transfer(
            net, counts, steps=steps, settings=results.varying, data_dir=request.data_dir, device=request.device
        )

    frame = request.measure_nets(results, transfer_one)
    show_table(
        f"Test error (%) on the new classes after {steps} steps, median over seeds",
        summarise(frame, results.varying),
        {
            "examples": "examples of each class",
            "scratch": "from scratch",
            "lower": "pairs in which transferred is lower",
        },
    )
    request.write("transfer", frame)
