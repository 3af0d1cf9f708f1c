"""Parameters and multiply-adds of ImageNet nets, counted from the nets, beside the numbers given in texts.

Papers: Simonyan & Zisserman 2014 (VGG, arXiv 1409.1556, Table 2: 138 and 144 million parameters) and He et al. 2015
(ResNet, arXiv 1512.03385, Table 1 and §4.1, in billions of multiply-adds, which it calls FLOPs). Its bottlenecks have
their stride on the first 1×1 convolution, the counted ones on the 3×3 convolution, as all later implementations do:
that is why ResNet-50 to 152 cost a little more here.

Texts that this project reproduces: Kowsik 2021 ("Residual Neural Networks", in German) gives VGG-16 143.6 and
ResNet-152 11.5 million parameters, VGG-19 19.6 and ResNet-34 3.6 billion operations, "only 18 %"; a German note on why
one uses ResNets gives ResNet-50 about 25 and VGG-16 138 million parameters.
"""

from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from resnet_cli.figures.axes import entry, finish, new_grid, write
from resnet_cli.figures.style import BLUE, GREY, PALETTE, VERMILLION, look

ANALYSIS = "counts"
COLOURS = {"VGG": VERMILLION, "ResNet": BLUE, "DenseNet": PALETTE[2]}
"""By the first word of a net's name."""
UNITS = {"parameters": (1e6, "parameters (millions)"), "multiply_adds": (1e9, "multiply-adds for an image (billions)")}


class Statement(NamedTuple):
    """What a text says about a net, in the unit of the column; `mistake` says what a wrong number really is."""

    net: str
    column: str
    value: float
    source: str
    mistake: str = ""


STATEMENTS = (
    Statement("VGG-16", "parameters", 138, "paper"),
    Statement("VGG-16", "parameters", 138, "note"),
    Statement("VGG-16", "parameters", 143.6, "Kowsik", "VGG-19's"),
    Statement("VGG-19", "parameters", 144, "paper"),
    Statement("ResNet-50", "parameters", 25, "note"),
    Statement("ResNet-152", "parameters", 11.5, "Kowsik", "its billions of multiply-adds"),
    Statement("VGG-16", "multiply_adds", 15.3, "paper"),
    Statement("VGG-19", "multiply_adds", 19.6, "paper"),
    Statement("VGG-19", "multiply_adds", 19.6, "Kowsik"),
    Statement("ResNet-18", "multiply_adds", 1.8, "paper"),
    Statement("ResNet-34", "multiply_adds", 3.6, "paper"),
    Statement("ResNet-34", "multiply_adds", 3.6, "Kowsik"),
    Statement("ResNet-50", "multiply_adds", 3.8, "paper"),
    Statement("ResNet-101", "multiply_adds", 7.6, "paper"),
    Statement("ResNet-152", "multiply_adds", 11.3, "paper"),
)
RIGHT: dict[str, Any] = {"marker": "|", "markersize": 13, "markeredgecolor": "black", "markeredgewidth": 1.4}
WRONG = {"marker": "X", "markersize": 8, "markerfacecolor": "black", "markeredgecolor": "white", "markeredgewidth": 0.8}
_BAR, _TEXT = -0.12, 0.3  # places within a row that is 1 high


@look()
def draw(counts: pd.DataFrame, *, title: str | None = None, size: tuple[float, float] | None = None) -> Figure:
    """Draw parameters and multiply-adds as bars, with what texts say of them in words below and as marks.

    `counts` has a row for each `net` (such as VGG-16), from top to bottom, with its `parameters` and `multiply_adds`.
    """
    figure, grid = new_grid(size or (9.5, 1.6 + 0.55 * len(counts)), 1, 2, sharey=True)
    for axes, column in zip(grid[0], UNITS, strict=True):
        _draw_column(axes, counts, column)
    what, share = "Parameters and operations of ImageNet nets", _ratio_text(counts)
    entries = [
        Patch(facecolor=VERMILLION, label="counted, plain net"),
        Patch(facecolor=BLUE, label="counted, residual net"),
        Patch(facecolor=COLOURS["DenseNet"], label="counted, dense net"),
        entry("given by a text", linestyle="none", **RIGHT),
        entry("wrong", linestyle="none", **WRONG),
    ]
    titles = (title or share or what, what if title or share else "")
    return finish(figure, titles, entries, ["paper: of the nets' authors; note: a German text on ResNets"])


def _draw_column(axes: Axes, counts: pd.DataFrame, column: str) -> None:
    unit, label = UNITS[column]
    values = counts[column] / unit
    colours = [COLOURS.get(net.partition("-")[0], GREY) for net in counts["net"]]
    rows = range(len(counts))
    axes.barh([row + _BAR for row in rows], values, height=0.4, color=colours)
    for row, (net, value) in enumerate(zip(counts["net"], values, strict=True)):
        said = [statement for statement in STATEMENTS if (statement.net, statement.column) == (net, column)]
        for statement in said:
            axes.plot(statement.value, row + _BAR, **(WRONG if statement.mistake else RIGHT), zorder=4)
        end = max([value, *(statement.value for statement in said)])
        write(axes, f"{value:.1f}", (end, row + _BAR), (6, 0), va="center", fontsize=8)
        right = " · ".join(f"{statement.source} {statement.value:g}" for statement in said if not statement.mistake)
        wrong = " · ".join(f"{s.source} {s.value:g}, which is {s.mistake}" for s in said if s.mistake)
        small: dict[str, Any] = {"va": "center", "fontsize": 7}
        write(axes, right, (0, row + _TEXT), (6, 0), **small)
        write(axes, wrong, (0.4 * values.max() if right else 0, row + _TEXT), (6, 0), **small, fontweight="bold")
    axes.set_yticks([row + _BAR for row in rows], counts["net"])
    axes.set_ylim(len(counts) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 1.12 * values.max())
    axes.set_xlabel(label)


def _ratio_text(counts: pd.DataFrame) -> str:
    """ResNet-34's share of VGG-19's operations, where both were counted."""
    operations = counts.set_index("net")["multiply_adds"]
    if not {"ResNet-34", "VGG-19"} <= set(operations.index):
        return ""
    share = 100 * operations["ResNet-34"] / operations["VGG-19"]
    return f"ResNet-34 needs {share:.1f} % of VGG-19's multiply-adds (Kowsik: 18 %)"
