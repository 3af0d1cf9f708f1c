"""The parts that figures share: a grid of axes, the value axis, the depth axis, title and legend."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogFormatterSciNotation, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from resnet_cli.figures.frames import Metric, Scale, check_choice
from resnet_cli.spec.errors import UserError

POINTS_PER_INCH = 72
_CHARACTER_WIDTH = 0.55  # of DejaVu Sans, as a share of its size
_TICK_LABEL_INCHES = 0.26  # room for three digits


def new_figure(size: tuple[float, float]) -> Figure:
    """An empty figure of `size` (width and height in inches) that keeps its parts from overlapping.

    Raises:
        UserError: a side is not positive, or longer than 100 inches.
    """
    if not all(0 < side <= 100 for side in size):
        raise UserError(f"size (={size[0]:g}x{size[1]:g}) must be two lengths above 0 and up to 100 inches.")
    return Figure(figsize=size, layout="constrained")


def resolve_scale(scale: Scale, metric: Metric) -> Scale:
    """`auto` means log for a loss and linear for an error.

    Raises:
        UserError: `scale` is none of auto, log and linear.
    """
    check_choice("scale", scale, ("auto", "log", "linear"))
    if scale != "auto":
        return scale
    return "log" if metric == "loss" else "linear"


def set_value_axis(axes: Axes, values: np.ndarray, scale: Scale, *, headroom: float) -> None:
    """Scale, limits and ticks of the y axis, for `values` that may hold infinities.

    A log axis that must show zeros is linear below the smallest positive value.

    Args:
        axes: one of the axes that share the y axis.
        values: everything that will be drawn.
        scale: log or linear.
        headroom: share of the axis' height to leave free at the top.
    """
    finite = values[np.isfinite(values)]
    positive = finite[finite > 0]
    if scale == "linear" or not positive.size:
        _set_limits(axes, finite, headroom)
        axes.set_ylim(bottom=max(axes.get_ylim()[0], 0.0))
        return
    if positive.size < finite.size:
        axes.set_yscale("symlog", linthresh=positive.min(), linscale=0.6)
        decades = np.arange(math.ceil(np.log10(positive.min())), math.floor(np.log10(positive.max())) + 1)
        axes.yaxis.set_major_locator(FixedLocator([0, *10.0 ** decades[:: math.ceil(len(decades) / 8) or 1]]))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_yscale("log")
        if positive.max() < 300 * positive.min():
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=(np.inf, np.inf)))
            axes.yaxis.set_minor_locator(NullLocator())
    _set_limits(axes, finite, headroom)
    if positive.min() >= 1e-4 and positive.max() < 1e4:
        axes.yaxis.set_major_formatter(_plain_number)


def _set_limits(axes: Axes, finite: np.ndarray, headroom: float) -> None:
    transform = axes.yaxis.get_transform()
    low, high = transform.transform([finite.min(), finite.max()]) if finite.size else (0.0, 1.0)
    span = (high - low) or 1.0
    padding = 0.04 * span
    top = low - padding + (span + 2 * padding) / (1 - headroom)
    axes.set_ylim(*transform.inverted().transform([low - padding, top]))


def set_depth_axis(axes: Axes, depths: Sequence[int], *, width: float) -> None:
    """Scale, limits and whole-number ticks of the x axis, for ascending `depths` on an axis `width` inches wide.

    A few depths are ticked one by one, on a log axis where they would crowd on a linear one; many share round ticks.
    """
    numbers = np.array(depths, dtype=float)
    span = np.ptp(numbers) or 1.0
    if have_room(numbers, width):
        axes.xaxis.set_major_locator(FixedLocator(depths))
    elif have_room(np.log(numbers), width):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(depths))
        axes.xaxis.set_minor_locator(NullLocator())
        margin = (numbers[-1] / numbers[0]) ** 0.04
        axes.set_xlim(numbers[0] / margin, numbers[-1] * margin)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    if axes.get_xscale() == "linear":
        axes.set_xlim(numbers[0] - 0.03 * span, numbers[-1] + 0.03 * span)
    axes.xaxis.set_major_formatter(_plain_number)


def _plain_number(value: float, _position: float) -> str:
    return f"{value:g}"


def have_room(positions: np.ndarray, width: float) -> bool:
    """Whether tick labels at the ascending `positions` fit beside each other on an axis `width` inches long."""
    gaps = np.diff(positions)
    return not gaps.size or float(gaps.min() / gaps.sum()) * width >= _TICK_LABEL_INCHES


def mark_diverged(axes: Axes, positions: ArrayLike, height: float, colour: str) -> None:
    """Put a cross at each x of `positions`, at `height` as a share of the axes' height."""
    axes.plot(
        positions,
        np.full(np.shape(positions), height),
        transform=axes.get_xaxis_transform(),
        color=colour,
        linestyle="none",
        marker="x",
        markersize=4.5,
        markeredgewidth=1.3,
        label="diverged",
        zorder=4,
    )


def label_outside(grid: np.ndarray, count: int, x_label: str, y_label: str) -> None:
    """Label the left and lower edge of a `grid` of axes, of which only the first `count` are used."""
    across = grid.shape[1]
    for position, axes in enumerate(grid.flat):
        axes.set_visible(position < count)
        if position % across == 0:
            axes.set_ylabel(y_label)
        if position + across >= count:
            axes.set_xlabel(x_label)
            axes.tick_params(labelbottom=True)


def add_title(figure: Figure, title: str) -> None:
    """Put `title` on top, broken into lines that fit."""
    figure.suptitle(wrapped(title, figure.get_figwidth(), size=11 * 1.1))


def add_legend(figure: Figure, entries: Sequence[Artist], notes: Sequence[str]) -> None:
    """Put the `notes`, as one sentence, and the legend `entries` below all axes, in as few rows as fit."""
    sentence = "; ".join(filter(None, notes)) + "."
    for rows in range(1, len(entries) + 1):
        legend = figure.legend(
            handles=entries,
            loc="outside lower center",
            ncols=math.ceil(len(entries) / rows),
            title=wrapped(sentence[:1].upper() + sentence[1:], figure.get_figwidth(), size=8),
        )
        if legend.get_window_extent().width <= figure.bbox.width or rows == len(entries):
            return
        legend.remove()


def wrapped(text: str, inches: float, *, size: float) -> str:
    """`text`, set in `size` points, broken into lines that are about `inches` wide."""
    return textwrap.fill(text, max(int(inches * POINTS_PER_INCH / (_CHARACTER_WIDTH * size)), 10))
