"""Draws the pictures of the pages again from the committed tables, each by the command that a reader would type.

`python -m tests.pictures` renews every PNG below docs/results; its name says how it was made.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from resnet_cli.api import plot_analysis
from resnet_cli.figures.style import render
from tests.pages import REFERENCE

BY = re.compile(r"(?:loss|error)-(?:by-depth-and|curves-by)-(?P<setting>.+)")


def main() -> None:
    """Redraw what lies in the folders figures/ and analysis/, and the drawings that need no runs."""
    for picture in sorted(REFERENCE.rglob("*.png")):
        table = picture.with_suffix(".csv")
        if picture.parent.name == "figures" and picture.parent.parent != REFERENCE:
            _redraw_sweep(picture)
        elif table.exists():
            picture.write_bytes(render(plot_analysis(picture.stem, table), ".png"))
    _call("plot", "--figure", "winners,counts", "--format", "png", "--out", REFERENCE / "figures")
    _call("models", "bottleneck-resnet", "--draw", REFERENCE / "figures/bottleneck.png")


def _redraw_sweep(picture: Path) -> None:
    compared = BY.fullmatch(picture.stem)
    options = ["--by", compared["setting"]] if compared else []
    with tempfile.TemporaryDirectory() as folder:
        _call("plot", picture.parents[1], *options, "--format", "png", "--out", folder)
        shutil.copyfile(Path(folder, picture.name), picture)


def _call(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "resnet_cli", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
