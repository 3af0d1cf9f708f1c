"""Options whose values are words, or lists of words joined by commas."""

from collections.abc import Collection, Sequence
from typing import Annotated

import typer

from resnet_cli.figures.kinds import FORMATS
from resnet_cli.settings.errors import UserError, not_among, shorten


def split_words(option: str, text: str) -> list[str]:
    """The words of a list. Raises UserError if one is empty."""
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise UserError(f"{option} (={shorten(text)}) is empty or has an empty part; give values separated by commas.")
    return words


def known_words(option: str, text: str, known: Sequence[str]) -> list[str]:
    """The words of a list. Raises UserError if one is not `known`."""
    words = [word.strip() for word in text.split(",")]
    if not set(words) <= set(known):
        raise not_among(option, text, known)
    return words


def known_word(option: str, text: str, known: Collection[str]) -> str:
    """A word. Raises UserError if it is not `known`."""
    if text not in known:
        raise UserError(f"{option} (={text}) must be one of {', '.join(known)}.")
    return text


def _check_formats(text: str) -> str:
    return ",".join(known_words("format", text, FORMATS))


Formats = Annotated[
    str,
    typer.Option("--format", callback=_check_formats, help=f"{', '.join(FORMATS)}, or several joined by commas."),
]
"""The formats of figures, checked before anything is computed."""
