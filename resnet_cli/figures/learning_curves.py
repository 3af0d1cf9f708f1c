"""Loss or error during training, one panel a model, in the manner of He et al. (arXiv 1512.03385), figures 1 and 6."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import matplotlib
from resnet_cli.figures import frames
from resnet_cli.figures.axes import add_legend, add_title, label_outside, new_figure, resolve_scale, set_value_axis
from resnet_cli.figures.frames import SPLIT_LABELS, SPLITS, Metric, Scale, Split, check_choice
from resnet_cli.figures.panels import split_panels
from resnet_cli.figures.style import GREY, look, ordered_models, split_line
from resnet_cli.spec.errors import UserError

MAX_ROWS = 6
MAX_COLUMNS = 6
MAX_LEGEND_DEPTHS = 8
"""More depths than this are told apart by a colour bar instead of legend entries."""
SPLIT_WIDTHS: dict[Split, float] = {"train": 0.8, "test": 1.8}


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
    last step is marked at the top edge; a median line ends where half of the runs or more diverged. Failed runs are not
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
    depths = sorted(rows["depth"].unique())
    ends = rows[rows["status"] == "diverged"].groupby("run_id").tail(1)
    colours = depth_colours(depths)

    with look():
        figure = new_figure(size or (1.4 + 3.0 * len(models), 1.6 + 2.6 * len(panels)))
        grid = figure.subplots(len(panels), len(models), sharex=True, sharey=True, squeeze=False)
        set_value_axis(grid[0, 0], rows[columns].to_numpy(), axis_scale, headroom=0.0 if ends.empty else 0.06)
        ...
    return figure
