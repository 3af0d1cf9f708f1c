"""Drawings of a net's blocks, from top to bottom, in the manner of He et al. (arXiv 1512.03385), figures 2 and 5."""

import itertools
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from resnet_cli.figures.axes import POINTS_PER_INCH
from resnet_cli.figures.block_layout import BARE, BOX_HEIGHT, RADIUS, ROUND, Layout, Point, lay_out
from resnet_cli.figures.style import BLUE, GREY, look
from resnet_cli.settings.graph import BlockForm, Graph, Kind, Node

MAX_FORMS = 4
FONT_SIZE = 7.5
CENTRED: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": FONT_SIZE}
INK = "#222222"
FILLS: dict[Kind, tuple[str, str]] = {
    "weights": ("#D9E8F5", BLUE),
    "norm": ("#EFEFEF", "#8C8C8C"),
    "activation": ("#FBE6D4", "#C8700F"),
    "other": ("#DDF1E9", "#00875F"),
    "random": ("white", "#8C8C8C"),
    "concatenation": ("white", INK),
}
"""Inside and edge of a box."""
_CHARACTER_INCHES = 0.56 * FONT_SIZE / POINTS_PER_INCH
_MARGIN = 0.25
_HEADER = 0.95  # down to the centres of the inputs
_CORNER = 0.09  # radius


@look()
def draw(forms: Sequence[BlockForm], *, title: str) -> Figure:
    """Draw the forms of a net's blocks side by side, at most four; the title says how many more there are.

    Args:
        forms: as returned by `models.diagram.trace_blocks`.
        title: such as `resnet, depth 20`.
    """
    shown = forms[:MAX_FORMS]
    if len(forms) > MAX_FORMS:
        title += f" ({MAX_FORMS} of {len(forms)} forms of blocks)"
    labels = [node.label for form in shown for node in form.graph.nodes if node.kind not in ROUND]
    box_width = max(map(len, labels)) * _CHARACTER_INCHES + 0.1
    layouts = [lay_out(form.graph, box_width) for form in shown]
    headings = [_heading(form) for form in shown]
    halves = [max(map(len, heading)) * _CHARACTER_INCHES * 0.55 for heading in headings]
    lefts = [max(-layout.left, half) + _MARGIN for layout, half in zip(layouts, halves, strict=True)]
    rights = [max(layout.right, half) + _MARGIN for layout, half in zip(layouts, halves, strict=True)]
    needed = sum(lefts + rights)
    width = max(needed, len(title) * _CHARACTER_INCHES * 1.7 + _MARGIN)
    height = _HEADER + max(layout.height for layout in layouts) + _MARGIN
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    figure.suptitle(title, y=1 - 0.12 / height, va="top")
    x = (width - needed) / 2
    for form, layout, heading, left, right in zip(shown, layouts, headings, lefts, rights, strict=True):
        _draw_heading(axes, heading, x + left)
        _draw_graph(axes, form.graph, layout, box_width, (x + left, _HEADER))
        x += left + right
    return figure


def _heading(form: BlockForm) -> tuple[str, str]:
    """Which blocks have a form, and which of them is drawn."""
    if len(form.numbers) == 1:
        return f"block {form.number}", ""
    return f"blocks {_number_text(form.numbers)}", f"drawn: block {form.number}"


def _number_text(numbers: Sequence[int]) -> str:
    """Ascending numbers, three or more in a row as a range: `1–3, 5, 6`."""
    in_a_row = itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    runs = [[number for _, number in run] for _, run in in_a_row]
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def _draw_heading(axes: Axes, heading: tuple[str, str], x: float) -> None:
    for text, y, weight, colour in zip(heading, (0.5, 0.65), ("bold", "normal"), (INK, GREY), strict=True):
        axes.text(x, y, text, fontweight=weight, color=colour, **CENTRED)


def _draw_graph(axes: Axes, graph: Graph, layout: Layout, box_width: float, origin: Point) -> None:
    def moved(point: Point) -> Point:
        return origin[0] + point[0], origin[1] + point[1]

    for way in layout.ways:
        axes.add_patch(arrow([moved(point) for point in way]))
    for fork in layout.forks:
        axes.add_patch(Circle(moved(fork), 0.026, color=INK, linewidth=0, zorder=3))
    for index, node in enumerate(graph.nodes):
        _draw_node(axes, node, moved(layout.places[index]), box_width)
    for middle, end in layout.shortcuts:
        if graph.nodes[end].kind == "addition":
            x, y = moved(middle)
            axes.text(x + (0.1 if middle[0] > 0 else -0.1), y, "identity", color=GREY, rotation=270, **CENTRED)
    if layout.branches_end and graph.branches > 3:
        x, y = moved(layout.branches_end)
        axes.text(x, y + 0.18, f"… {graph.branches} branches in all", fontsize=FONT_SIZE, color=GREY, ha="center")


def _draw_node(axes: Axes, node: Node, place: Point, box_width: float) -> None:
    x, y = place
    if node.kind in ROUND:
        axes.add_patch(Circle(place, RADIUS, facecolor="white", edgecolor=INK, linewidth=0.9, zorder=3))
        reach = 0.055
        slant = 0.0 if node.kind == "addition" else reach * 0.72
        across = reach if node.kind == "addition" else slant
        for (dx, dy), (ex, ey) in (((-across, -slant), (across, slant)), ((-slant, across), (slant, -across))):
            axes.plot([x + dx, x + ex], [y + dy, y + ey], color=INK, linewidth=1.0, zorder=4)
        return
    if node.kind not in BARE:
        inside, edge = FILLS[node.kind]
        axes.add_patch(
            FancyBboxPatch(
                (x - box_width / 2, y - BOX_HEIGHT / 2),
                box_width,
                BOX_HEIGHT,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=inside,
                edgecolor=edge,
                linewidth=0.9,
                linestyle="--" if node.kind == "random" else "-",
                zorder=3,
            )
        )
    colour = GREY if node.kind in BARE else INK
    axes.text(x, y, node.label, color=colour, zorder=4, **CENTRED)


def arrow(corners: Sequence[Point], **style: Any) -> FancyArrowPatch:
    """A line along `corners`, rounded, with a head at its end; `style` is matplotlib's."""
    points, codes = [corners[0]], [Path.MOVETO]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        points += [_towards(corner, before), corner, _towards(corner, after)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    path = Path([*points, corners[-1]], [*codes, Path.LINETO])
    style = {"color": INK, "linewidth": 0.9, "zorder": 2, **style}
    return FancyArrowPatch(path=path, arrowstyle="-|>,head_length=3.6,head_width=1.8", mutation_scale=1, **style)


def _towards(corner: Point, end: Point) -> Point:
    """The point where a rounded corner begins or ends."""
    (x, y), (to_x, to_y) = corner, end
    length = abs(to_x - x) + abs(to_y - y)
    share = min(_CORNER / length, 0.5) if length else 0.0
    return x + share * (to_x - x), y + share * (to_y - y)
