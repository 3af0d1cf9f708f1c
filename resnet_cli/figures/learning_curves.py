"""Loss or error during training, one panel a model, in the manner of He et al. (arXiv 1512.03385), figures 1 and 6."""

from collections.abc import Sequence
from typing import Any, Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator

from resnet_cli.figures import frames
from resnet_cli.figures.axes import (
    add_legend,
    add_title,
    have_room,
    label_outside,
    mark_diverged,
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
START = 0.25
"""The share of a curve in which losses may leave the axes: those of an untrained net can dwarf all others."""
ROOM = {"log": 10.0, "linear": 3.0}
"""How far above the highest loss after the start the axes may reach."""


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

    Training is thin and solid, test bold and dashed. A loss more than ten times (linear axis: three times) as high as
    the highest after the first quarter of the curves leaves the axes, and the legend says so. A run that diverged
    counts as infinitely bad from then on, and its last step is marked at the top edge; a median line ends where half of
    the runs or more diverged, and such a line does not set the axes. Failed runs are not drawn, but counted in the
    legend. Columns beyond the usual ones are settings; where they vary there is one row of panels for each combination.
    The column `learning_rate` is the rate at that step, so a learning rate that varies as a setting needs a column of
    another name.

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
    if size is None:
        size = (1.4 + 3.0 * len(models), 1.6 + 2.6 * len(panels))

    with look():
        figure = new_figure(size)
        grid = figure.subplots(len(panels), len(models), sharex=True, sharey=True, squeeze=False)
        drawn: list[pd.Series[float]] = []
        for panel, axes_row in zip(panels, grid, strict=True):
            for model, axes in zip(models, axes_row, strict=True):
                heading = wrapped(panel.title, size[0] / len(models) - 0.5, size=9)
                axes.set_title(f"{model}\n{heading}".strip())
                of_model = panel.rows[panel.rows["model"] == model]
                for depth in sorted(of_model["depth"].unique()):
                    of_depth = of_model[of_model["depth"] == depth]
                    for split, column in zip(splits, columns, strict=True):
                        drawn.append(median_curve(of_depth, x, column))
                        _draw_median(axes, drawn[-1], split, depth, colours)
                    ends = of_depth[of_depth["status"] == "diverged"].groupby("run_id")[x].max()
                    if not ends.empty:
                        mark_diverged(axes, ends, 0.97, colours[depth])
        values, cut = shown_values(drawn, ROOM[axis_scale] if metric == "loss" else np.inf)
        set_value_axis(grid[0, 0], values, axis_scale, headroom=0.07 if diverged else 0.0)
        task = str(rows["task"].iloc[0])
        label_outside(grid, grid.size, _set_progress_axis(grid[0, 0], rows[x], x), frames.value_label(rows, metric))
        what = metric if len(splits) > 1 else f"{SPLIT_LABELS[splits[0]]} {metric}"
        add_title(figure, title if title is not None else f"{task}: {what} during training")
        if len(colours) > MAX_LEGEND_DEPTHS:
            _add_colour_bar(figure, grid, colours)
        notes = [
            frames.seeds_text(rows),
            "values above the axes are cut off" if cut else "",
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


def shown_values(curves: Sequence["pd.Series[float]"], room: float) -> tuple[np.ndarray, bool]:
    """The values of median `curves` for which the axes have room, and whether some finite values have none.

    Room is up to `room` times the highest value after the start of each curve, of curves that do not end in divergence;
    where all do, of all.
    """
    shown = [curve for curve in curves if np.isfinite(curve.iloc[-1])] or curves
    late = np.concatenate([curve[curve.index >= START * curve.index[-1]] for curve in shown])
    limit = room * max(late[np.isfinite(late)], default=np.inf)
    values = np.concatenate(curves)
    below = np.concatenate(shown)
    return below[below <= limit], bool((values[np.isfinite(values)] > limit).any())


def _draw_median(axes: Axes, median: "pd.Series[float]", split: Split, depth: int, colours: dict[int, str]) -> None:
    bolder = 1 + 0.3 * list(colours).index(depth) / len(colours)
    axes.plot(
        median.index,
        median.where(np.isfinite(median)),
        **_split_look(split, colours[depth], many=len(colours) > MAX_LEGEND_DEPTHS, bolder=bolder),
        zorder=2 if split == "train" else 3,
    )


def _split_look(split: Split, colour: str, *, many: bool, bolder: float = 1.0) -> dict[str, Any]:
    """Properties of a line; where there are `many`, training is pale so that the test lines stand out."""
    look_of = split_line(colour, split) | {"linewidth": SPLIT_WIDTHS[split] * bolder}
    if many:
        look_of["linewidth"] *= 0.65
        look_of["alpha"] = 0.55 if split == "train" else 1.0
    return look_of


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
    few = have_room(np.array(list(colours), dtype=float), 0.6 * figure.get_figheight())
    bar.locator = FixedLocator(list(colours)) if few else MaxNLocator(integer=True, steps=[1, 2, 5, 10])
    bar.minorticks_off()
    bar.outline.set_visible(False)


def _legend_entries(colours: dict[int, str], splits: Sequence[Split], *, diverged: bool) -> list[Artist]:
    entries: list[Artist] = []
    many = len(colours) > MAX_LEGEND_DEPTHS
    if not many:
        entries += [Patch(facecolor=colour, label=f"depth {depth}") for depth, colour in colours.items()]
    if len(splits) > 1 or not entries:
        entries += [
            Line2D([], [], **_split_look(split, GREY, many=many), label=SPLIT_LABELS[split]) for split in splits
        ]
    if diverged:
        entries.append(Line2D([], [], color=GREY, linestyle="none", marker="x", label="diverged"))
    return entries
