"""The error for everything that a user can cause and correct."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can correct.

    The message is one sentence that names the option or file, its value, the rule and the fix. The command line prints
    it to stderr without a traceback and exits with code 2.
    """


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UserError:
    """The error for an unknown `name`: it suggests the closest known name of this `kind` and lists all of them."""
    names = sorted(known)
    return UserError(f"{kind} (={name}) is not known{did_you_mean(name, names)}; known are {', '.join(names)}.")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The closest known name as a question in brackets, or nothing if none is close."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
