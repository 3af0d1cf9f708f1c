"""`resnet-exp analyze counts`: how large the nets of the papers are."""

from pathlib import Path
from typing import Annotated

from resnet_cli.cli.analyze.common import show_table, write
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import PluginCommand, path_option
from resnet_cli.cli.words import Formats

EPILOG = examples("resnet-exp analyze counts")
CLASS = PluginCommand


def command(
    out: Annotated[Path, path_option("--out", help="Output folder.")] = Path("results", "counts"),
    formats: Formats = "png,svg",
) -> None:
    """Count layers, parameters and multiply-adds of VGG, ResNet and DenseNet for ImageNet, beside what texts say.

    Needs no stored runs, no data and no weights.
    """
    from resnet_cli.analysis.counts import count_imagenet_nets

    frame = count_imagenet_nets()
    shown = frame.assign(
        parameters=[f"{value:11,}" for value in frame["parameters"]],
        multiply_adds=[f"{value / 1e9:5.2f} billion" for value in frame["multiply_adds"]],
    )
    show_table("ImageNet nets for an image of 224×224", shown, {"multiply_adds": "multiply-adds"})
    write("counts", frame, out, formats)
