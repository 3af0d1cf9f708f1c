"""`resnet-exp analyze features`: what the layers of a CNN make of an image."""

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
    say_problem,
    split_words,
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
    layers: Annotated[int, typer.Option("--layers", min=1, max=50, help="Layers drawn, evenly spread.")] = 8,
    maps: Annotated[int, typer.Option("--maps", min=1, max=64, help="Maps drawn of each layer, the first ones.")] = 8,
    device: Device = "auto",
    data_dir: DataDir = None,
    file_format: Format = "png,svg",
    out: Out = None,
) -> None:
    """Draw the feature maps of one CNN for one test image, layer by layer, and the filters of its first convolution.

    Of the nets selected it takes the deepest residual one, or else the deepest, with the lowest seed. The CSV has the
    mean, deviation and share of zeros of every map of all layers over many test images.
    """
    from resnet_cli.analysis.features import feature_maps, pick_cnn
    from resnet_cli.analysis.nets import load_net, select_runs
    from resnet_cli.figures import features as figure
    from resnet_cli.store.layout import ANALYSIS_FOLDER

    runs = select_runs(folder, models=split_words(models), depths=depths, seeds=seeds, on_problem=say_problem)
    net = load_net(folder, pick_cnn(runs).run, device=device, data_dir=data_dir)
    if len(runs) > 1:
        typer.echo(f"Taken is {net.label}, one of {len(runs)} runs; choose with --models, --depths and --seeds.")
    frame = feature_maps(net, image=image, layers=layers, maps=maps)
    of_maps = frame[frame["part"] == "map"]
    typer.echo(
        f"{net.label}: test image {image} is of class {frame['target'][0]} and taken for {frame['answer'][0]}; "
        f"{(of_maps['zeros'] == 1).sum()} of {len(of_maps)} maps are dead, zero in all of {frame['examples'][0]} "
        "test images."
    )
    write(
        NAME,
        frame.drop(columns="pixels"),
        lambda _: figure.draw(frame),
        out or folder / ANALYSIS_FOLDER,
        file_format,
    )
