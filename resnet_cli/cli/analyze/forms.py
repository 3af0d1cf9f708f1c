"""`resnet-exp analyze forms`: whether the three forms of a ResNeXt block compute the same function."""

from pathlib import Path
from typing import Annotated

import typer

from resnet_cli.cli.analyze.common import Device, joined, show_table, write
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import PluginCommand, path_option
from resnet_cli.cli.words import Formats
from resnet_cli.settings.ranges import MAX_COUNT, compact, numbers, parse_depths, parse_ranges, parse_seeds

EPILOG = examples("resnet-exp analyze forms --depths 11,29 --cardinalities 2,32")
CLASS = PluginCommand


def command(
    depths: Annotated[str, typer.Option("--depths", help="Depths, such as 11 or 11..29:9.")] = "11..29:9",
    cardinalities: Annotated[
        str, typer.Option("--cardinalities", help="Numbers of branches in a block, written like depths.")
    ] = "2,8",
    seeds: Annotated[str, typer.Option("--seeds", help="Seeds of the weights, written like depths.")] = "0..4",
    device: Device = "auto",
    out: Annotated[Path, path_option("--out", help="Output folder.")] = Path("results", "forms"),
    formats: Formats = "png,svg",
) -> None:
    """Compare the outputs and the gradients of nets in the three forms of ResNeXt, with the same random weights.

    Needs no stored runs. What is left between them is rounding, which shrinks from float32 to float64.
    """
    from resnet_cli.analysis.forms import make_runs, measure, summarise
    from resnet_cli.training.device import prepare_device, resolve_device

    branches = numbers(parse_ranges(cardinalities, option="cardinalities", minimum=1, maximum=MAX_COUNT))
    wanted = numbers(parse_seeds(seeds))
    runs = make_runs(numbers(parse_depths(depths)), branches, wanted)
    prepare_device(resolve_device(device), threads=1)  # many small convolutions
    frame = joined(measure(runs, device), [run.run_id for run in runs])
    show_table(
        f"Greatest relative difference between forms with the same weights, seeds {compact(wanted)}",
        summarise(frame),
        {"form_first": "one", "form_second": "other"},
    )
    write("forms", frame, out, formats)
