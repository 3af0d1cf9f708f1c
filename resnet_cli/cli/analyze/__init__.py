"""`resnet-exp analyze KIND`: why it happens. Any module in this folder with a `command` is a kind of analysis."""

import importlib
import pkgutil

import typer

from resnet_cli.cli.analyze.common import AnalysisCommand
from resnet_cli.cli.help_pages import examples

app = typer.Typer(
    no_args_is_help=True,
    help="Look into trained nets: each kind reads stored runs, writes a CSV and draws a figure.",
    epilog=examples(
        "resnet-exp sweep --task digits --depths 20 --save-models",
        "resnet-exp analyze remove results/digits",
        title="Start with:",
    ),
)

for info in pkgutil.iter_modules(__path__):
    module = importlib.import_module(f"{__name__}.{info.name}")
    if hasattr(module, "command"):
        app.command(info.name, cls=getattr(module, "CLASS", AnalysisCommand), epilog=module.EPILOG)(module.command)
