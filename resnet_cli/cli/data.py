"""`resnet-exp data`: fetch data sets and check them."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import DataDir
from resnet_cli.settings.errors import unknown_name

if TYPE_CHECKING:
    from resnet_cli.tasks.archive import Archive

app = typer.Typer(
    help="Fetch and check data sets. Sine and digits need neither, as they come with the program.",
    no_args_is_help=True,
)


@app.command(epilog=examples("resnet-exp data fetch cifar10 --data-dir ~/data"))
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The data set to fetch: cifar10 or cifar100.")],
    data_dir: DataDir = None,
) -> None:
    """Download a data set (about 170 MB), verify it and unpack it. Does nothing if it exists already."""
    from resnet_cli.tasks import download

    typer.echo(download.fetch(_archive(name), data_dir, progress=sys.stderr.isatty()))


@app.command(epilog=examples("resnet-exp data check --data-dir ~/data"))
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The data set to check: cifar10 or cifar100.")] = (
        "cifar10"
    ),
    data_dir: DataDir = None,
) -> None:
    """Read every file of a data set (by default CIFAR-10) and say whether it holds the official images."""
    from resnet_cli.tasks import download

    typer.echo(download.check(_archive(name), data_dir))


def _archive(name: str) -> "Archive":
    from resnet_cli.tasks import all_tasks

    archives = {task.name: task.archive for task in all_tasks().values() if task.archive is not None}
    if name not in archives:
        raise unknown_name("data set", name, archives)
    return archives[name]
