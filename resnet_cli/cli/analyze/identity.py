"""`resnet-exp analyze identity`: how hard it is for plain and residual layers to learn the identity."""

from pathlib import Path
from typing import Annotated

import typer

from resnet_cli.cli.analyze.common import Device, joined, show_table, write
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import PluginCommand, path_option
from resnet_cli.cli.words import Formats
from resnet_cli.models.settings import INIT
from resnet_cli.settings.ranges import compact, numbers, parse_depths, parse_seeds

EPILOG = examples("resnet-exp analyze identity --depths 1..12 --steps 500")
CLASS = PluginCommand


def command(
    depths: Annotated[
        str, typer.Option("--depths", help="Numbers of layers in a stack, such as 8 or 1..12.")
    ] = "1..4,6,8,12",
    seeds: Annotated[str, typer.Option("--seeds", help="Seeds, written like depths.")] = "0..4",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps.")] = 1000,
    block_size: Annotated[int, typer.Option("--block-size", min=1, help="Number of layers that a skip spans.")] = 2,
    device: Device = "auto",
    out: Annotated[Path, path_option("--out", help="Output folder.")] = Path("results", "identity"),
    formats: Formats = "png,svg",
) -> None:
    """Train stacks of plain and residual layers to return their input, from smaller and larger initial weights.

    Needs no stored runs: a linear 3×3 filter, ReLU layers on vectors, and 3×3 convolutions with ReLU on digits.
    """
    from resnet_cli.analysis.identity import NEAR, experiments_of, measure, summarise

    wanted = [numbers(parse_depths(depths)), numbers(parse_seeds(seeds))]
    names = [f"{experiment}, depth {depth}" for experiment, depth in experiments_of(wanted[0])]
    frame = joined(measure(*wanted, steps=steps, block_size=block_size, device=device), names)
    show_table(
        f"Relative error after {steps} steps, median over seeds {compact(wanted[1])}",
        summarise(frame),
        {
            "depth": "layers",
            INIT.name: "initialisation",
            "near_plain": f"step with weights within {NEAR:g} of the identity: plain",
            "near_residual": "residual",
        },
    )
    write("identity", frame, out, formats)
