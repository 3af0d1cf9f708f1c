"""`resnet-exp analyze features`: what the layers of a CNN see in an image."""

from dataclasses import replace
from typing import Annotated

import typer

from resnet_cli.cli.analyze.common import AnalysisRequest, show_table
from resnet_cli.cli.help_pages import examples

EPILOG = examples(
    "resnet-exp analyze features results/digits",
    "resnet-exp analyze features results/digits --model plain-cnn --depth 20 --image 7",
)
HEADERS = {
    "target": "class",
    "answer": "classified as",
    "dead": "dead channels",
    "zeros": "zeros (%)",
}


def command(
    context: typer.Context,
    image: Annotated[int, typer.Option("--image", min=0, help="Number of the test image, from 0.")] = 0,
    layers: Annotated[int, typer.Option("--layers", min=1, max=50, help="Number of layers drawn, spread evenly.")] = 8,
    maps: Annotated[
        int, typer.Option("--maps", min=1, max=64, help="Channels drawn of each layer, the first ones.")
    ] = 4,
) -> None:
    """Draw feature maps for one test image, layer by layer: of a plain CNN above those of a residual one.

    Of the nets selected, it uses the deepest residual one with the lowest seed, and the plain net of the same depth,
    seed and settings if there is one. The CSV holds the mean, standard deviation and share of zeros of every feature
    map of all layers over many test images.
    """
    from resnet_cli.analysis.features import feature_maps, pick_cnns, summarise

    request: AnalysisRequest = context.obj
    found = request.select()
    chosen = replace(found, runs=pick_cnns(found.runs))
    if len(found.runs) > len(chosen.runs):
        typer.echo(
            f"Using {len(chosen.runs)} of {len(found.runs)} runs; choose others with --models, --depths and --seeds."
        )
    frame = request.measure_nets(chosen, lambda net: feature_maps(net, image=image, layers=layers, maps=maps))
    title = f"Test image {image}, and feature maps over the first {frame['examples'].iloc[0]} test images"
    show_table(title, summarise(frame), HEADERS)
    request.write("features", frame)
