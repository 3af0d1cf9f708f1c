"""How much training it takes until the loss reaches given levels, against depth."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import (
    draw_runs,
    entry,
    finish,
    label_outside,
    model_entries,
    new_grid,
    set_depth_axis,
    set_value_axis,
    wrapped,
    write_count,
)
from resnet_cli.figures.cells import draw_dots, is_compared
from resnet_cli.figures.loss_by_depth import FEW_DEPTHS, MANY_MODELS
from resnet_cli.figures.panels import grid_columns, split_panels
from resnet_cli.figures.run_table import FEW_SEEDS, SPLIT_LABELS, check_choice, only_task
from resnet_cli.figures.style import GREY, ModelStyle, look, model_styles, ordered_models

ANALYSIS = "convergence"
MAX_PANELS = 12
_MARK_ROW = 0.085
"""Share of the axes' height that the marks of one model take at the top."""


@look()
def draw(frame: pd.DataFrame, *, unit: str = "step") -> Figure:
    """Draw the step or epoch at which a level is reached: a median line over seeds with a band, and a dot for each run.

    There is one panel for each level and combination of settings. A run that does not reach the level counts as
    infinitely late: it is marked at the top edge, and a line has a gap where half of the runs or more do not reach it.
    Marks are darker the more runs they stand for; where there is room they have their number below them.

    Args:
        frame: with the columns that `analysis.convergence.measure` describes, of one task.
        unit: step or epoch.

    Raises:
        UserError: no such unit, several tasks, or too many panels.
    """
    check_choice("unit", unit, ("step", "epoch"))
    task = only_task(frame)
    rows = frame.assign(when=frame[unit].fillna(math.inf))
    panels = split_panels(
        rows.drop(columns="when"),
        limit=MAX_PANELS,
        advice="give fewer --levels, or make a setting lines of a panel with --by",
    )
    across = grid_columns(panels)
    down = math.ceil(len(panels) / across)
    styles = model_styles(rows["model"])
    depths = sorted(rows["depth"].unique())
    models = ordered_models(rows["model"])
    late = ordered_models(rows.loc[np.isinf(rows["when"]), "model"])
    most_seeds = int(run_table.seed_counts(frame).max())
    has_band = most_seeds > 1 and len(depths) > 1 and len(styles) <= MANY_MODELS
    interquartile: list[bool] = []
    width, height = (6.4, 4.8) if len(panels) == 1 else (1.6 + 2.7 * across, 1.8 + 2.5 * down)
    size = (width, height + 0.15 * max(len(styles) - 3, 0))
    figure, grid = new_grid(size, down, across, sharex=True, sharey=True)
    set_value_axis(grid[0, 0], rows["when"].to_numpy(), "log", headroom=_MARK_ROW * len(late))
    if len(depths) > 1:
        set_depth_axis(grid[0, 0], depths, width=size[0] / across - 0.5)
    for axes, panel in zip(grid.flat, panels, strict=False):
        axes.set_title(wrapped(panel.title, size[0] / across - 0.5))
        here = rows.loc[panel.rows.index]
        if len(depths) == 1:
            of_models = {model: here.loc[here["model"] == model, "when"] for model in models}
            draw_dots(axes, {model: list(when[np.isfinite(when)]) for model, when in of_models.items()}, styles)
        for model, of_model in here.groupby("model"):
            style = styles[str(model)]
            values = of_model.set_index("depth")["when"]
            if len(depths) == 1:
                values.index = pd.Index([models.index(str(model))] * len(values), name="depth")
            else:
                interquartile.append(bool(values.groupby(level="depth").size().min() >= FEW_SEEDS))
                _draw_runs(axes, values, style, interquartile[-1], has_band=has_band)
            if model in late:
                place = 1 - _MARK_ROW * (late.index(str(model)) + 0.3)
                _mark_late(axes, values, style, place, counted=len(depths) <= FEW_DEPTHS)
    x_label = "depth" if len(depths) > 1 else f"depth {depths[0]}"
    label_outside(grid, range(len(panels)), x_label, f"{unit} that reaches the level")
    split = SPLIT_LABELS[frame["split"].iloc[0]]
    levels = frame["level"].unique()
    what = f"{levels[0]:g}" if len(levels) == 1 else "a level"
    titles = _titles(f"{task}: {unit}s until the {split} loss reaches {what}", frame, split)
    notes = [
        f"level: {run_table.value_label(frame, 'loss')}",
        run_table.seeds_text(frame),
        run_table.band_text(interquartile) if has_band else "",
        "dots: single runs" if most_seeds > 1 else "",
    ]
    marks = "not reached (number of runs)" if len(depths) <= FEW_DEPTHS else "not reached (darker: by more runs)"
    entries = model_entries(styles, size=3.5)
    if late:
        entries.append(entry(marks, **_LATE, color=GREY))
    return finish(figure, titles, entries, notes)


def _titles(what: str, frame: pd.DataFrame, split: str) -> tuple[str, str]:
    """How many runs of each model reach the lowest level, where models can be compared, and what the figure is."""
    lowest = frame[frame["level"] == frame["level"].min()]
    if not is_compared(lowest.drop(columns=["split", "level"])):
        return what, ""
    reached = lowest.groupby("model")["step"].agg(["count", "size"])
    told = [
        f"{reached.loc[model, 'count']} of {reached.loc[model, 'size']} runs of {model}"
        for model in ordered_models(lowest["model"])
    ]
    return f"A {split} loss of {lowest['level'].iloc[0]:g} is reached by {' and '.join(told)}", what


def _draw_runs(
    axes: Axes, values: "pd.Series[float]", style: ModelStyle, interquartile: bool, *, has_band: bool
) -> None:
    by_depth = values.groupby(level="depth")
    median = by_depth.median()
    shown = median.where(np.isfinite(median))
    axes.plot(median.index, shown, color=style.colour, marker=style.marker, markersize=3.5, linewidth=1.5, zorder=3)
    if has_band:
        share = 0.25 if interquartile else 0.0
        low, high = (by_depth.apply(np.quantile, q, method="inverted_cdf") for q in (share, 1 - share))
        axes.fill_between(low.index, low, high, where=np.isfinite(high), color=style.colour, alpha=0.13, linewidth=0)
    draw_runs(axes, values.index, values, style.colour, size=4, alpha=0.45)


def _mark_late(axes: Axes, values: "pd.Series[float]", style: ModelStyle, height: float, *, counted: bool) -> None:
    """Mark the depths at which runs do not reach the level."""
    shares = values.eq(np.inf).groupby(level="depth")
    for depth, count, share in zip(shares.sum().index, shares.sum(), shares.mean(), strict=True):
        if not count:
            continue
        look_of = _LATE | {"color": style.colour, "markerfacecolor": (style.colour, share)}
        axes.plot(depth, height, **look_of, transform=axes.get_xaxis_transform(), zorder=4)
        if counted:
            write_count(axes, depth, height, count, style.colour)


_LATE: dict[str, Any] = {"linestyle": "none", "marker": "^", "markersize": 4.5, "markeredgewidth": 0.7}
