"""The errors that a user can cause and correct."""

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """A mistake that the user can correct: one sentence names the option or file, its value, the rule and the fix.

    The command line prints it to stderr without a traceback and exits with `exit_code`.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class StorageError(UserError):
    """A file could not be written: the disk is full, a quota is used up, or the place is read-only.

    Nothing is half-written, and the same command continues once there is room.
    """

    exit_code = 1

    def __init__(self, path: Path, error: OSError) -> None:
        fix = _REMEDIES.get(error.errno or 0, "make that place writable")
        super().__init__(
            f"{path} cannot be written: {error.strerror or error}; {fix}, then repeat the same command: "
            "finished work is kept."
        )
        self.path, self.error = path, error

    def __reduce__(self) -> tuple[type["StorageError"], tuple[Path, OSError]]:
        return StorageError, (self.path, self.error)  # it travels from worker processes


_REMEDIES = {
    errno.ENOSPC: "free some space there",
    getattr(errno, "EDQUOT", errno.ENOSPC): "free some of your quota there",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EIO: "check the disk or the network drive",
}


def shorten(value: object, limit: int = 60) -> str:
    """`value` as one printable line of at most `limit` characters, for an error message."""
    try:
        text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    except ValueError:  # Python does not write out a whole number of thousands of digits
        text = "a number of thousands of digits"
    text = printable(text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def printable(text: object) -> str:
    """`text` with a replacement character for everything that a terminal would obey instead of showing it."""
    return "".join(character if character.isprintable() else "�" for character in str(text))


def unknown_name(kind: str, name: object, known: Iterable[str], others: str = "") -> UserError:
    """The error for an unknown `name`: it suggests the closest known name of this `kind` and lists all of them."""
    name, names = shorten(name), sorted(known)
    return UserError(f"{kind} (={name}) is not known{did_you_mean(name, names)}; known are {', '.join(names)}{others}.")


def either(names: Iterable[str], last_word: str = "or") -> str:
    """The names as in a sentence: `a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} {last_word} {last}" if others else last


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The closest known name as a question in brackets, or nothing if none is close."""
    near = difflib.get_close_matches(shorten(name), list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
