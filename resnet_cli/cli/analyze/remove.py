"""`resnet-exp analyze remove`: trained nets with blocks removed or in another order."""

from typing import Annotated

import typer

from resnet_cli.cli.analyze.common import (
    Device,
    Folder,
    Format,
    Models,
    Out,
    headers_of,
    run_ids,
    say_problem,
    show_table,
    split_words,
    tracked,
    write,
)
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import DataDir

NAME = "remove"
EPILOG = examples(
    "resnet-exp analyze remove results/digits",
    "resnet-exp analyze remove results/digits --depths 20,32 --seeds 0 --draws 50",
)
HEADERS = (
    "seeds",
    "intact",
    "one removed",
    "worst one removed",
    "its number",
    "half removed",
    "number removed",
    "swapped",
    "chance",
)
MOST_SEEDS = 5


def command(
    folder: Folder,
    models: Models = "",
    depths: Annotated[
        str | None,
        typer.Option(
            "--depths", "--depth", help="Depths, such as 20 or 8..32. (default: the largest that all models have)"
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", "--seed", help=f"Seeds, written like depths. (default: the lowest {MOST_SEEDS})"),
    ] = None,
    draws: Annotated[
        int,
        typer.Option(
            "--draws", min=1, help="Number of random sets or orders for each number of removed blocks or swaps."
        ),
    ] = 20,
    device: Device = "auto",
    data_dir: DataDir = None,
    file_format: Format = "png,svg",
    out: Out = None,
) -> None:
    """Remove each block of trained nets, or several at random, or swap blocks; measure the test error without training.

    The shortcut of a residual block remains. Any other block is replaced by the identity or, if it changes the shape,
    by every second pixel and zeros for new channels. A block is one layer of a plain MLP, two layers of a plain CNN,
    and the layers that a skip spans in a residual net.
    """
    import pandas as pd

    from resnet_cli.analysis.removed_blocks import LEARNED, at_largest_shared_depth, measure_changes, summarise
    from resnet_cli.analysis.selection import selection_text, some_runs
    from resnet_cli.analysis.trained_nets import load_net, select_runs
    from resnet_cli.figures import removed_blocks
    from resnet_cli.store.layout import ANALYSIS_FOLDER
    from resnet_cli.store.packed import output_folder
    from resnet_cli.store.reader import Results

    found = select_runs(folder, models=split_words(models), depths=depths, seeds=seeds, on_problem=say_problem)
    runs = some_runs(found, depths=None, seeds=MOST_SEEDS if seeds is None else None)
    if depths is None:
        runs = at_largest_shared_depth(runs)
        typer.echo(f"Depth {runs[0].run.depth} is the largest that all models have.")
    if len(runs) < len(found):
        typer.echo(selection_text(runs, found))
    results = Results(folder, runs, [])
    removed_blocks.split_rows(results.summary())  # rejects too many before anything is measured
    nets = (load_net(folder, stored.run, device=device, data_dir=data_dir) for stored in runs)
    parts = (measure_changes(net, draws=draws, settings=results.varying) for net in nets)
    frame = pd.concat(tracked(parts, run_ids(runs)), ignore_index=True)
    summary = summarise(frame)
    what = "Test loss" if frame["test_error"].isna().all() else "Test error (%)"
    show_table(
        f"{what} after blocks are removed or swapped, median over seeds and random draws",
        ["model", "depth", *headers_of(results.varying), *HEADERS],
        summary.to_numpy(dtype=object).tolist(),
    )
    for net_name in summary.loc[summary["intact"] > LEARNED * summary["chance"], "model"].unique():
        typer.echo(f"{net_name} has learned next to nothing, so a change cannot make it much worse.")
    write("remove", frame, removed_blocks.draw, out or output_folder(folder, ANALYSIS_FOLDER), file_format)
