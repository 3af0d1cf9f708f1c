"""`resnet-exp bench`: the speed of the engines on this machine."""

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
    device: Annotated[
        str, typer.Option("--device", help="cpu; or cuda, to check results and measure speed on a GPU.")
    ] = "cpu",
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=1000, help="Number of seeds in the sine sweep.")] = 5,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, max=100, help="Number of measurements of each engine.")
    ] = 2,
) -> None:
    """Measure the loop engine and the stacked engine on the sine sweep, and print their ratio and useful GFLOP/s."""
    from resnet_cli.execution.bench import bench

    bench(device, seeds, repeats)
