"""Options whose values are words, or lists of words joined by commas."""

from collections.abc import Collection, Sequence
from typing import Annotated

import typer

from resnet_cli.figures.kinds import FORMATS
from resnet_cli.settings.errors import UserError, either


def known_words(option: str, text: str, known: Sequence[str]) -> list[str]:
    """The words of a list. Raises UserError if one is not `known`."""
    words = [word.strip() for word in text.split(",")]
    if not set(words) <= set(known):
        several = "both joined by a comma" if len(known) == 2 else "several of them joined by commas"
        raise UserError(f"{option} (={text}) must be {either(known)}, or {several}.")
    return words


def check_word(option: str, text: str, known: Collection[str]) -> None:
    """Raise UserError if a word is not `known`."""
    if text not in known:
        raise UserError(f"{option} (={text}) must be one of {', '.join(known)}.")


def _check_formats(text: str) -> str:
    return ",".join(known_words("format", text, FORMATS))


Formats = Annotated[
    str,
    typer.Option("--format", callback=_check_formats, help=f"{', '.join(FORMATS)}, or several joined by commas."),
]
"""The formats of figures, checked before anything is computed."""
