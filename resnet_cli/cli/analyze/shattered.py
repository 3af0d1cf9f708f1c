"""`resnet-exp analyze shattered`: how the gradient of untrained nets depends on their input."""

from pathlib import Path
from typing import Annotated

import typer

from resnet_cli.cli.analyze.common import joined, show_table, write
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import PluginCommand, path_option
from resnet_cli.cli.words import Formats
from resnet_cli.settings.ranges import compact, numbers, parse_depths, parse_seeds

EPILOG = examples("resnet-exp analyze shattered --depths 1,13,49 --width 100")
CLASS = PluginCommand


def command(
    depths: Annotated[str, typer.Option("--depths", help="Depths, such as 25 or 1..31:3.")] = "1,4,7,13,22,31",
    seeds: Annotated[str, typer.Option("--seeds", help="Seeds of the initial values, written like depths.")] = "0..49",
    width: Annotated[
        int | None, typer.Option("--width", min=1, help="Units per hidden layer. (default: that of the sine task)")
    ] = None,
    out: Annotated[Path, path_option("--out", help="Output folder.")] = Path("results", "shattered"),
    formats: Formats = "png,svg",
) -> None:
    """Measure how far gradients at two inputs agree, in untrained plain and residual MLPs with and without batch norm.

    Needs no stored runs. The gradient of the output with respect to the one input of the sine task is taken at 1024
    inputs, and compared with the theory of shattered gradients (Balduzzi et al. 2017).
    """
    from resnet_cli.analysis.shattered import combinations, measure, summarise
    from resnet_cli.training.device import prepare_device, resolve_device

    layers, wanted = numbers(parse_depths(depths)), numbers(parse_seeds(seeds))
    names = [f"{kind}, depth {depth}, batch norm {'on' if on else 'off'}" for on, kind, depth in combinations(layers)]
    prepare_device(resolve_device("cpu"), threads=1)  # many small products
    frame = joined(measure(layers, wanted, width), names)
    show_table(
        f"Correlation of gradients at different inputs, mean over seeds {compact(wanted)}",
        summarise(frame),
        {
            "neighbours": "nearest inputs",
            "reach": "distance of a half (median)",
            "correlation": "all pairs",
            "shared": "active at both",
        },
    )
    write("shattered", frame, out, formats)
