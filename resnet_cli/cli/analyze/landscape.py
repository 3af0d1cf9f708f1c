"""`resnet-exp analyze landscape`: the loss around trained nets, along random directions."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from resnet_cli.cli.analyze.common import AnalysisCommand, AnalysisRequest, show_table
from resnet_cli.cli.help_pages import examples

if TYPE_CHECKING:
    import pandas as pd

    from resnet_cli.analysis.trained_nets import StoredNet

EPILOG = examples(
    "resnet-exp sweep --config landscape-digits-mlp --save-models",
    "resnet-exp analyze landscape results/landscape-digits-mlp",
    "resnet-exp analyze landscape results/digits --depths 20,56 --surface 0 --examples 1400",
)
MOST_DEPTHS = 2
MOST_SEEDS = 3
CLASS = partial(AnalysisCommand, depths=f"{MOST_DEPTHS} of each model", seeds=f"the first {MOST_SEEDS}")


def command(
    context: typer.Context,
    draws: Annotated[int, typer.Option("--draws", min=1, help="Draws of two random directions.")] = 3,
    cut: Annotated[
        int, typer.Option("--cut", min=1, help="Places on each side of a net along the first direction.")
    ] = 20,
    surface: Annotated[
        int,
        typer.Option("--surface", min=0, help="The same in a grid along both, of the first seed; 0 leaves it out."),
    ] = 6,
    radius: Annotated[
        float, typer.Option("--radius", min=0.001, help="Distance of the outermost places; the weights' length is 1.")
    ] = 1.0,
    number: Annotated[int, typer.Option("--examples", min=1, help="Training examples, from the first.")] = 200,
) -> None:
    """Measure the loss around trained nets along random directions, normalised filter by filter.

    Directions are those of Li et al. 2018. Batch norm keeps its parameters and the statistics of the trained net.
    """
    from resnet_cli.analysis.landscape import measure_landscape, summarise

    request: AnalysisRequest = context.obj
    results = request.keep_some(request.select(), depths=None if request.depths else MOST_DEPTHS, seeds=MOST_SEEDS)
    first = min(stored.run.seed for stored in results.runs)

    def measure(net: "StoredNet") -> "pd.DataFrame":
        grid = surface if net.run.seed == first else 0
        return measure_landscape(net, draws, results.varying, cut=cut, surface=grid, radius=radius, examples=number)

    frame = request.measure_nets(results, measure)
    show_table(
        "Loss along random directions, median over seeds and draws",
        summarise(frame, results.varying),
        {"centre": "loss of the net", "half": "distance of half the constant answer's loss"},
    )
    request.write("landscape", frame)
