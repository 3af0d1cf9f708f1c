"""Heat maps over depth and a setting: cells, the line at the edge of trainability, axes, and the colour scale."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator

from resnet_cli.figures.axes import entry, have_room, plain_number
from resnet_cli.figures.run_table import Scale
from resnet_cli.figures.style import GREY

COLOURS = "viridis"
"""Perceptually uniform, and told apart by colour-blind people."""
EDGE = 0.5
"""Of what a constant answer reaches: below it a net counts as trained."""
MISSING = "#E3E3E3"
_DIVERGED: dict[str, Any] = {"hatch": "//////", "edgecolor": GREY, "linewidth": 0}
_LINE: dict[str, Any] = {"color": "black", "linewidth": 1.6}
_HALO = [Stroke(linewidth=3.4, foreground="white"), Normal()]


def are_multiplied(values: Sequence[float]) -> bool:
    """Whether the ratios of ascending values are more alike than their differences."""
    numbers = np.array(values, dtype=float)
    if len(numbers) < 3 or numbers[0] <= 0:
        return False
    steps, ratios = np.diff(numbers), np.diff(np.log(numbers))
    return bool(ratios.std() / ratios.mean() < steps.std() / steps.mean())


def borders(values: Sequence[float]) -> np.ndarray:
    """Where the cells of ascending values begin and end: half-way between them, in ratios if they are multiplied."""
    numbers = np.array(values, dtype=float)
    if are_multiplied(values):
        ends: np.ndarray = np.exp(_half_way(np.log(numbers)))
        return ends
    return _half_way(numbers)


def _half_way(numbers: np.ndarray) -> np.ndarray:
    if len(numbers) == 1:
        return np.array([numbers[0] - 0.5, numbers[0] + 0.5])
    middles = (numbers[1:] + numbers[:-1]) / 2
    return np.array([1.5 * numbers[0] - numbers[1] / 2, *middles, 1.5 * numbers[-1] - numbers[-2] / 2])


def colour_scale(values: np.ndarray, scale: Scale, highest: float | None) -> Normalize:
    """From the least finite value to the `highest`, by default the greatest; logarithmic if `scale` says so."""
    finite = values[np.isfinite(values)]
    shown = finite[finite > 0] if scale == "log" else finite
    low = float(shown.min()) if shown.size else 0.1
    high = float(shown.max()) if shown.size else 1.0
    if highest is not None and highest > low:
        high = highest
    if high <= low:
        high = 10 * low if low > 0 else low + 1
    return LogNorm(low, high) if scale == "log" else Normalize(low, high)


def draw_cells(axes: Axes, cells: pd.DataFrame, norm: Normalize, edge: float | None) -> None:
    """Draw a table of values by depth (rows) and setting (columns), both ascending: a coloured cell for each.

    An infinite value is hatched, a missing one is not drawn. A line runs between values below `edge` and others.
    """
    values = cells.to_numpy(dtype=float)
    x, y = (borders(list(map(float, values))) for values in (cells.columns, cells.index))
    axes.set_facecolor(MISSING)
    axes.grid(visible=False)
    if isinstance(norm, LogNorm) and norm.vmin is not None:  # zeros as the least value
        values = np.where(values <= 0, norm.vmin, values)
    mesh = np.ma.masked_where(~np.isfinite(values), values)
    axes.pcolormesh(x, y, mesh, norm=norm, cmap=COLOURS, rasterized=True)
    diverged = np.isinf(values)
    if diverged.any():
        axes.pcolor(
            x, y, np.ma.masked_where(~diverged, np.ones_like(values)), cmap=ListedColormap("white"), **_DIVERGED
        )
    if edge is not None:
        line = LineCollection(edge_segments(values, edge, x, y), **_LINE, capstyle="projecting", zorder=4)
        line.set_path_effects(_HALO)
        axes.add_collection(line, autolim=False)


def edge_segments(values: np.ndarray, edge: float, x: np.ndarray, y: np.ndarray) -> list[list[tuple[float, float]]]:
    """The borders between cells below `edge` and cells at or above it; none beside a missing cell.

    `values` is (rows, columns), `x` and `y` are the borders of columns and of rows.
    """
    trained, known = values < edge, ~np.isnan(values)
    segments: list[list[tuple[float, float]]] = []
    for row, column in np.argwhere((trained[:, 1:] != trained[:, :-1]) & known[:, 1:] & known[:, :-1]):
        segments.append([(x[column + 1], y[row]), (x[column + 1], y[row + 1])])
    for row, column in np.argwhere((trained[1:] != trained[:-1]) & known[1:] & known[:-1]):
        segments.append([(x[column], y[row + 1]), (x[column + 1], y[row + 1])])
    return segments


def set_map_axes(axes: Axes, x: Collection[float], depths: Collection[int], size: tuple[float, float]) -> None:
    """Scales, limits and ticks for all values of the setting and all depths, on axes of about `size` inches."""
    across, up = (sorted({float(value) for value in values}) for values in (x, depths))
    axes.set_xscale("log" if are_multiplied(across) else "linear")
    axes.set_yscale("log" if are_multiplied(up) else "linear")
    axes.set_xlim(*borders(across)[[0, -1]])
    axes.set_ylim(*borders(up)[[0, -1]])
    _set_ticks(axes.xaxis, across, size[0])
    _set_ticks(axes.yaxis, up, size[1])


def _set_ticks(axis: Axis, values: Sequence[float], length: float) -> None:
    multiplied = are_multiplied(values)
    if have_room(np.log(values) if multiplied else np.array(values), length):
        axis.set_major_locator(FixedLocator(values))
    elif multiplied:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if values[-1] < 300 * values[0] else (1,)))
    else:
        axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(plain_number)


def add_colour_scale(figure: Figure, grid: np.ndarray, norm: Normalize, label: str, edge: float | None) -> None:
    """A bar beside all axes that says what the colours mean, with the edge in it."""
    bar = figure.colorbar(
        ScalarMappable(norm, COLOURS), ax=list(grid.flat), label=label, fraction=0.05, pad=0.02, aspect=25
    )
    bar.outline.set_visible(False)
    bar.ax.minorticks_off()
    if edge is not None and norm.vmin is not None and norm.vmin < edge:
        bar.ax.axhline(edge, **_LINE)


def map_entries(values: np.ndarray, edge_text: str) -> list[Artist]:
    """Legend entries for what is in the cells: the edge, infinite values and missing ones."""
    entries: list[Artist] = [entry(edge_text, **_LINE)] if edge_text else []
    if np.isinf(values).any():
        entries.append(Patch(facecolor="white", label="diverged (half of the seeds or more)", **_DIVERGED))
    if np.isnan(values).any():
        entries.append(Patch(facecolor=MISSING, label="no run"))
    return entries
