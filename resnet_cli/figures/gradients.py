"""Gradient norms of weight layers: by layer at initialisation and after training, and of the first layer during it."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import (
    entry,
    finish,
    model_entries,
    progress_label,
    set_round_ticks,
    set_value_axis,
)
from resnet_cli.figures.cells import compared_title, draw_dots, draw_medians, new_cells, split_cells
from resnet_cli.figures.style import GREY, ModelStyle, look, model_styles, ordered_models

ANALYSIS = "gradients"
_MEASURED = ["step", "train_loss", "stored_loss", "layer", "name", "gradient_norm"]
ZERO: dict[str, Any] = {
    "linestyle": "none",
    "marker": "v",
    "markersize": 5,
    "markerfacecolor": "white",
    "clip_on": False,
    "zorder": 4,
}


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


@look()
def draw(frame: pd.DataFrame) -> Figure:
    """Draw a column of three axes for each combination of depth and settings, a line for each model.

    From top to bottom: the gradient norm of every layer at initialisation, the same after training, and that of the
    first layer during training. Lines are medians over seeds, with a band. A gradient of exactly zero stands at the
    bottom of its axis, below a linear stretch, and is marked. Values that are not finite are left out and counted.
    `frame` has the columns that `analysis.gradients.replay` describes. Too many combinations are a UserError.
    """
    runs = frame.drop_duplicates("run_id").drop(columns=_MEASURED)
    cells = split_cells(runs)
    finite = frame[np.isfinite(frame["gradient_norm"])]
    is_last = finite["step"] == finite.groupby("run_id")["step"].transform("max")
    parts = {
        "initial": finite[finite["step"] == 0],
        "trained": finite[is_last & (finite["status"] == "done")],
        "through": finite[finite["layer"] == 1],
    }
    styles = model_styles(runs["model"])
    labels = [row.y_label for row in ROWS.values()]
    figure, stacks = new_cells(cells, labels, cell=(2.6, 5.6), least=4.2, room=(1.4, 1.3))
    set_value_axis(figure.axes[0], finite["gradient_norm"].to_numpy(), "log", headroom=0.0)
    for stack, run_ids in zip(stacks, cells.values(), strict=True):
        for axes, (kind, row) in zip(stack, ROWS.items(), strict=True):
            part = parts[kind][parts[kind]["run_id"].isin(run_ids)]
            if part.empty:  # all its runs diverged
                continue
            if len(part[row.x].unique()) == 1:  # of one layer or one evaluation
                norms = {str(model): list(of["gradient_norm"]) for model, of in part.groupby("model")}
                draw_dots(axes, {model: norms[model] for model in ordered_models(norms)}, styles)
            else:
                for model, of_model in part.groupby("model"):
                    _draw_line(axes, of_model, row.x, styles[str(model)])
                first, last = int(part[row.x].min()), int(part[row.x].max())
                margin = 0.03 * ((last - first) or 1)
                axes.set_xlim(first - margin, last + margin)
                set_round_ticks(axes, nbins=6)
                axes.set_xlabel(progress_label(axes, row.x_label, last))
    for axes in figure.axes:
        axes.set_visible(axes.has_data())
    entries = model_entries(styles)
    if (finite["gradient_norm"] == 0).any():
        entries.append(entry("exactly zero", **ZERO, color=GREY))
    diverged, lost = int((runs["status"] == "diverged").sum()), len(frame) - len(finite)
    notes = [
        *run_table.seeds_notes(runs),
        f"{diverged} of {len(runs)} runs diverged: without gradients after training" if diverged else "",
        f"values that are not finite are not drawn: {lost}" if lost else "",
    ]
    return finish(figure, _titles(runs, finite), entries, notes)


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


def _draw_line(axes: Axes, rows: pd.DataFrame, x: str, style: ModelStyle) -> None:
    """The median over seeds with its band, and a mark at each zero."""
    by_x = rows.groupby(x)["gradient_norm"]
    size = 2.8 if by_x.ngroups <= 40 else 0
    draw_medians(
        axes, by_x, color=style.colour, alpha=0.15, marker=style.marker, markersize=size, linewidth=1.3, zorder=3
    )
    zeros = rows.loc[rows["gradient_norm"] == 0, x].unique()
    if len(zeros):  # an empty line that may leave the axes would spoil the layout
        axes.plot(zeros, np.zeros(len(zeros)), **ZERO, color=style.colour)
