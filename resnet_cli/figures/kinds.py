"""The kinds of figures that `plot` draws, and the formats of their files; unlike other modules, without matplotlib."""

from collections.abc import Mapping
from typing import NamedTuple

from resnet_cli.models.settings import SURVIVAL

FORMATS = ("png", "svg", "pdf")


class Kind(NamedTuple):
    """A kind of figure: what it `shows`, for help pages, and what keeps runs from being drawn so, for errors."""

    shows: str
    obstacle: str = ""


OF_RUNS = {
    "depth": Kind("against depth", "are of one depth; use curves"),
    "parameters": Kind(
        "against the number of parameters, if nets of one model and depth differ in it",
        "do not differ in size at any depth; use depth or curves",
    ),
    "curves": Kind("learning curves", "have no evaluations; train them again"),
    "map": Kind(
        "by depth and a setting that is a number, see --x",
        "do not differ in a setting with five numbers or more, at several depths; name one with --x, or use depth",
    ),
    SURVIVAL.name: Kind(
        "survival probabilities, if they vary", f"do not differ in {SURVIVAL.name}; use depth or curves"
    ),
}
"""What `--kind` chooses: `api.sweep_drawings` draws these."""

ANALYSES = "analyses"
OF_PAGES = {**OF_RUNS, ANALYSES: Kind("of the analyses that are stored")}
"""What the option `--figures` of `report` chooses."""

WITHOUT_RUNS = {
    "winners": Kind("error and depth of ImageNet's winners"),
    "counts": Kind("parameters and operations of VGGs, ResNets and DenseNets"),
    "networks": Kind("VGG-19, plain-34 and ResNet-34 layer by layer"),
}
"""What `--figure` chooses: the package's function `plot_NAME` draws each."""


def listed(kinds: Mapping[str, Kind]) -> str:
    """The names of kinds, each with what it shows, for a help page."""
    return ", ".join(f"{name} ({kind.shows})" for name, kind in kinds.items())
