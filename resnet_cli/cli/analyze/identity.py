"""`resnet-exp analyze identity`: how hard the identity is to learn for plain and for residual layers."""

from pathlib import Path
from typing import Annotated

import typer

from resnet_cli.cli.analyze.common import Device, Format, write
from resnet_cli.cli.help_pages import examples
from resnet_cli.spec.ranges import compact, numbers, parse_depths, parse_seeds

NAME = "identity"
EPILOG = examples(
    "resnet-exp analyze identity --depths 1..12 --steps 500",
    title="Example:",
)


def command(
    depths: Annotated[str, typer.Option("--depths", help="Layers of a stack, such as 8 or 1..12.")] = "1..4,6,8,12",
    seeds: Annotated[str, typer.Option("--seeds", help="Seeds, written like depths.")] = "0..4",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps.")] = 1000,
    block_size: Annotated[int, typer.Option("--block-size", min=1, help="Layers that a skip spans.")] = 2,
    device: Device = "auto",
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Output folder.")] = Path("results", "identity"),
    file_format: Format = "png,svg",
) -> None:
    """Train stacks of layers to give their input back, plain and residual, from smaller and larger initial weights.

    Needs no stored runs: a linear 3×3 filter, ReLU layers on vectors, and 3×3 convolutions with ReLU on digits.
    """
    import pandas as pd

    from resnet_cli.analysis.identity import describe, measure
    from resnet_cli.figures.identity import draw

    wanted = [numbers(parse_depths(depths)), numbers(parse_seeds(seeds))]
    typer.echo(f"Relative error after {steps} steps, median over seeds {compact(wanted[1])}:")
    parts = []
    for part in measure(*wanted, steps=steps, block_size=block_size, device=device):
        typer.echo(describe(part))
        parts.append(part)
    write("identity", pd.concat(parts, ignore_index=True), draw, out, file_format)
