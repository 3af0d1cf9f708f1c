"""`resnet-exp data`: fetch data sets and check them."""

import sys
from typing import Annotated

import typer

from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import DataDir
from resnet_cli.settings.errors import unknown_name

app = typer.Typer(
    help="Fetch and check data sets. Sine and digits need neither, as they come with the program.",
    no_args_is_help=True,
)

FETCHABLE = ("cifar10",)


@app.command(epilog=examples("resnet-exp data fetch cifar10 --data-dir ~/data", title="Example:"))
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The data set to fetch: cifar10.")],
    data_dir: DataDir = None,
) -> None:
    """Download a data set (cifar10: 170 MB), verify it and unpack it. Does nothing if it exists already."""
    if name not in FETCHABLE:
        raise unknown_name("data set to fetch", name, FETCHABLE)
    from resnet_cli.tasks import download

    typer.echo(download.fetch(data_dir, progress=sys.stderr.isatty()))


@app.command(epilog=examples("resnet-exp data check --data-dir ~/data", title="Example:"))
def check(data_dir: DataDir = None) -> None:
    """Read every CIFAR-10 file and say whether it holds the official images."""
    from resnet_cli.tasks import download

    typer.echo(download.check(data_dir))
