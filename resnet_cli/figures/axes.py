"""The parts that figures share: the grid of axes, value and depth axes, title and legend."""

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke
from matplotlib.text import Annotation
from matplotlib.ticker import EngFormatter, FixedLocator, LogFormatterSciNotation, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike

from resnet_cli.figures.run_table import Scale, check_choice
from resnet_cli.figures.style import GREY, PALE_GREY, ModelStyle
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import describe

POINTS_PER_INCH = 72
LABEL_SIZE = 8
DOTTED: dict[str, Any] = {"color": GREY, "linestyle": ":", "linewidth": 1.2}
CHANCE_LINE: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "linestyle": (0, (1.5, 1.5))}
_CHARACTER_WIDTH = 0.55  # of DejaVu Sans, as a share of its size
_TICK_LABEL_INCHES = 0.26  # room for three digits


def new_figure(size: tuple[float, float]) -> Figure:
    """An empty figure without overlaps; UserError unless both sides, in inches, are above 0 and up to 100."""
    if not all(0 < side <= 100 for side in size):
        raise UserError(f"size (={size[0]:g}x{size[1]:g}) must be two lengths above 0 and up to 100 inches.")
    return Figure(figsize=size, layout="constrained")


def new_grid(size: tuple[float, float], down: int, across: int, **options: Any) -> tuple[Figure, np.ndarray]:
    """A `new_figure` and its axes by row and column; options are those of matplotlib's `subplots`."""
    figure = new_figure(size)
    return figure, figure.subplots(down, across, squeeze=False, **options)


def resolve_scale(scale: Scale, metric: str) -> Scale:
    """The scale of the value axis, one of auto, log and linear; `auto` means that of the metric."""
    check_choice("scale", scale, ("auto", "log", "linear"))
    if scale != "auto":
        return scale
    return describe(metric).scale


def set_value_axis(axes: Axes, values: np.ndarray, scale: Scale, *, headroom: float) -> None:
    """Set scale, limits and ticks of the y axis, for all `values` that will be drawn, infinities included.

    A log axis that must show zeros is linear below the smallest positive value. `headroom` is the share of the axis'
    height to leave free at the top.
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
        axes.yaxis.set_major_formatter(plain_number)


def _set_limits(axes: Axes, finite: np.ndarray, headroom: float) -> None:
    transform = axes.yaxis.get_transform()
    low, high = transform.transform([finite.min(), finite.max()]) if finite.size else (0.0, 1.0)
    span = (high - low) or 1.0
    padding = 0.04 * span
    top = low - padding + (span + 2 * padding) / (1 - headroom)
    axes.set_ylim(*transform.inverted().transform([low - padding, top]))


def set_depth_axis(axes: Axes, depths: Sequence[int], *, width: float) -> None:
    """Set scale, limits and integer ticks of the x axis, for ascending `depths` on an axis `width` inches wide.

    A few depths each get a tick, on a log axis if they would crowd on a linear one; many depths get round ticks.
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
        set_round_ticks(axes)
    if axes.get_xscale() == "linear":
        axes.set_xlim(numbers[0] - 0.03 * span, numbers[-1] + 0.03 * span)
    axes.xaxis.set_major_formatter(plain_number)


def set_size_axis(axes: Axes, sizes: Sequence[int]) -> None:
    """Set scale, limits and ticks of the x axis for numbers of parameters, ascending: `20 k`, `2 M`."""
    axes.set_xscale("log")
    margin = max((sizes[-1] / sizes[0]) ** 0.04, 1.05)
    axes.set_xlim(sizes[0] / margin, sizes[-1] * margin)
    is_wide = sizes[-1] > 300 * sizes[0]
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if is_wide else (1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter())


