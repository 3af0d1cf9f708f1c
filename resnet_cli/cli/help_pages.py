"""What all help pages share: the layout of examples, and the names for the values of options."""

import inspect
import re
from typing import Any

import typer

VALUES = {
    "<bool>": "",
    "<int>": "N",
    "<int range>": "N",
    "<float>": "NUMBER",
    "<float range>": "NUMBER",
    "<str>": "WORD",
    "<path>": "PATH",
}
"""The names for the values of options, instead of Typer's names of their types."""


def examples(*commands: str, title: str = "", note: str = "") -> str:
    """The end of a help page: example commands, one per line, then notes."""
    title = title or ("Examples:" if len(commands) > 1 else "Example:")
    shown = "\n".join([title, *(f"[bold]{command}[/]" for command in commands)])
    return f"{shown}\n\n{note}" if note else shown


def tidy_help(command: Any) -> None:
    """Let the help pages of a command and those below it name values briefly, flags not at all, and fill their lines.

    Args:
        command: as `typer.main.get_command` gives it, whose type Typer does not name.
    """
    command.help = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(command.help or ""))
    context = typer.Context(command)
    for parameter in command.get_params(context):
        if parameter.metavar is None:
            is_option = isinstance(parameter, typer.core.TyperOption)
            parameter.metavar = (
                VALUES.get(str(parameter.display_type(context))) if is_option else parameter.name.upper()
            )
        if isinstance(parameter, typer.core.TyperArgument):
            parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign] # its name says enough
    for inner in getattr(command, "commands", {}).values():
        tidy_help(inner)
