"""A residual net of n blocks, and the same unravelled into its 2ⁿ paths (Veit et al. 2016, arXiv 1605.06431, Fig. 1).

With y₀ the input of the first block, y_l = y_(l−1) + f_l(y_(l−1)). Putting each equation into the next gives a tree:
y_n is the sum of y_(n−1) and f_n of another copy of it, and so on down to 2ⁿ copies of y₀. Every path from one of them
to y_n passes a different set of blocks.
"""

from collections.abc import Sequence
from math import comb
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

from resnet_cli.figures.axes import POINTS_PER_INCH
from resnet_cli.figures.block_diagram import CENTRED, FONT_SIZE, INK, arrow
from resnet_cli.figures.block_layout import BOX_HEIGHT, RADIUS, Point, main_way_and_detours
from resnet_cli.figures.net_diagram import STAGES
from resnet_cli.figures.style import GREY, look
from resnet_cli.settings.errors import UserError, either
from resnet_cli.settings.graph import Graph

FEWEST, MOST = 2, 4
PITCH, COLUMN = 0.43, 1.35  # inches, as all below
BOX_WIDTH = 0.55
_LEFT, _MARGIN, _TOP, _LINE = 1.7, 0.25, 0.75, 0.17
_CHARACTER_INCHES = 0.56 * FONT_SIZE / POINTS_PER_INCH
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class Residual(NamedTuple):
    """What a residual block does, in words."""

    branch: str  # such as `3×3 conv, 16→16; batch norm`
    shortcut: str  # `identity`, or what it does
    after: str  # the addition; may be empty


def residual_of(graph: Graph) -> Residual | None:
    """The parts of a block that adds a shortcut to its branch; None for any other block."""
    nodes = graph.nodes
    main, detours = main_way_and_detours(nodes)
    additions = [index for index in main if nodes[index].kind == "addition"]
    if not additions or any(node.kind in ("multiplication", "concatenation") for node in nodes):
        return None
    addition = additions[-1]
    skip = next((detour.steps for detour in detours if detour.end == addition), ())
    place = main.index(addition)

    def words(indices: Sequence[int]) -> str:
        return ", then ".join(nodes[index].label for index in indices)

    return Residual(words(main[1:place]), words(skip) or "identity", words(main[place + 1 : -1]))


@look()
def draw(blocks: Sequence[Graph], *, title: str) -> Figure:
    """Draw the residual blocks of a net one after another, and below them all paths through them.

    Args:
        blocks: of a net, as returned by `models.diagram.block_graphs`; those that are not residual are left out.
        title: such as `resnet, depth 8`.

    Raises:
        UserError: fewer than two or more than four of them are residual.
    """
    parts = [part for graph in blocks if (part := residual_of(graph))]
    count = len(parts)
    if not FEWEST <= count <= MOST:
        raise UserError(
            f"{title}: it has {count} residual blocks, but {FEWEST} to {MOST} can be unravelled (4 have 16 paths); "
            "choose another depth."
        )
    paths = 2**count
    texts = [f"{_f(number)}: {part.branch}; shortcut: {part.shortcut}" for number, part in enumerate(parts, 1)]
    if after := next((part.after for part in parts if part.after), ""):
        texts.append(f"Each addition is followed by {after}, which is not drawn.")
    lengths = range(count + 1)
    by_length = either((str(comb(count, length)) for length in lengths), "and")
    texts.append(f"{by_length} paths pass {either(map(str, lengths), 'and')} blocks (binomial coefficients).")
    texts.append("All copies of a block are the same, with the same weights.")
    width = _LEFT + count * COLUMN + 0.6 + _MARGIN
    width = max(width, max(map(len, [*texts, title])) * _CHARACTER_INCHES + 2 * _MARGIN)
    first = _TOP + 0.75
    below = first + 0.6
    height = below + (paths - 1) * PITCH + 0.4 + len(texts) * _LINE + 0.15
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    figure.suptitle(title, y=1 - 0.12 / height, va="top")
    bold: dict[str, Any] = {"fontsize": FONT_SIZE + 1, "fontweight": "bold", "color": INK}
    axes.text(_MARGIN, _TOP - 0.2, f"The net: {count} blocks, each with a shortcut", **bold)
    _draw_net(axes, count, first - 0.35)
    axes.text(_MARGIN, below - 0.4, f"The same, unravelled: {paths} paths", **bold)
    _draw_tree(axes, count, below)
    for number, text in enumerate(reversed(texts), 1):
        axes.text(_MARGIN, height - number * _LINE, text, fontsize=FONT_SIZE, color=GREY, va="center")
    return figure


