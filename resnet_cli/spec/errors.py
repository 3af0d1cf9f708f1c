"""The one error a person can cause."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the person at the keyboard can mend.

    The message is one sentence: the option or file, its value, the rule, the fix. The command line prints it on
    stderr without a traceback and exits with code 2. Control characters, which names of files may hold, are replaced.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """`text` with a replacement character for everything that a terminal would obey instead of showing it."""
    return "".join(character if character.isprintable() else "�" for character in text)


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UserError:
    """An error that rejects `name` as a `kind`, suggests the nearest known name and lists them all."""
    names = sorted(known)
    return UserError(f"{kind} (={name}) is not known{did_you_mean(name, names)}; known are {', '.join(names)}.")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The nearest known name as a question in brackets, nothing if none is near."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
