"""Options that name files and folders: `~` is the home folder, although shells leave it as it is after `--out=`."""

from pathlib import Path

import typer

from resnet_cli.settings.request import expand_home


def in_home(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    """Callback of an option that takes a path. Raises UserError if there is no such home folder."""
    return None if path is None else expand_home(str(parameter.name), path)
