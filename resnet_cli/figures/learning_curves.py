"""Loss or error during training, one panel a model, in the manner of He et al. (arXiv 1512.03385), figures 1 and 6."""

from collections.abc import Sequence
from typing import Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resnet_cli.figures import frames
from resnet_cli.figures.axes import (
    add_legend,
    add_title,
    label_outside,
    new_figure,
    resolve_scale,
    set_value_axis,
    wrapped,
)
from resnet_cli.figures.frames import SPLIT_LABELS, SPLITS, Metric, Scale, Split, check_choice
from resnet_cli.figures.panels import split_panels
from resnet_cli.figures.style import GREY, look, ordered_models, split_line
from resnet_cli.spec.errors import UserError

MAX_ROWS = 6
MAX_COLUMNS = 6
MAX_LEGEND_DEPTHS = 8
"""More depths than this are told apart by a colour bar instead of legend entries."""
_COLOURS = ListedColormap(matplotlib.colormaps["plasma"](np.linspace(0.85, 0.0, 256)), "depth")
SPLIT_WIDTHS: dict[Split, float] = {"train": 0.8, "test": 1.6}


def draw(
    curves: pd.DataFrame,
    *,
    metric: Metric = "loss",
    scale: Scale = "auto",
    splits: Sequence[Split] = SPLITS,
    x: Literal["step", "epoch"] = "step",
    title: str | None = None,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Draw `metric` against `x`: the median over seeds, one colour a depth (darker is deeper), one panel a model.

    Training is thin and solid, test bold and dashed. A run that diverged counts as infinitely bad from then on, and its
    last step is marked at the top edge; a median line ends where half of the runs or more diverged, and leaves the axes
    where the others' losses end. Failed runs are not
    drawn, but counted in the legend. Columns beyond the usual ones are settings; where they vary there is one row of
    panels for each combination. The column `learning_rate` is the rate at that step, so a learning rate that varies as
    a setting needs a column of another name.

    Args:
        curves: one row per evaluation: run_id, task, model, depth, seed, status, `x`, and the metric's columns.
        metric: `loss` (mean squared error, or cross-entropy in nats) or `error` (percent of examples).
        scale: `log`, `linear`, or `auto`: log for a loss, linear for an error.
        splits: which of `train` and `test`.
        x: `step` (optimiser steps) or `epoch` (passes over the training set).
        title: instead of a title like "cifar10: error during training".
        size: width and height in inches.

    Raises:
        UserError: there is nothing to draw, the runs have no such metric, they are of several tasks, two of them cannot
            be told apart, there are too many models or combinations of settings, or an option has no such value.
    """
    axis_scale = resolve_scale(scale, metric)
    check_choice("x", x, ("step", "epoch"))
    rows = frames.drawable(curves.drop(columns="learning_rate", errors="ignore"), metric, splits)
    columns = frames.metric_columns(metric, splits)
    models = ordered_models(rows["model"])
    if len(models) > MAX_COLUMNS:
        raise UserError(f"model (={', '.join(models)}): one figure shows at most {MAX_COLUMNS} models; select fewer.")
    panels = split_panels(rows, limit=MAX_ROWS)
    colours = depth_colours(sorted(rows["depth"].unique()))
    diverged = bool((rows["status"] == "diverged").any())
    done = rows[rows["status"] == "done"]
    shown = rows if done.empty else done  # the last losses before divergence would dwarf all others
    if size is None:
        size = (1.4 + 3.0 * len(models), 1.6 + 2.6 * len(panels))

    with look():
        figure = new_figure(size)
        grid = figure.subplots(len(panels), len(models), sharex=True, sharey=True, squeeze=False)
        set_value_axis(grid[0, 0], shown[columns].to_numpy(), axis_scale, headroom=0.07 if diverged else 0.0)
        for panel, axes_row in zip(panels, grid, strict=True):
            for model, axes in zip(models, axes_row, strict=True):
                heading = wrapped(panel.title, size[0] / len(models) - 0.5, size=9)
                axes.set_title(f"{model}\n{heading}".strip())
                of_model = panel.rows[panel.rows["model"] == model]
                for depth in sorted(of_model["depth"].unique()):
                    of_depth = of_model[of_model["depth"] == depth]
                    for split, column in zip(splits, columns, strict=True):
                        _draw_median(axes, median_curve(of_depth, x, column), split, depth, colours)
                    _mark_diverged(axes, of_depth[of_depth["status"] == "diverged"], x, colours[depth])
        task = str(rows["task"].iloc[0])
        label_outside(grid, grid.size, _set_progress_axis(grid[0, 0], rows[x], x), frames.value_label(task, metric))
        what = metric if len(splits) > 1 else f"{SPLIT_LABELS[splits[0]]} {metric}"
        add_title(figure, title if title is not None else f"{task}: {what} during training")
        if len(colours) > MAX_LEGEND_DEPTHS:
            _add_colour_bar(figure, grid, colours)
        notes = [
            frames.seeds_text(rows),
            "no line where diverged runs make it infinite" if diverged else "",
            frames.failed_text(curves),
        ]
        add_legend(figure, _legend_entries(colours, splits, diverged=diverged), notes)
    return figure


def depth_colours(depths: Sequence[int]) -> dict[int, str]:
    """A colour for each of the ascending `depths`, darker for deeper nets.

    A few depths are spread evenly over the colours; many take the colour of their place on the colour bar.
    """
    if len(depths) == 1:
        return {depths[0]: to_hex(_COLOURS(1.0))}
    if len(depths) <= MAX_LEGEND_DEPTHS:
        shares = np.linspace(0, 1, len(depths))
    else:
        shares = (np.array(depths) - depths[0]) / (depths[-1] - depths[0])
    return {int(depth): to_hex(_COLOURS(float(share))) for depth, share in zip(depths, shares, strict=True)}


def median_curve(runs: pd.DataFrame, x: str, column: str) -> "pd.Series[float]":
    """The median of `column` over `runs` at each value of `x` where an undiverged run was evaluated.

    A diverged run counts as infinite after its last evaluation.
    """
    values = runs.pivot_table(column, x, "run_id", aggfunc="last")  # (x, run)
    diverged = values.columns.isin(runs.loc[runs["status"] == "diverged", "run_id"])
    values = values.mask(values.bfill().isna() & diverged, np.inf)
    if not diverged.all():
        values = values[values.loc[:, ~diverged].notna().any(axis=1)]
    return values.median(axis=1)


def _draw_median(axes: Axes, median: "pd.Series[float]", split: Split, depth: int, colours: dict[int, str]) -> None:
    bolder = 1 + 0.3 * list(colours).index(depth) / len(colours)
    axes.plot(
        median.index,
        median.where(np.isfinite(median)),
        **split_line(colours[depth], split),
        linewidth=SPLIT_WIDTHS[split] * bolder * (1 if len(colours) <= MAX_LEGEND_DEPTHS else 0.6),
        zorder=2 if split == "train" else 3,
    )


def _mark_diverged(axes: Axes, runs: pd.DataFrame, x: str, colour: str) -> None:
    if runs.empty:
        return
    ends = runs.groupby("run_id")[x].max()
    axes.plot(
        ends,
        np.full(len(ends), 0.97),
        transform=axes.get_xaxis_transform(),
        color=colour,
        linestyle="none",
        marker="x",
        markersize=4.5,
        markeredgewidth=1.3,
        label="diverged",
        zorder=4,
    )


def _set_progress_axis(axes: Axes, values: "pd.Series[float]", x: str) -> str:
    first, last = float(values.min()), float(values.max())
    axes.set_xlim(first, last if last > first else first + 1)
    if last < 10_000:
        return x
    axes.xaxis.set_major_formatter(lambda value, _position: f"{value / 1000:g}")
    return f"{x} (thousands)"


def _add_colour_bar(figure: Figure, grid: np.ndarray, colours: dict[int, str]) -> None:
    scale = ScalarMappable(Normalize(min(colours), max(colours)), _COLOURS)
    bar = figure.colorbar(scale, ax=list(grid.flat), label="depth", aspect=30, pad=0.02)
    bar.locator = MaxNLocator(integer=True, steps=[1, 2, 5, 10])
    bar.outline.set_visible(False)


def _legend_entries(colours: dict[int, str], splits: Sequence[Split], *, diverged: bool) -> list[Line2D]:
    entries: list[Line2D] = []
    if len(colours) <= MAX_LEGEND_DEPTHS:
        entries += [
            Line2D([], [], color=colour, linewidth=2, label=f"depth {depth}") for depth, colour in colours.items()
        ]
    if len(splits) > 1 or not entries:
        entries += [
            Line2D([], [], **split_line(GREY, split), linewidth=SPLIT_WIDTHS[split], label=SPLIT_LABELS[split])
            for split in splits
        ]
    if diverged:
        entries.append(Line2D([], [], color=GREY, linestyle="none", marker="x", label="diverged"))
    return entries
