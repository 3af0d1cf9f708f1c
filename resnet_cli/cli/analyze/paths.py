"""`resnet-exp analyze paths`: how much gradient flows along the paths of each length."""

from typing import Annotated

import typer

from resnet_cli.cli.analyze.common import (
    Depths,
    Device,
    Folder,
    Format,
    Models,
    Out,
    Seeds,
    run_ids,
    say_problem,
    show_table,
    split_words,
    tracked,
    write,
)
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import DataDir
from resnet_cli.settings.errors import UserError

NAME = "paths"
EPILOG = examples(
    "resnet-exp analyze paths results/digits",
    "resnet-exp analyze paths results/cifar10 --depths 110 --draws 20 --device cuda",
)
DEPTHS = 3
MOST_DEPTHS = 8
SEEDS = 5
MOST_ROWS = 6
HEADERS = (
    "model",
    "depth",
    "seeds",
    "residual blocks",
    "95 % of paths",
    "95 % of paths × gradient",
    "share of all paths (%)",
    "gradient factor per block",
)


def command(
    folder: Folder,
    models: Models = "",
    depths: Depths = None,
    seeds: Seeds = None,
    draws: Annotated[
        int, typer.Option("--draws", min=1, help="Number of random paths of each length in every net.")
    ] = 100,
    device: Device = "auto",
    data_dir: DataDir = None,
    file_format: Format = "png,svg",
    out: Out = None,
) -> None:
    """Count the paths through residual nets by their length, and measure the gradients along them.

    A path goes through the branch or the shortcut of each residual block; its length is the number of branches. The
    analysis uses up to three depths of each model (eight with --depths) and up to five seeds (all with --seeds).
    """
    import pandas as pd

    from resnet_cli.analysis.paths import measure_paths, summarise, with_paths
    from resnet_cli.analysis.selection import selection_text, some_runs
    from resnet_cli.analysis.trained_nets import load_net, select_runs
    from resnet_cli.figures import paths as figure
    from resnet_cli.store.layout import ANALYSIS_FOLDER
    from resnet_cli.store.packed import output_folder
    from resnet_cli.store.reader import Results

    residual = with_paths(
        select_runs(folder, models=split_words(models), depths=depths, seeds=seeds, on_problem=say_problem)
    )
    runs = some_runs(residual, depths=DEPTHS if depths is None else MOST_DEPTHS, seeds=SEEDS if seeds is None else None)
    settings = Results(folder, runs, []).varying
    rows = {tuple(stored.run.get(name) for name in ("model", *settings)) for stored in runs}
    if len(rows) > MOST_ROWS:
        raise UserError(
            f"{folder} holds residual nets of {len(rows)} models or settings, but one figure shows at most "
            f"{MOST_ROWS}; select some with --models."
        )
    if note := selection_text(runs, residual):
        typer.echo(note)
    nets = (load_net(folder, stored.run, device=device, data_dir=data_dir) for stored in runs)
    parts = (measure_paths(net, draws=draws, settings=settings) for net in nets)
    frame = pd.concat(tracked(parts, run_ids(runs)), ignore_index=True)
    cells = [
        [
            net["heading"],
            net["depth"],
            net["seeds"],
            net["blocks"],
            f"{net['first_path']} to {net['last_path']}",
            f"{net['first']} to {net['last']}",
            100 * net["path_share"],
            net["factor"],
        ]
        for net in summarise(frame).to_dict("records")
    ]
    show_table("Path lengths (residual blocks passed) and the gradients they carry, mean over seeds", HEADERS, cells)
    write(NAME, frame, figure.draw, out or output_folder(folder, ANALYSIS_FOLDER), file_format)
