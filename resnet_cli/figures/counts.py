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
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from resnet_cli.figures.axes import add_legend, add_title, new_figure
from resnet_cli.figures.style import BLUE, VERMILLION, look

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
_BAR, _TEXT = -0.12, 0.3  # places within a row that is 1 high


def draw(counts: pd.DataFrame, *, title: str | None = None, size: tuple[float, float] | None = None) -> Figure:
    """Draw parameters and multiply-adds as bars, with what texts say of them in words below and as marks.

    Args:
        counts: one row per net, from top to bottom: `net` (such as VGG-16 or ResNet-34), `parameters`, `multiply_adds`.
        title: instead of the finding.
        size: width and height in inches.
    """
    with look():
        figure = new_figure(size or (9.5, 1.6 + 0.55 * len(counts)))
        for axes, column in zip(figure.subplots(1, 2, sharey=True), UNITS, strict=True):
            _draw_column(axes, counts, column)
        what, share = "Parameters and operations of ImageNet nets", _ratio_text(counts)
        add_title(figure, title or share or what, what if title or share else "")
        entries = [
            Patch(facecolor=VERMILLION, label="counted, plain net"),
            Patch(facecolor=BLUE, label="counted, residual net"),
            Line2D([], [], linestyle="none", marker="|", **_mark(is_wrong=False), label="given by a text"),
            Line2D([], [], linestyle="none", marker="X", **_mark(is_wrong=True), label="wrong"),
        ]
        add_legend(figure, entries, ["paper: of the nets' authors; note: a German text on ResNets"])
    return figure


def _draw_column(axes: Axes, counts: pd.DataFrame, column: str) -> None:
    unit, label = UNITS[column]
    values = counts[column] / unit
    colours = [VERMILLION if net.startswith("VGG") else BLUE for net in counts["net"]]
    rows = range(len(counts))
    axes.barh([row + _BAR for row in rows], values, height=0.4, color=colours)
    for row, (net, value) in enumerate(zip(counts["net"], values, strict=True)):
        said = [statement for statement in STATEMENTS if (statement.net, statement.column) == (net, column)]
        for statement in said:
            is_wrong = bool(statement.mistake)
            axes.plot(
                statement.value, row + _BAR, marker="X" if is_wrong else "|", **_mark(is_wrong=is_wrong), zorder=4
            )
        end = max([value, *(statement.value for statement in said)])
        _write(axes, f"{value:.1f}", end, row + _BAR, fontsize=8)
        right = " · ".join(f"{statement.source} {statement.value:g}" for statement in said if not statement.mistake)
        wrong = " · ".join(f"{s.source} {s.value:g}, which is {s.mistake}" for s in said if s.mistake)
        _write(axes, right, 0, row + _TEXT, fontsize=7)
        _write(axes, wrong, 0.4 * values.max() if right else 0, row + _TEXT, fontsize=7, fontweight="bold")
    axes.set_yticks([row + _BAR for row in rows], counts["net"])
    axes.set_ylim(len(counts) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 1.12 * values.max())
    axes.set_xlabel(label)


def _write(axes: Axes, text: str, x: float, y: float, **style: Any) -> None:
    """Write `text` a little to the right of a point."""
    axes.annotate(text, (x, y), xytext=(6, 0), textcoords="offset points", va="center", **style)


def _mark(*, is_wrong: bool) -> dict[str, Any]:
    if is_wrong:
        return {"markersize": 8, "markerfacecolor": "black", "markeredgecolor": "white", "markeredgewidth": 0.8}
    return {"markersize": 13, "markeredgecolor": "black", "markeredgewidth": 1.4}


def _ratio_text(counts: pd.DataFrame) -> str:
    """ResNet-34's share of VGG-19's operations, where both were counted."""
    operations = counts.set_index("net")["multiply_adds"]
    if not {"ResNet-34", "VGG-19"} <= set(operations.index):
        return ""
    share = 100 * operations["ResNet-34"] / operations["VGG-19"]
    return f"ResNet-34 needs {share:.1f} % of VGG-19's multiply-adds (Kowsik: 18 %)"