def _f(number: int) -> str:
    return f"f{number}".translate(_SUBSCRIPTS)


def _draw_net(axes: Axes, count: int, y: float) -> None:
    """The blocks in a row; every shortcut passes above."""
    axes.text(_LEFT - 0.25, y, "y₀", color=INK, **CENTRED)
    start = _LEFT - 0.12
    for number in range(1, count + 1):
        addition = (_column(number) + 0.62, y)
        _draw_step(axes, number, (start, y), (addition[0] - RADIUS, y))
        fork = start + 0.1
        axes.add_patch(arrow([(fork, y), (fork, y - 0.28), (addition[0], y - 0.28), (addition[0], y - RADIUS)]))
        _draw_addition(axes, addition)
        start = addition[0] + RADIUS
    axes.add_patch(arrow([(start, y), (start + 0.3, y)]))
    axes.text(start + 0.42, y, f"y{count}".translate(_SUBSCRIPTS), color=INK, **CENTRED)


def _draw_tree(axes: Axes, count: int, top: float) -> None:
    """Each path in a row of its own, with the blocks that it passes to the left, until it is added to others."""
    for leaf in range(2**count):
        y = top + leaf * PITCH
        passed = [number for number in range(1, count + 1) if leaf >> (number - 1) & 1]
        words = f"{len(passed)} block{'' if len(passed) == 1 else 's'}"
        listed = ", ".join(map(_f, passed))
        axes.text(_MARGIN, y, f"{words}{': ' if passed else ''}{listed}", fontsize=FONT_SIZE, color=GREY, va="center")
        axes.text(_LEFT - 0.25, y, "y₀", color=INK, **CENTRED)
    ends: list[Point] = [(_LEFT - 0.12, top + leaf * PITCH) for leaf in range(2**count)]
    for number in range(1, count + 1):
        sums: list[Point] = []
        for (x, y), (below_x, below_y) in zip(ends[::2], ends[1::2], strict=True):
            addition = (_column(number) + 0.62, (y + below_y) / 2)
            axes.add_patch(arrow([(x, y), (addition[0], y), (addition[0], addition[1] - RADIUS)]))
            _draw_step(axes, number, (below_x, below_y), (addition[0], below_y), (addition[0], addition[1] + RADIUS))
            _draw_addition(axes, addition)
            sums.append((addition[0] + RADIUS, addition[1]))
        ends = sums
    ((x, y),) = ends
    axes.add_patch(arrow([(x, y), (x + 0.3, y)]))
    axes.text(x + 0.42, y, f"y{count}".translate(_SUBSCRIPTS), color=INK, **CENTRED)


def _column(number: int) -> float:
    """The centre of the boxes of a block."""
    return _LEFT + 0.5 + (number - 1) * COLUMN


def _draw_step(axes: Axes, number: int, start: Point, *way: Point) -> None:
    """A block, with a line that leads to it from `start` and one from it along `way`."""
    x, y = _column(number), start[1]
    axes.add_patch(arrow([start, (x - BOX_WIDTH / 2, y)]))
    style: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.06", "linewidth": 0.9, "zorder": 3}
    corner = (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2)
    axes.add_patch(FancyBboxPatch(corner, BOX_WIDTH, BOX_HEIGHT, facecolor=STAGES[number - 1], edgecolor=INK, **style))
    axes.text(x, y, _f(number), color=INK, zorder=4, **CENTRED)
    axes.add_patch(arrow([(x + BOX_WIDTH / 2, y), *way]))


def _draw_addition(axes: Axes, place: Point) -> None:
    axes.add_patch(Circle(place, RADIUS, facecolor="white", edgecolor=INK, linewidth=0.9, zorder=3))
    x, y = place
    for dx, dy in ((0.055, 0), (0, 0.055)):
        axes.plot([x - dx, x + dx], [y - dy, y + dy], color=INK, linewidth=1.0, zorder=4)
