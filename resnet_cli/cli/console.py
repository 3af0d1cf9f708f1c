"""The one way to make a console, and to complain on stderr."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from resnet_cli.settings.errors import UserError, printable
from resnet_cli.settings.format import FORMULA_STARTS

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

PIPE_WIDTH = 240
"""Width of output that is not shown on a terminal: wide enough that no row of a table is folded."""


def make_console() -> "Console":
    """A rich console on stdout: as wide as the terminal, or wide if it is a pipe or a file. Respects NO_COLOR."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(highlight=False, markup=False, emoji=False, width=width)


def say(console: "Console", sentence: str) -> None:
    """Print a sentence: broken between words on a terminal, on one line where nobody sees the width."""
    console.print("\n".join(map(printable, sentence.split("\n"))), soft_wrap=not console.is_terminal)


def print_csv(table: "pd.DataFrame") -> None:
    """Print a table as CSV. Text that a spreadsheet would take for a formula gets an apostrophe in front."""

    def harmless(value: object) -> object:
        return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value

    table.map(harmless).to_csv(sys.stdout, index=False, lineterminator="\n")


def complain(sentence: object) -> None:
    """Print a sentence on stderr after the name of the program."""
    typer.echo(f"resnet-exp: {printable(sentence)}", err=True)


def name_broken(problems: Sequence[str]) -> None:
    """Complain of what was left out; if anything was, the command ends with exit code 2."""
    for problem in problems:
        complain(problem)
    if problems:
        raise typer.Exit(UserError.exit_code)
