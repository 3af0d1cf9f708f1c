"""Loss or error against depth, the picture of the degradation problem (Kowsik 2021; He et al., arXiv 1512.03385)."""

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_cli.figures import frames
from resnet_cli.figures.axes import (
    add_legend,
    add_title,
    label_outside,
    new_figure,
    resolve_scale,
    set_depth_axis,
    set_value_axis,
)
from resnet_cli.figures.frames import SPLIT_LABELS, SPLITS, Metric, Scale, Split
from resnet_cli.figures.panels import grid_columns, split_panels
from resnet_cli.figures.style import GREY, ModelStyle, look, model_styles, ordered_models, split_line

if TYPE_CHECKING:
    from pandas.core.groupby import SeriesGroupBy

MAX_PANELS = 12
FEW_SEEDS = 5
"""From this many seeds on, a band is the interquartile range; below, it reaches from minimum to maximum."""
FEW_DEPTHS = 12
"""Up to this many depths there is room for large markers."""
_MARK_ROW_INCHES = 0.19


def draw(
    summary: pd.DataFrame,
    *,
    metric: Metric = "loss",
    scale: Scale = "auto",
    splits: Sequence[Split] = SPLITS,
    title: str | None = None,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Draw `metric` after training against depth: a median line over seeds with a band, and a dot for each run.

    A diverged run counts as infinitely bad: it is marked at the top edge, and a median line has a gap where half of the
    runs or more diverged. A failed run is not drawn, but counted in the legend. Columns beyond the usual ones are
    settings; where they vary there is one panel for each combination.

    Args:
        summary: one row per run: run_id, task, model, depth, seed, status, and the metric's columns for `splits`.
        metric: `loss` (mean squared error, or cross-entropy in nats) or `error` (percent of examples).
        scale: `log`, `linear`, or `auto`: log for a loss, linear for an error.
        splits: which of `train` and `test`.
        title: instead of a title like "sine: loss against depth".
        size: width and height in inches.

    Raises:
        UserError: there is nothing to draw, the runs have no such metric, they are of several tasks, two of them cannot
            be told apart, there are too many combinations of settings, or an option has no such value.
    """
    axis_scale = resolve_scale(scale, metric)
    runs = frames.drawable(summary, metric, splits)
    columns = frames.metric_columns(metric, splits)
    runs[columns] = runs[columns].mask((runs["status"] == "diverged") | runs[columns].eq(np.inf).any(axis=1), np.inf)
    diverged = runs[np.isinf(runs[columns[0]])]
    marked = ordered_models(diverged["model"])
    seeds = runs.groupby(["model", "depth", *frames.varying_settings(runs)], dropna=False).size()
    styles = model_styles(runs["model"])
    panels = split_panels(runs, limit=MAX_PANELS)
    across = grid_columns(panels)
    down = math.ceil(len(panels) / across)
    if size is None:
        size = (6.4, 4.6) if len(panels) == 1 else (1.2 + 2.7 * across, 1.4 + 2.3 * down)
    mark_row = min(_MARK_ROW_INCHES / max(size[1] / down - 0.9, _MARK_ROW_INCHES), 0.15)

    with look():
        figure = new_figure(size)
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        set_value_axis(grid[0, 0], runs[columns].to_numpy(), axis_scale, headroom=mark_row * len(marked))
        set_depth_axis(grid[0, 0], sorted(runs["depth"].unique()), width=size[0] / across - 0.5)
        for axes, panel in zip(grid.flat, panels, strict=False):
            axes.set_title(panel.title)
            for model, of_model in panel.rows.groupby("model"):
                style = styles[str(model)]
                for split, column in zip(splits, columns, strict=True):
                    by_depth = of_model.groupby("depth")[column]
                    _draw_medians(axes, by_depth, style, split)
                    if seeds.max() > 1:
                        _draw_spread(axes, by_depth, style, interquartile=seeds.max() >= FEW_SEEDS)
                if model in marked:
                    height = 1 - mark_row * (marked.index(str(model)) + 0.25)
                    _mark_diverged(axes, of_model[np.isinf(of_model[columns[0]])], style, height)
        task = str(runs["task"].iloc[0])
        label_outside(grid, len(panels), _depth_label(styles), frames.value_label(task, metric))
        what = metric if len(splits) > 1 else f"{SPLIT_LABELS[splits[0]]} {metric}"
        add_title(figure, title if title is not None else f"{task}: {what} against depth")
        note = _note(seeds, diverged=not diverged.empty, failed=frames.failed_runs(summary))
        add_legend(figure, _legend_entries(styles, splits, diverged=not diverged.empty), note)
    return figure


def _draw_medians(axes: Axes, by_depth: "SeriesGroupBy[Any, Any]", style: ModelStyle, split: Split) -> None:
    median = by_depth.median()
    axes.plot(
        median.index,
        median.where(np.isfinite(median)),
        **split_line(style.colour, split),
        marker=style.marker,
        markersize=4 if len(median) <= FEW_DEPTHS else 2.6,
        linewidth=1.5,
        zorder=3,
    )


def _draw_spread(axes: Axes, by_depth: "SeriesGroupBy[Any, Any]", style: ModelStyle, *, interquartile: bool) -> None:
    share = 0.25 if interquartile else 0.0
    low = by_depth.apply(_quantile, share)
    high = by_depth.apply(_quantile, 1 - share)
    axes.fill_between(low.index, low, high, where=np.isfinite(high), color=style.colour, alpha=0.13, linewidth=0)
    for depth, values in by_depth:
        finite = values[np.isfinite(values)]
        axes.plot(
            np.full(len(finite), depth),
            finite,
            color=style.colour,
            linestyle="none",
            marker=".",
            markersize=5 if len(low) <= FEW_DEPTHS else 3.5,
            markeredgewidth=0,
            alpha=0.4,
            zorder=2,
        )


def _quantile(values: pd.Series, share: float) -> float:
    """As numpy's, but an infinity among the values gives infinity or the finite value below, never nan."""
    ascending = np.sort(values.to_numpy())
    position = share * (len(ascending) - 1)
    low, high = ascending[math.floor(position)], ascending[math.ceil(position)]
    return float(low if low == high else low + (high - low) * (position % 1))


def _mark_diverged(axes: Axes, runs: pd.DataFrame, style: ModelStyle, height: float) -> None:
    counts = runs.groupby("depth").size()
    axes.plot(
        counts.index,
        np.full(len(counts), height),
        transform=axes.get_xaxis_transform(),
        color=style.colour,
        linestyle="none",
        marker="x",
        markersize=4.5,
        markeredgewidth=1.3,
        label="diverged",
        zorder=4,
    )
    for depth, count in counts[counts > 1].items():
        axes.annotate(
            str(count),
            (depth, height),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, -3.5),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=5.5,
            color=style.colour,
        )


