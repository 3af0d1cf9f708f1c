"""What all help pages share: the layout of examples, and the names for the values of options."""

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


def examples(*commands: str, title: str = "Examples:", note: str = "") -> str:
    """The end of a help page: example commands, one per line, then notes."""
    return "\n".join([title, *(f"[bold]{command}[/]" for command in commands), *([f"\n{note}"] if note else [])])


def name_values(command: Any) -> None:
    """Let the help pages of a command and those below it show a short name for each value, and none for flags.

    Args:
        command: as `typer.main.get_command` gives it, whose type Typer does not name.
    """
    context = typer.Context(command)
    for parameter in command.get_params(context):
        if isinstance(parameter, typer.core.TyperOption) and parameter.metavar is None:
            parameter.metavar = VALUES.get(str(parameter.display_type(context)))
    for inner in getattr(command, "commands", {}).values():
        name_values(inner)
