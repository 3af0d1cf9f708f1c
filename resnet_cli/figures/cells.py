"""What figures of analyses share: a cell for each depth and combination of settings, dots by model, robust limits."""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import new_grid, wrapped
from resnet_cli.figures.panels import split_panels
from resnet_cli.figures.run_table import Split
from resnet_cli.figures.style import GREY, ModelStyle, ordered_models
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import columns_of, describe

if TYPE_CHECKING:
    from pandas.api.typing import SeriesGroupBy

MAX_CELLS = 12
MAX_COLUMNS = 4
MIN_SEEDS = 3
"""With fewer seeds a title names no finding."""
_SPREAD = 0.18  # of the dots of one model, to each side


def split_cells(runs: pd.DataFrame) -> dict[str, list[str]]:
    """The run ids of each combination of depth and settings, by the cell's title.

    `runs` has one row per run: run_id, model, depth, and settings; no measurements. More combinations than one figure
    shows are a UserError.
    """
    panels = split_panels(runs)
    cells = {
        f"depth {depth}\n{panel.title}".strip(): list(of_depth["run_id"])
        for depth in sorted(runs["depth"].unique())
        for panel in panels
        if not (of_depth := panel.rows[panel.rows["depth"] == depth]).empty
    }
    if len(cells) > MAX_CELLS:
        raise UserError(
            f"Depths and settings make {len(cells)} combinations, but one figure shows at most {MAX_CELLS}; select "
            "fewer depths with --depths."
        )
    return cells


def new_cells(
    titles: Collection[str],
    y_labels: Sequence[str],
    *,
    cell: tuple[float, float],
    least: float,
    room: tuple[float, float],
) -> tuple[Figure, list[np.ndarray]]:
    """A figure with a title and a stack of axes, one for each of the `y_labels`, for each cell; and these stacks.

    In inches, `cell` is the size of a stack, `least` the width of all, and `room` the size of the rest of the figure.
    """
    across = min(len(titles), MAX_COLUMNS)
    down, high = math.ceil(len(titles) / across), len(y_labels)
    width = room[0] + max(cell[0] * across, least)
    figure, grid = new_grid((width, room[1] + cell[1] * down), high * down, across, sharey=True)
    stacks = [grid[row : row + high, column] for row in range(0, high * down, high) for column in range(across)]
    for stack, title in zip(stacks, titles, strict=False):
        stack[0].set_title("\n".join(wrapped(line, width / across - 0.4) for line in title.splitlines()))
    for axes, label in zip(grid[:, 0], itertools.cycle(y_labels), strict=False):
        axes.set_ylabel(label)
    return figure, stacks[: len(titles)]


def fewest_seeds(runs: pd.DataFrame) -> int:
    """The number of seeds of the model, depth and settings that have the fewest."""
    return int(run_table.seed_counts(runs).min())


def is_compared(runs: pd.DataFrame) -> bool:
    """Whether a title can name medians of the models: no other setting varies, and there are enough seeds."""
    return not run_table.varying_settings(runs) and fewest_seeds(runs) >= MIN_SEEDS and 1 < len(set(runs["model"])) <= 3


def named_values(values: Mapping[str, float], unit: str = "") -> str:
    """Values in words, such as `90 % in plain-cnn and 5.1 % in resnet`."""
    told = [f"{value:.3g}{unit} in {name}".replace("inf", "∞") for name, value in values.items()]
    return ", ".join(told[:-1]) + f" and {told[-1]}"


def compared_title(
    what: str, nets: pd.DataFrame, medians: "pd.Series[float]", words: str, unit: str = ""
) -> tuple[str, str]:
    """A title that names the medians of models after `words`, and `what` the figure is below; or `what` alone.

    The latter if the models cannot be compared (`is_compared`), or one of them has no median for want of finite values.
    """
    if not is_compared(nets) or len(medians) < nets["model"].nunique():
        return what, ""
    told = named_values({model: medians[model] for model in ordered_models(medians.index)}, unit)
    return f"{words} {told}", f"{what} (medians of {fewest_seeds(nets)} seeds)"


def draw_medians(
    axes: Axes, values: "SeriesGroupBy[float, Any]", *, color: str, alpha: float = 0.13, **line: Any
) -> "pd.Series[float]":
    """The medians of grouped values, drawn as a line with gaps where they are infinite, and a band from end to end."""
    median, high = values.median(), values.max()
    axes.plot(median.index, median.where(np.isfinite(median)), color=color, **line)
    if values.size().max() > 1:
        low = values.min()
        axes.fill_between(median.index, low, high, where=np.isfinite(low + high), color=color, alpha=alpha, linewidth=0)
    return median


def deepest_text(runs: pd.DataFrame, metric: str, split: Split) -> str | None:
    """What the models reach at the greatest depth that they share, such as `Median test loss at depth 56: …`.

    None where their medians cannot be compared (`is_compared`). `runs` has one row per run.
    """
    depths = [set(of_model) for _, of_model in runs.groupby("model", observed=True)["depth"]]
    shared = set.intersection(*depths)
    deepest = runs[runs["depth"] == max(shared, default=None)]
    if not shared or not is_compared(deepest):
        return None
    values = deepest[columns_of(metric, [split])[0]].mask(deepest["status"] == "diverged", describe(metric).worst)
    medians = values.groupby(deepest["model"]).median()
    reached = {str(model): float(medians[model]) for model in ordered_models(deepest["model"])}
    told = named_values(reached, describe(metric).sign)
    return f"Median {run_table.metric_text(metric, [split])} at depth {max(shared)}: {told}"


def draw_dots(axes: Axes, values: Mapping[str, Sequence[float]], styles: Mapping[str, ModelStyle]) -> None:
    """A dot for each of the finite `values` and a bar at the median, a column a model: with nothing to draw against."""
    for place, (model, heights) in enumerate(values.items()):
        style = styles[model]
        shifts = np.linspace(-_SPREAD, _SPREAD, len(heights)) if len(heights) > 1 else np.zeros(len(heights))
        look_of: dict[str, Any] = {"linestyle": "none", "markersize": 4.5, "alpha": 0.7}
        axes.plot(place + shifts, heights, color=style.colour, marker=style.marker, **look_of)
        if len(heights) > 1:
            axes.hlines(np.median(heights), place - 0.3, place + 0.3, color=style.colour, linewidth=1.8)
    axes.set_xticks(range(len(values)), list(values))
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    axes.spines["bottom"].set_color(GREY)


def without_spikes(values: np.ndarray, start: float = 0.0) -> np.ndarray:
    """The finite `values` that an axis must show: those above ten times the 95th percentile, and above `start`, go."""
    finite = values[np.isfinite(values)]
    highest = max(10 * float(np.quantile(finite, 0.95)), start) if finite.size else start
    shown: np.ndarray = finite[finite <= highest]
    return shown
