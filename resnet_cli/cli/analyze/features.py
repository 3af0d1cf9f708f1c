"""`resnet-exp analyze features`: what the layers of a CNN see in an image."""

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

NAME = "features"
EPILOG = examples(
    "resnet-exp analyze features results/digits",
    "resnet-exp analyze features results/digits --model plain-cnn --depth 20 --image 7",
)


def command(
    folder: Folder,
    models: Models = "",
    depths: Depths = None,
    seeds: Seeds = None,
    image: Annotated[int, typer.Option("--image", min=0, help="Number of the test image, from 0.")] = 0,
    layers: Annotated[int, typer.Option("--layers", min=1, max=50, help="Number of layers drawn, spread evenly.")] = 8,
    maps: Annotated[
        int, typer.Option("--maps", min=1, max=64, help="Channels drawn of each layer, the first ones.")
    ] = 4,
    device: Device = "auto",
    data_dir: DataDir = None,
    file_format: Format = "png,svg",
    out: Out = None,
) -> None:
    """Draw feature maps for one test image, layer by layer: of a plain CNN above those of a residual one.

    Of the nets selected, it uses the deepest residual one with the lowest seed, and the plain net of the same depth,
    seed and settings if there is one. The CSV holds the mean, standard deviation and share of zeros of every feature
    map of all layers over many test images.
    """
    import pandas as pd

    from resnet_cli.analysis.features import feature_maps, pick_cnns
    from resnet_cli.analysis.trained_nets import load_net, select_runs
    from resnet_cli.figures import features as figure
    from resnet_cli.store.layout import ANALYSIS_FOLDER
    from resnet_cli.store.packed import output_folder

    runs = select_runs(folder, models=split_words(models), depths=depths, seeds=seeds, on_problem=say_problem)
    chosen = pick_cnns(runs)
    if len(runs) > len(chosen):
        typer.echo(f"Using {len(chosen)} of {len(runs)} runs; choose others with --models, --depths and --seeds.")
    nets = (load_net(folder, stored.run, device=device, data_dir=data_dir) for stored in chosen)
    parts = (feature_maps(net, image=image, layers=layers, maps=maps) for net in nets)
    frame = pd.concat(tracked(parts, run_ids(chosen)), ignore_index=True)
    rows = []
    for _, of_net in frame.groupby("run_id", sort=False):
        net, of_maps = of_net.iloc[0], of_net[of_net["part"] == "map"]
        dead = int((of_maps["zeros"] == 1).sum())
        rows.append(
            [*net[["model", "depth", "seed", "target", "answer"]], len(of_maps), dead, 100 * of_maps["zeros"].mean()]
        )
    show_table(
        f"Test image {image}, and feature maps over the first {frame['examples'].iloc[0]} test images",
        ["model", "depth", "seed", "class", "classified as", "channels", "dead channels", "zeros (%)"],
        rows,
    )
    write(NAME, frame, figure.draw, out or output_folder(folder, ANALYSIS_FOLDER), file_format)
