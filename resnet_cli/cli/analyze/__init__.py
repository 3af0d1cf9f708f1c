"""`resnet-exp analyze KIND`: why it happens. Any module in this folder that defines `NAME` is a kind of analysis."""

import importlib
import pkgutil

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Look into trained nets: each kind reads stored runs, writes a CSV and draws a figure.",
    epilog="Start with: resnet-exp sweep --task digits --depths 20 --save-models, then "
    "resnet-exp analyze remove results/digits",
)

for info in pkgutil.iter_modules(__path__):
    module = importlib.import_module(f"{__name__}.{info.name}")
    if hasattr(module, "NAME"):
        app.command(module.NAME, epilog=module.EPILOG)(module.command)
