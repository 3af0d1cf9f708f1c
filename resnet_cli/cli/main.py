"""The command `resnet-exp`: its commands, and the one place where errors become messages and exit codes."""

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from resnet_cli.cli import (
    analyze,
    claims,
    compare,
    configs,
    data,
    export,
    merge,
    models,
    pack,
    plot,
    report,
    run_once,
    show,
    sweep,
    tasks,
)
from resnet_cli.cli.console import complain
from resnet_cli.cli.help_pages import examples, tidy_help
from resnet_cli.cli.options import OneRunCommand, PluginCommand, SettingsCommand
from resnet_cli.settings.errors import UserError

app = typer.Typer(
    name="resnet-exp",
    help="Reproduce the degradation problem of deep plain networks, and its cure by residual connections.",
    epilog=examples("resnet-exp sweep --task sine --depths 2..40", "resnet-exp plot results/", title="Start with:"),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
TRAIN, LOOK, PREPARE = "Train nets", "Look at results", "What there is"
app.command("sweep", cls=SettingsCommand, epilog=sweep.EPILOG, rich_help_panel=TRAIN)(sweep.command)
app.command("run", cls=OneRunCommand, epilog=run_once.EPILOG, rich_help_panel=TRAIN)(run_once.command)
app.command("plot", cls=PluginCommand, epilog=plot.EPILOG, rich_help_panel=LOOK)(plot.command)
app.command("report", cls=PluginCommand, epilog=report.EPILOG, rich_help_panel=LOOK)(report.command)
app.command("show", cls=PluginCommand, epilog=show.EPILOG, rich_help_panel=LOOK)(show.command)
app.command("claims", cls=PluginCommand, epilog=claims.EPILOG, rich_help_panel=LOOK)(claims.command)
app.command("compare", cls=PluginCommand, epilog=compare.EPILOG, rich_help_panel=LOOK)(compare.command)
app.command("export", cls=PluginCommand, epilog=export.EPILOG, rich_help_panel=LOOK)(export.command)
app.command("merge", cls=PluginCommand, epilog=merge.EPILOG, rich_help_panel=LOOK)(merge.command)
app.command("pack", epilog=pack.PACK_EPILOG, rich_help_panel=LOOK)(pack.pack)
app.command("unpack", epilog=pack.UNPACK_EPILOG, rich_help_panel=LOOK)(pack.unpack)
app.add_typer(analyze.app, name="analyze", rich_help_panel=LOOK)
app.command("models", cls=PluginCommand, epilog=models.EPILOG, rich_help_panel=PREPARE)(models.command)
app.command("tasks", cls=PluginCommand, epilog=tasks.EPILOG, rich_help_panel=PREPARE)(tasks.command)
app.command("configs", epilog=configs.EPILOG, rich_help_panel=PREPARE)(configs.command)
app.add_typer(data.app, name="data", rich_help_panel=PREPARE)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"resnet-exp {version('resnet-exp')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command line and exit: 0 all done, 1 some runs failed or a file cannot be written, 2 wrong usage."""
    _prepare_streams()
    try:
        command = typer.main.get_command(app)
        tidy_help(command)
        code = command.main(prog_name="resnet-exp", standalone_mode=False)
    except UserError as error:
        _fail(str(error), error.exit_code)
    except TyperException as error:
        if message := error.format_message().rstrip("."):
            _fail(f"{message} See --help." if message.endswith("?") else f"{message}; see --help.")
        sys.exit(UserError.exit_code)  # a group without a command has shown its help
    except OSError as error:
        place = error.filename2 or error.filename or "the output or a file"
        _fail(f"{place} cannot be read or written: {error.strerror or error}.")
    sys.exit(code or 0)


def _prepare_streams() -> None:
    """Make sure that printing never fails: closed streams discard output, and limited encodings get question marks."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - it stays open
        elif isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _fail(sentence: str, code: int = UserError.exit_code) -> None:
    complain(sentence)
    sys.exit(code)
