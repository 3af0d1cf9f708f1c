"""Plug-in files on machines that do not have them: their text travels, and is run from a temporary file there."""

import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from resnet_cli.settings.discovery import load_plugins
from resnet_cli.settings.errors import UserError

Sources = tuple[tuple[str, bytes], ...]
"""Name and content of each plug-in file."""


def read_sources(paths: Iterable[str]) -> Sources:
    """The plug-in files at some paths. Raises UserError if one has become unreadable."""
    try:
        return tuple((Path(path).name, Path(path).read_bytes()) for path in paths)
    except OSError as error:
        raise UserError(f"plugin (={error.filename}) cannot be read: {error.strerror}; make it readable.") from None


@cache
def load_sources(sources: Sources) -> None:
    """Run plug-ins in this process, once. Raises UserError if one cannot be run here."""
    with tempfile.TemporaryDirectory(prefix="resnet-exp-plugins-") as folder:
        for number, (name, content) in enumerate(sources):
            copy = Path(folder, str(number), name)
            copy.parent.mkdir()
            copy.write_bytes(content)
            load_plugins(copy)
