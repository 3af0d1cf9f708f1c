"""Gradient norms of weight layers: by layer at initialisation and after training, and of the first layer during it."""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import add_legend, add_title, model_entries, new_figure, set_value_axis, wrapped
from resnet_cli.figures.cells import compared_title, draw_dots, draw_medians, split_cells
from resnet_cli.figures.style import GREY, ModelStyle, look, model_styles, ordered_models

ANALYSIS = "gradients"
MAX_COLUMNS = 4
_MEASURED = ["step", "train_loss", "stored_loss", "layer", "name", "gradient_norm"]


class _Row(NamedTuple):
    """What one axes of a cell shows."""

    x: str  # column
    x_label: str
    y_label: str


ROWS = {
    "initial": _Row("layer", "layer, from the input", "gradient norm\nat initialisation"),
    "trained": _Row("layer", "layer, from the input", "gradient norm\nafter training"),
    "through": _Row("step", "step", "gradient norm of\nthe first layer"),
}


def draw(frame: pd.DataFrame) -> Figure:
    """Draw a column of three axes for each combination of depth and settings, a line for each model.

    From top to bottom: the gradient norm of every layer at initialisation, the same after training, and that of the
    first layer during training. Lines are medians over seeds, with a band. A gradient of exactly zero stands at the
    bottom of its axis, below a linear stretch, and is marked. Values that are not finite are left out and counted.

    Args:
        frame: one row per run, evaluation and layer: run_id, task, model, depth, seed, status, step, layer (from 1),
            gradient_norm, and the settings that vary.

    Raises:
        UserError: there are too many combinations of depth and settings.
    """
    runs = frame.drop_duplicates("run_id")
    cells = [
        (title, frame[frame["run_id"].isin(ids)]) for title, ids in split_cells(runs.drop(columns=_MEASURED)).items()
    ]
    finite = frame[np.isfinite(frame["gradient_norm"])]
    across = min(len(cells), MAX_COLUMNS)
    tiers = math.ceil(len(cells) / across)
    size = (1.4 + max(2.6 * across, 4.2), 1.3 + 5.6 * tiers)
    styles = model_styles(runs["model"])
    has_zeros = bool((finite["gradient_norm"] == 0).any())

    with look():
        figure = new_figure(size)
        grid = figure.subplots(3 * tiers, across, sharey=True, squeeze=False)
        set_value_axis(grid[0, 0], finite["gradient_norm"].to_numpy(), "log", headroom=0.0)
        for place, (title, rows) in enumerate(cells):
            tier, column = divmod(place, across)
            width = size[0] / across - 0.4
            grid[3 * tier, column].set_title("\n".join(wrapped(line, width, size=9) for line in title.splitlines()))
            shown = rows[np.isfinite(rows["gradient_norm"])]
            for axes, (kind, row) in zip(grid[3 * tier : 3 * tier + 3, column], ROWS.items(), strict=True):
                part = _part(shown, kind)
                if part.empty:  # all its runs diverged
                    continue
                if len(part[row.x].unique()) == 1:  # of one layer or one evaluation
                    norms = {str(model): list(of["gradient_norm"]) for model, of in part.groupby("model")}
                    draw_dots(axes, {model: norms[model] for model in ordered_models(norms)}, styles)
                else:
                    for model, of_model in part.groupby("model"):
                        _draw_line(axes, of_model, row.x, styles[str(model)])
                    _set_place_axis(axes, row, part[row.x])
                if column == 0:
                    axes.set_ylabel(row.y_label)
        for axes in grid.flat:
            axes.set_visible(axes.has_data())
        add_title(figure, *_titles(runs.drop(columns=_MEASURED), finite))
        entries = model_entries(styles)
        if has_zeros:
            entries.append(Line2D([], [], **_zero_mark(GREY), label="exactly zero"))
        add_legend(figure, entries, _notes(runs, len(frame) - len(finite)))
    return figure


def _titles(runs: pd.DataFrame, finite: pd.DataFrame) -> tuple[str, str]:
    """The first layer's gradients at the largest depth, where nets can be compared, and what the figure is."""
    deepest = runs[runs["depth"] == runs["depth"].max()]
    initial = finite[finite["run_id"].isin(deepest["run_id"]) & (finite["step"] == 0) & (finite["layer"] == 1)]
    return compared_title(
        f"{runs['task'].iloc[0]}: gradient norms by layer",
        deepest,
        initial.groupby("model")["gradient_norm"].median(),
        f"At initialisation, the first layer's gradient norm at depth {deepest['depth'].iloc[0]} is",
    )


def _part(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The rows of a cell that an axes shows."""
    if kind == "initial":
        part = rows["step"] == 0
    elif kind == "trained":
        part = (rows["status"] == "done") & (rows["step"] == rows.groupby("run_id")["step"].transform("max"))
    else:
        part = rows["layer"] == 1
    return rows[part]


def _draw_line(axes: Axes, rows: pd.DataFrame, x: str, style: ModelStyle) -> None:
    """The median over seeds with its band, and a mark at each zero."""
    by_x = rows.groupby(x)["gradient_norm"]
    size = 2.8 if by_x.ngroups <= 40 else 0
    draw_medians(
        axes, by_x, color=style.colour, alpha=0.15, marker=style.marker, markersize=size, linewidth=1.3, zorder=3
    )
    zeros = rows.loc[rows["gradient_norm"] == 0, x].unique()
    if len(zeros):  # an empty line that may leave the axes would spoil the layout
        axes.plot(zeros, np.zeros(len(zeros)), **_zero_mark(style.colour))


def _set_place_axis(axes: Axes, row: _Row, values: "pd.Series[int]") -> None:
    """Limits, ticks and label of the x axis, for layers or steps."""
    first, last = int(values.min()), int(values.max())
    margin = 0.03 * ((last - first) or 1)
    axes.set_xlim(first - margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel(row.x_label)
    if last >= 10_000:
        axes.xaxis.set_major_formatter(lambda value, _position: f"{value / 1000:g}")
        axes.set_xlabel(f"{row.x_label} (thousands)")


def _zero_mark(colour: str) -> dict[str, Any]:
    return {
        "color": colour,
        "linestyle": "none",
        "marker": "v",
        "markersize": 5,
        "markerfacecolor": "white",
        "clip_on": False,
        "zorder": 4,
    }


def _notes(runs: pd.DataFrame, lost: int) -> list[str]:
    diverged = int((runs["status"] == "diverged").sum())
    several = run_table.seed_counts(runs.drop(columns=_MEASURED)).max() > 1
    return [
        run_table.seeds_text(runs.drop(columns=_MEASURED)),
        "band: minimum to maximum" if several else "",
        f"{diverged} of {len(runs)} runs diverged: without gradients after training" if diverged else "",
        f"values that are not finite are not drawn: {lost}" if lost else "",
    ]
