"""`resnet-exp analyze remove`: trained nets with blocks removed or in another order."""

from functools import partial
from typing import Annotated

import typer

from resnet_cli.cli.analyze.common import AnalysisCommand, AnalysisRequest, show_table
from resnet_cli.cli.help_pages import examples

EPILOG = examples(
    "resnet-exp analyze remove results/digits",
    "resnet-exp analyze remove results/digits --depths 20,32 --seeds 0 --draws 50",
)
HEADERS = {
    "one": "one removed",
    "worst": "worst one removed",
    "worst_block": "its number",
    "half": "half removed",
    "half_blocks": "number removed",
}
MOST_SEEDS = 5
CLASS = partial(AnalysisCommand, depths="the largest that all models have", seeds=f"the lowest {MOST_SEEDS}")


def command(
    context: typer.Context,
    draws: Annotated[
        int,
        typer.Option(
            "--draws", min=1, help="Number of random sets or orders for each number of removed blocks or swaps."
        ),
    ] = 20,
) -> None:
    """Remove each block of trained nets, or several at random, or swap blocks; measure the test error without training.

    The shortcut of a residual block remains. Any other block is replaced by the identity or, if it changes the shape,
    by every second pixel and zeros for new channels. A block is one layer of a plain MLP, two layers of a plain CNN,
    and the layers that a skip spans in a residual net.
    """
    from resnet_cli.analysis.removed_blocks import LEARNED, at_largest_shared_depth, measure_changes, summarise
    from resnet_cli.analysis.selection import some_runs
    from resnet_cli.figures.removed_blocks import split_rows
    from resnet_cli.figures.run_table import is_classification

    request: AnalysisRequest = context.obj
    found = request.select()
    runs = some_runs(found.runs, depths=None, seeds=None if request.seeds else MOST_SEEDS)
    if request.depths is None:
        runs = at_largest_shared_depth(runs)
        typer.echo(f"Depth {runs[0].run.depth} is the largest that all models have.")
    results = request.keep(found, runs)
    split_rows(results.summary())  # rejects too many before anything is measured
    frame = request.measure_nets(results, lambda net: measure_changes(net, draws=draws, settings=results.varying))
    summary = summarise(frame)
    what = "Test error (%)" if is_classification(frame) else "Test loss"
    title = f"{what} after blocks are removed or swapped, median over seeds and random draws"
    show_table(title, summary, HEADERS)
    for model in summary.loc[summary["intact"] > LEARNED * summary["chance"], "model"].unique():
        typer.echo(f"{model} has learned next to nothing, so a change cannot make it much worse.")
    request.write("remove", frame)
