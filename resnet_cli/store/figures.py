"""Figures as files."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from resnet_cli.figures.style import render
from resnet_cli.store.files import remove_temporary_files, write_bytes


def write_figure(
    figure: Figure, folder: Path, name: str, formats: Sequence[str] = ("png",), *, dpi: float = 150
) -> list[Path]:
    """Write a figure into a folder in each of the `formats` (`figures.kinds.FORMATS`), and return the paths.

    Raises:
        UserError: a format is unknown, or a file cannot be written.
    """
    remove_temporary_files(folder)
    paths = [folder / f"{name}.{extension}" for extension in formats]
    for path in paths:
        write_bytes(path, render(figure, path.suffix, dpi=dpi))
    return paths
