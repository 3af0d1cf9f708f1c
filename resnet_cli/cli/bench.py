"""`resnet-exp bench`: how fast the engines are on this machine."""

from typing import Annotated

import typer

from resnet_cli.cli.help_pages import examples

NAME = "bench"
EPILOG = examples(
    "resnet-exp bench",
    "resnet-exp bench --repeats 1",
    "resnet-exp bench --device cuda",
    note="It takes about five minutes on two cores.",
)


def command(
    device: Annotated[str, typer.Option("--device", help="cpu, or cuda for a check and the speed there.")] = "cpu",
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=1000, help="Seeds of the sine sweep.")] = 5,
    repeats: Annotated[int, typer.Option("--repeats", min=1, max=100, help="Measurements of each engine.")] = 2,
) -> None:
    """Measure the loop engine and the stacked engine on the sine sweep, and print their ratio and useful GFLOP/s."""
    from resnet_cli.sweep.bench import bench

    bench(device, seeds, repeats)
