"""What all help pages share: how their examples stand, and what they call the values of options."""

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
"""What options call their values, instead of what Typer calls the type."""


def examples(*commands: str, title: str = "Examples:", note: str = "") -> str:
    """The end of a help page: commands, one a line, then what else there is to say."""
    return "\n".join([title, *(f"[bold]{command}[/]" for command in commands), *([f"\n{note}"] if note else [])])


def name_values(command: typer.core.TyperCommand) -> None:
    """Let the help pages of a command and those below it show a short name for each value, and none for flags."""
    context = typer.Context(command)
    for parameter in command.get_params(context):
        if isinstance(parameter, typer.core.TyperOption) and parameter.metavar is None:
            parameter.metavar = VALUES.get(str(parameter.display_type(context)))
    for inner in getattr(command, "commands", {}).values():
        name_values(inner)