def _depth_label(models: Collection[str]) -> str:
    return "depth (hidden layers)" if all(m.endswith("-mlp") for m in models) else "depth (weight layers)"


def _note(seeds: "pd.Series[int]", *, diverged: bool, failed: int) -> str:
    fewest, most = int(seeds.min()), int(seeds.max())
    if most == 1:
        parts = ["One seed"]
    else:
        parts = [f"Line: median of {most if fewest == most else f'{fewest} to {most}'} seeds"]
        if len(seeds.index.unique("depth")) > 1:
            parts.append(f"band: {'minimum to maximum' if most < FEW_SEEDS else 'interquartile range'}")
        parts.append("dots: single runs")
    if diverged:
        parts.append("no line or band where diverged runs make it infinite")
    if failed:
        parts.append(f"{failed} failed {'run is' if failed == 1 else 'runs are'} not drawn")
    return "; ".join(parts) + "."


def _legend_entries(styles: dict[str, ModelStyle], splits: Sequence[Split], *, diverged: bool) -> list[Line2D]:
    entries = [
        Line2D([], [], **split_line(style.colour, splits[0]), marker=style.marker, markersize=4, label=model)
        for model, style in styles.items()
    ]
    if len(splits) > 1:
        entries += [
            Line2D([], [], **split_line(GREY, split), marker="o", markersize=4, label=SPLIT_LABELS[split])
            for split in splits
        ]
    if diverged:
        entries.append(Line2D([], [], color=GREY, linestyle="none", marker="x", label="diverged (number of runs)"))
    return entries
