"""The loss around trained nets along random directions, in the manner of Li et al. 2018 (arXiv 1712.09913), Fig. 5."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import DOTTED, entry, finish, model_entries, new_grid, set_value_axis
from resnet_cli.figures.cells import split_cells
from resnet_cli.figures.style import ModelStyle, look, model_styles, ordered_models
from resnet_cli.settings.errors import UserError

ANALYSIS = "landscape"
MOST_COLUMNS = 6
MOST_SURFACES = 3
COLOURS = "cividis"  # from dark to light for everybody, colour-blind or not
HIGHEST = 10.0
"""Losses above so many times the constant answer's are drawn there."""
LOWEST = 1e-3
"""Losses below this share of the constant answer's are drawn there."""
LEVELS = 14
FLAT = 0.1
"""A surface whose losses differ by less than this share of the constant answer's has no line at that."""
_MEASURED = ["part", "draw", "x", "y", "loss", "constant_loss"]


@look()
def draw(frame: pd.DataFrame) -> Figure:
    """Draw the loss along one direction above, and its contours over two below, a row for each draw of directions.

    A column for each depth, combination of settings and model. Above there is a line for each seed and draw, below are
    the surfaces of the first seed that has some, with the constant answer's loss as a white line. All axes share one
    logarithmic scale, cut at its ends. `frame` has the columns that `analysis.landscape.measure_landscape` describes.

    Raises:
        UserError: there are more columns than a figure has room for.
    """
    runs = frame.drop_duplicates("run_id").drop(columns=_MEASURED)
    columns = _columns(runs)
    styles = model_styles(runs["model"])
    constant = float(frame["constant_loss"].iloc[0])
    low, high = LOWEST * constant, HIGHEST * constant
    heights = frame["loss"].fillna(high).clip(low, high)
    frame = frame.assign(loss=heights)
    surfaces = frame[frame["part"] == "surface"]
    draws = sorted(surfaces["draw"].unique())[:MOST_SURFACES]
    size = (1.6 + 2.3 * max(len(columns), 2), 1.9 + 2.1 * (1 + len(draws)))
    figure, grid = new_grid(size, 1 + len(draws), len(columns), sharex=True, sharey="row")
    levels = np.geomspace(heights.min(), heights.max() * 1.001, LEVELS)
    set_value_axis(grid[0, 0], np.append(heights, constant), "log", headroom=0.0)
    norm = BoundaryNorm(levels, 256)
    for line, (title, run_ids) in zip(grid.T, columns.items(), strict=True):
        line[0].set_title(title)
        of_column = frame[frame["run_id"].isin(run_ids)]
        _draw_cuts(line[0], of_column[of_column["part"] == "cut"], styles[str(of_column["model"].iloc[0])], constant)
        shown = of_column[of_column["part"] == "surface"]
        for axes, number in zip(line[1:], draws, strict=True):
            _draw_surface(axes, shown[shown["draw"] == number], levels, constant)
        line[-1].set_xlabel("first direction")
    grid[0, 0].set_ylabel("training loss")
    for axes, number in zip(grid[1:, 0], draws, strict=True):
        axes.set_ylabel(f"draw {number + 1}:\nsecond direction")
    if draws:
        mapped = ScalarMappable(norm, COLOURS)
        figure.colorbar(mapped, ax=list(grid[1:].flat), label="training loss", format="%.2g", pad=0.02)
    reach = frame["x"].max()
    notes = [
        f"lines: {frame['draw'].nunique()} draws of a direction for each of {runs['seed'].nunique()} seeds",
        "surfaces: the first seed" if draws else "",
        f"1 on an axis: as long as the weights, filter by filter; up to {reach:g}",
        f"losses are cut at {low:.2g} and {high:.2g}",
    ]
    entries = [*model_entries(styles, size=0), entry("constant answer (white in surfaces)", **DOTTED)]
    return finish(figure, _titles(runs), entries, notes)


def _columns(runs: pd.DataFrame) -> dict[str, list[str]]:
    """The run ids of each combination of depth, settings and model, by title."""
    columns = {}
    for title, run_ids in split_cells(runs).items():
        of_cell = runs[runs["run_id"].isin(run_ids)]
        for model in ordered_models(of_cell["model"]):
            columns[f"{model}\n{title}"] = list(of_cell.loc[of_cell["model"] == model, "run_id"])
    if len(columns) > MOST_COLUMNS:
        raise UserError(
            f"Depths, models and settings make {len(columns)} combinations, but this figure shows at most "
            f"{MOST_COLUMNS}; select fewer with --depths, --models or --where."
        )
    return columns


def _draw_cuts(axes: Axes, rows: pd.DataFrame, style: ModelStyle, constant: float) -> None:
    for _, cut in rows.groupby(["run_id", "draw"]):
        axes.plot(cut["x"], cut["loss"], color=style.colour, linewidth=0.8, alpha=0.75)
    axes.axhline(constant, **DOTTED)


def _draw_surface(axes: Axes, rows: pd.DataFrame, levels: np.ndarray, constant: float) -> None:
    """Filled contours of one seed, and the trained net in the middle."""
    if rows.empty:
        axes.set_visible(False)
        return
    one = rows[rows["run_id"] == rows["run_id"].iloc[0]]
    heights = one.pivot_table("loss", "y", "x")
    look_of: dict[str, Any] = {"levels": levels, "cmap": COLOURS, "norm": BoundaryNorm(levels, 256)}
    axes.contourf(heights.columns, heights.index, heights.to_numpy(), **look_of)
    if np.ptp(heights.to_numpy()) > FLAT * constant and heights.to_numpy().min() < constant < heights.to_numpy().max():
        axes.contour(heights.columns, heights.index, heights.to_numpy(), [constant], colors="white", linewidths=1.2)
    axes.plot([0], [0], marker="+", color="white", markersize=7)
    axes.grid(visible=False)
    axes.set_aspect("equal", adjustable="box")


def _titles(runs: pd.DataFrame) -> tuple[str, str]:
    return (
        f"{runs['task'].iloc[0]}: the training loss around trained nets",
        f"along random directions, normalised filter by filter; {run_table.range_text(run_table.seed_counts(runs))} "
        "seeds of each net",
    )
