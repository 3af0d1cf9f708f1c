"""Drawings of whole nets side by side, from top to bottom, in the manner of He et al. (arXiv 1512.03385), figure 3."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from resnet_cli.figures.axes import POINTS_PER_INCH
from resnet_cli.figures.block_diagram import CENTRED, FONT_SIZE, INK, arrow
from resnet_cli.figures.net_layout import Chain, Skip, chain_of, rows_of
from resnet_cli.figures.style import GREY, PALE_GREY, look
from resnet_cli.settings.graph import Graph, Kind

STAGES = ("#D9E8F5", "#E7DDF0", "#DDF1E9", "#FBE6D4", "#F9DDE3", "#FFF3CC", "#E9E9E9")
"""Insides of layers that have weights, by resolution from the greatest on."""
PITCH, BOX_HEIGHT = 0.33, 0.2  # inches, as all below
LANE = 0.22
_LEFT, _TOP, _BOTTOM, _LINE = 0.85, 1.05, 0.25, 0.17
_GAP = 0.35
_CHARACTER_INCHES = 0.58 * FONT_SIZE / POINTS_PER_INCH
_ENDS = {"addition": "added", "multiplication": "multiplied", "concatenation": "concatenated"}
_NOTES = (
    "Left: resolution of the outputs. Not shown: layers that",
    "leave sizes as they are, such as batch norm and ReLU.",
)


class Net(NamedTuple):
    """A net to be drawn."""

    name: str  # may be empty
    caption: str  # a line below its name, such as its size
    graph: Graph  # from `models.diagram.trace_net`


@look()
def draw(nets: Sequence[Net], *, title: str) -> Figure:
    """Draw all layers of some nets that have weights or pool, and the shortcuts past them.

    Layers whose outputs have the same resolution stand side by side.
    """
    chains = [chain_of(net.graph) for net in nets]
    rows, starts = rows_of(chains)
    box_width = max(len(layer.label) for chain in chains for layer in chain.layers) * _CHARACTER_INCHES + 0.12
    lanes = [_lanes(chain.skips) for chain in chains]
    widths = [
        max(box_width + LANE * (1 + max(lane, default=-1)), 0.55 * _CHARACTER_INCHES * 2 * len(net.caption))
        for net, lane in zip(nets, lanes, strict=True)
    ]
    count = 1 + max(row for taken in rows for row in taken)
    needed = _LEFT + sum(widths) + _GAP * len(nets)
    width = max(needed, len(title) * _CHARACTER_INCHES * 1.7 + 0.2, max(map(len, _NOTES)) * _CHARACTER_INCHES + 0.2)
    kinds = list(dict.fromkeys((skip.join, skip.is_plain) for chain in chains for skip in chain.skips))
    foot = _TOP + count * PITCH
    height = foot + (len(kinds) + len(_NOTES)) * _LINE + _BOTTOM
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    figure.suptitle(title, y=1 - 0.12 / height, va="top")
    for number, (sides, start) in enumerate(starts.items()):
        y = _TOP + start * PITCH
        if number > 0:
            edge = y - PITCH / 2
            axes.plot([0.1, width - 0.1], [edge, edge], color=PALE_GREY, linewidth=0.5, linestyle=":", zorder=0)
        words = "×".join(map(str, sides)) if sides else "vector"
        axes.text(0.12, y, words, color=GREY, fontsize=FONT_SIZE, va="center")
    x = _LEFT + (width - needed) / 2
    for net, chain, taken, lane, room in zip(nets, chains, rows, lanes, widths, strict=True):
        centre = x + box_width / 2
        axes.text(centre, 0.55, net.name, fontweight="bold", color=INK, **CENTRED)
        axes.text(centre, 0.72, net.caption, color=GREY, **CENTRED)
        _draw_chain(axes, chain, taken, lane, list(starts), box_width, centre)
        x += room + _GAP
    _draw_notes(axes, kinds, width / 2, foot)
    return figure


def _lanes(skips: Sequence[Skip]) -> list[int]:
    """The lane of each shortcut, from 0: those of one lane follow each other."""
    ends: list[int] = []
    lanes = []
    for skip in sorted(skips, key=lambda skip: (skip.first, -skip.last)):
        lane = next((lane for lane, end in enumerate(ends) if end < skip.first), len(ends))
        ends[lane : lane + 1] = [skip.last]
        lanes.append(lane)
    return lanes


def _draw_chain(
    axes: Axes,
    chain: Chain,
    rows: Sequence[int],
    lanes: Sequence[int],
    resolutions: Sequence[tuple[int, ...]],
    box_width: float,
    x: float,
) -> None:
    heights = [_TOP + row * PITCH for row in rows]
    half = BOX_HEIGHT / 2
    for y, layer in zip(heights, chain.layers, strict=True):
        inside, edge = "white", GREY
        if layer.kind == "weights":
            inside, edge = STAGES[resolutions.index(layer.sides) % len(STAGES)], INK
        corner = (x - box_width / 2, y - half)
        style: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.05", "linewidth": 0.6, "zorder": 3}
        axes.add_patch(FancyBboxPatch(corner, box_width, BOX_HEIGHT, facecolor=inside, edgecolor=edge, **style))
        axes.text(x, y, layer.label, color=INK, zorder=4, **CENTRED)
    for y, below in pairwise(heights):
        axes.add_patch(arrow([(x, y + half), (x, below - half)], linewidth=0.6))
    nudge = 0.025
    ordered = sorted(chain.skips, key=lambda skip: (skip.first, -skip.last))
    for skip, lane in zip(ordered, lanes, strict=True):
        start = heights[skip.first] - (PITCH / 2) + nudge
        end = heights[skip.last] + (PITCH / 2) - nudge
        side = x + box_width / 2 + LANE * (0.6 + lane)
        way = [(x, start), (side, start), (side, end), (x, end)]
        axes.add_patch(arrow(way, linewidth=0.9, linestyle=_line(skip.is_plain)))


def _draw_notes(axes: Axes, kinds: Sequence[tuple[Kind, bool]], x: float, y: float) -> None:
    """What the lines of the shortcuts mean, one a line, then what is left out, below `y`."""
    for join, is_plain in kinds:
        y += _LINE
        words = f"{'shortcut' if is_plain else 'shortcut that changes its input'}, {_ENDS[join]}"
        half = len(words) * _CHARACTER_INCHES / 2
        axes.plot([x - half - 0.45, x - half - 0.1], [y, y], color=INK, linewidth=0.9, linestyle=_line(is_plain))
        axes.text(x, y, words, color=INK, **CENTRED)
    for note in _NOTES:
        y += _LINE
        axes.text(x, y, note, color=GREY, **CENTRED)


def _line(is_plain: bool) -> Any:
    """The style of a shortcut's line: dashed if it has operations of its own."""
    return "solid" if is_plain else (0, (2.5, 1.5))