def set_round_ticks(axes: Axes, *, integer: bool = True, **options: Any) -> None:
    """Set ticks of the x axis at round numbers; options are those of matplotlib's `MaxNLocator`."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=integer, steps=[1, 2, 5, 10], **options))


def progress_label(axes: Axes, label: str, last: float) -> str:
    """The label of an x axis that ends at `last`, with ticks in thousands from ten thousand on."""
    if last < 10_000:
        return label
    axes.xaxis.set_major_formatter(lambda value, _position: f"{value / 1000:g}")
    return f"{label} (thousands)"


def plain_number(value: float, _position: float) -> str:
    """A tick label without powers of ten, where the number is neither very large nor very small."""
    return f"{value:g}"


def have_room(positions: np.ndarray, width: float) -> bool:
    """Whether tick labels at the ascending `positions` fit beside each other on an axis `width` inches long."""
    gaps = np.diff(positions)
    return not gaps.size or float(gaps.min() / gaps.sum()) * width >= _TICK_LABEL_INCHES


def write(axes: Axes, text: str, place: tuple[float, float], shift: tuple[float, float], **style: Any) -> Annotation:
    """Write at a place, in data coordinates or `xycoords`, but shifted to the right and up by so many points."""
    return axes.annotate(text, place, xytext=shift, textcoords="offset points", **style)


def write_count(axes: Axes, position: float, height: float, count: int, colour: str) -> None:
    """Write a number of runs small below a mark at x `position`, at `height` as a share of the axes' height."""
    style: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 5.5, "color": colour}
    write(axes, str(count), (position, height), (0, -3.5), xycoords=axes.get_xaxis_transform(), **style)


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


def label_ends(axes: Axes, lines: Mapping[str, Line2D]) -> None:
    """Name each of the `lines` of laid-out `axes` to the right of them, by its marker and its name.

    Names are in the order of the lines' last finite values, as close to them as possible without overlapping; that of
    a line which ends above or below the axes is at their edge.
    A grey elbow beyond the axes joins a name to a line that ends at their right edge.
    """
    gap = 1.3 * LABEL_SIZE / POINTS_PER_INCH * axes.figure.dpi / axes.bbox.height
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = {}
    for name, line in lines.items():
        points = np.asarray(line.get_xydata())
        finite = points[np.isfinite(points).all(axis=1)]
        ends[name] = to_axes.transform(finite[-1]) if len(finite) else (0.0, 1.0)
    order = sorted(ends, key=lambda name: float(ends[name][1]))
    ends = {name: (x, min(max(float(y), 0.0), 1.0)) for name, (x, y) in ends.items()}
    last = max(x for x, _ in ends.values())
    inch = axes.figure.dpi / axes.bbox.width  # as a share of the axes' width
    for name, height in zip(order, spread(np.array([ends[name][1] for name in order]), gap), strict=True):
        if ends[name][0] > last - 1e-6 and last > 0.9:
            elbow = ([1 + share * inch for share in (0.03, 0.08, 0.2, 0.25)], [ends[name][1]] * 2 + [height] * 2)
            axes.plot(*elbow, transform=axes.transAxes, color=PALE_GREY, linewidth=0.7, clip_on=False)
        colour, marker = lines[name].get_color(), lines[name].get_marker()
        look_of: dict[str, Any] = {"color": colour, "linestyle": "none", "marker": marker, "markersize": 4.5}
        axes.plot([1 + 0.32 * inch], [height], transform=axes.transAxes, **look_of, clip_on=False)
        style: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "axes fraction", "annotation_clip": False}
        axes.annotate(name, (1, height), (1 + 0.42 * inch, height), **style, va="center", fontsize=LABEL_SIZE)


def spread(wanted: np.ndarray, gap: float) -> np.ndarray:
    """The positions closest to the ascending `wanted` ones (least squares) that are at least `gap` apart.

    Neighbours that would be too close form a group around the mean of their wanted positions (isotonic regression).
    All lie between 0 and 1 if there is room for them.
    """
    steps = gap * np.arange(len(wanted))
    groups: list[list[float]] = []
    for wish in wanted - steps:
        groups.append([float(wish)])
        while len(groups) > 1 and np.mean(groups[-2]) > np.mean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    means = np.concatenate([np.full(len(group), np.mean(group)) for group in groups])
    places: np.ndarray = np.clip(means, 0, max(1 - float(steps[-1]), 0)) + steps
    return places


def label_outside(grid: np.ndarray, places: Collection[int], x_label: str, y_label: str) -> None:
    """Label the left and lower edge of a `grid` of axes, and hide those not in `places`, which count row by row."""
    down, across = grid.shape
    for place, axes in enumerate(grid.flat):
        axes.set_visible(place in places)
        if all(left not in places for left in range(place - place % across, place)):
            axes.set_ylabel(y_label)
        if all(below not in places for below in range(place + across, down * across, across)):
            axes.set_xlabel(x_label)
            axes.tick_params(labelbottom=True)


def add_headers(grid: np.ndarray, column_headers: Sequence[str], row_headers: Sequence[str]) -> None:
    """Put a header above each column of a `grid` of axes and one to the right of each row, as far as there are some."""
    for axes, header in zip(grid[0], column_headers, strict=False):
        write(axes, header, (0.5, 1), (0, 6), xycoords="axes fraction", ha="center")
    for axes, header in zip(grid[:, -1], row_headers, strict=False):
        write(axes, header, (1, 0.5), (6, 0), xycoords="axes fraction", va="center", rotation=270)


def add_title(figure: Figure, title: str, subtitle: str = "") -> None:
    """Put `title` at the top and `subtitle` below it in smaller type, both wrapped to fit."""
    above = wrapped(title, figure.get_figwidth(), size=11 * 1.1)
    below = wrapped(subtitle, figure.get_figwidth())
    figure.suptitle(above + "\n" * len(below.splitlines()))
    if below:
        points = 3 + 11 * 1.2 * len(above.splitlines()) + 3
        lower = ScaledTranslation(0, -points / POINTS_PER_INCH, figure.dpi_scale_trans)
        place: dict[str, Any] = {"transform": figure.transFigure + lower, "ha": "center", "va": "top"}
        figure.text(0.5, 1, below, fontsize=9, color=GREY, **place)


def mark_chance(axes: Axes, level: float, text: str = "") -> bool:
    """A thin line at `level`, what a net reaches that always gives the same answer, with `text` above its left end.

    A level beyond the limits of the axes is not drawn, and False is returned.
    """
    low, high = axes.get_ylim()
    if not low <= level <= high:
        return False
    axes.axhline(level, **CHANCE_LINE, zorder=1)
    if text:
        style: dict[str, Any] = {"va": "bottom", "fontsize": 7, "color": GREY, "zorder": 5}
        label = write(axes, text, (0.01, level), (0, 2), xycoords=axes.get_yaxis_transform(), **style)
        label.set_path_effects([Stroke(linewidth=2, foreground="white"), Normal()])
    return True


def entry(label: str, **line: Any) -> Line2D:
    """A legend entry that shows a line or its marker."""
    return Line2D([], [], label=label, **line)


def model_entries(styles: Mapping[str, ModelStyle], *, size: float = 4) -> list[Artist]:
    """Legend entries of models: a line in a model's colour with its marker of some `size`."""
    return [entry(name, color=style.colour, marker=style.marker, markersize=size) for name, style in styles.items()]


def draw_runs(axes: Axes, x: Any, values: "pd.Series[float]", colour: str, *, size: float, alpha: float) -> None:
    """A pale dot for each run that has a finite value."""
    look_of: dict[str, Any] = {"linestyle": "none", "marker": ".", "markersize": size, "markeredgewidth": 0}
    axes.plot(x, values.where(np.isfinite(values)), **look_of, color=colour, alpha=alpha, zorder=2)


def finish(figure: Figure, titles: tuple[str, str], entries: Sequence[Artist], notes: Sequence[str]) -> Figure:
    """The figure with title and subtitle (`add_title`) and a legend (`add_legend`)."""
    add_title(figure, *titles)
    add_legend(figure, entries, notes)
    return figure


def add_legend(figure: Figure, entries: Sequence[Artist], notes: Sequence[str]) -> None:
    """Put the `notes`, as one sentence, and the legend `entries` below all axes, in as few rows as fit."""
    sentence = "; ".join(filter(None, notes)) + "."
    most = max(len(entries), 1)
    for rows in range(1, most + 1):
        legend = figure.legend(
            handles=entries,
            loc="outside lower center",
            ncols=math.ceil(most / rows),
            title=wrapped(sentence[:1].upper() + sentence[1:], figure.get_figwidth(), size=8),
        )
        legend.get_title().set_multialignment("center")
        if legend.get_window_extent().width <= figure.bbox.width or rows == most:
            return
        legend.remove()


def wrapped(text: str, inches: float, *, size: float = 9) -> str:
    """`text`, set in `size` points, broken into lines that are about `inches` wide, none before a percent sign."""
    text = text.replace(" %", "\N{NO-BREAK SPACE}%")
    return textwrap.fill(
        text, max(int(inches * POINTS_PER_INCH / (_CHARACTER_WIDTH * size)), 10), break_on_hyphens=False
    )
