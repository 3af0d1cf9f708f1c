"""Loss or error against depth, the picture of the degradation problem (Kowsik 2021; He et al., arXiv 1512.03385).

Or against the number of parameters, as in Huang et al. 2017, "Densely Connected Convolutional Networks" (arXiv
1608.06993), figure 4.
"""

import itertools
import math
from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import (
    add_headers,
    draw_runs,
    entry,
    finish,
    label_ends,
    label_outside,
    mark_chance,
    mark_diverged,
    new_grid,
    resolve_scale,
    set_depth_axis,
    set_size_axis,
    set_value_axis,
    wrapped,
    write_count,
)
from resnet_cli.figures.cells import deepest_text
from resnet_cli.figures.finding import finding
from resnet_cli.figures.panels import arrange, arrange_in_rows, evenly, grid_columns, split_panels
from resnet_cli.figures.run_table import FEW_SEEDS, SPLIT_LABELS, SPLITS, Scale, Split
from resnet_cli.figures.style import GREY, ModelStyle, look, model_styles, ordered_models, split_line
from resnet_cli.settings.metrics import columns_of, describe

MAX_PANELS = 25
MANY_MODELS = 6
"""More models than this get labels at their lines' ends, a panel for each split, and no bands."""
FEW_DEPTHS = 12
"""Up to this many depths there is room for large markers."""
MOST_TIMES_CHANCE = 1000
"""A log axis ends at so many times the loss of a constant answer: nets far above it are all of the same use."""
MOST_DOTS = 6000
"""More are solid bars, and megabytes of SVG."""
SOME_DOTS = 30
"""Of the runs at each depth of a line, so many stand for all where these are too many."""
_MARK_ROW_INCHES = 0.19


def in_place_of_depth(summary: pd.DataFrame) -> pd.DataFrame:
    """The runs with their number of parameters as their `depth`, for `draw(…, against="parameters")`.

    Settings that make the size of a net then no longer tell nets of one model apart.
    """
    return summary.assign(depth=summary["parameters"])


@look()
def draw(
    summary: pd.DataFrame,
    *,
    metric: str = "loss",
    scale: Scale = "auto",
    splits: Sequence[Split] = SPLITS,
    title: str | None = None,
    subtitle: str = "",
    size: tuple[float, float] | None = None,
    grid: tuple[str, str] | None = None,
    chance: float | None = None,
    against: Literal["depth", "parameters"] = "depth",
) -> Figure:
    """Draw `metric` after training against depth: a median line over seeds with a band, and a dot for each run.

    A diverged run counts as infinitely bad: it is marked at the top edge, and a median line has a gap where half of the
    runs or more diverged. A log axis ends at a thousand times `chance`, and the legend counts runs above it. A failed
    run is not drawn, but counted in the legend. Columns beyond the usual ones are settings; where they vary there is
    one panel for each combination, in rows and columns if they are two. More than six models are named at the ends of
    their lines, have no bands, and training and test stand side by side.

    Args:
        summary: one row per run: run_id, task, model, depth, seed, status, and the metric's columns for `splits`.
        metric: `loss` (mean squared error, or cross-entropy in nats), `error` (percent of examples) or another metric.
        scale: `log`, `linear`, or `auto`: log for a loss, linear for an error.
        splits: which of `train` and `test`.
        title: instead of the finding, where `finding` can name one, of what the models reach at the greatest
            depth, or of "Loss on sine against depth".
        subtitle: added to the smaller line below the title.
        size: width and height in inches.
        grid: of two settings that vary, the one that makes the rows and the one that makes the columns of panels.
        chance: `metric` of a net with constant output; marked if it lies within the axes.
        against: what the column `depth` holds; parameters, from `in_place_of_depth`, have a log axis.

    Raises:
        UserError: there is nothing to draw, the runs have no such metric, they are of several tasks, two of them cannot
            be told apart, there are too many combinations of settings, or an option has no such value.
    """
    metric, splits = run_table.resolve_splits(metric, splits)
    axis_scale = resolve_scale(scale, metric)
    runs = run_table.drawable(summary, metric, splits)
    columns = columns_of(metric, splits)
    worst = describe(metric).worst
    runs[columns] = runs[columns].mask((runs["status"] == "diverged") | runs[columns].eq(worst).any(axis=1), worst)
    marked = ordered_models(runs.loc[np.isinf(runs[columns[0]]), "model"])
    depths = sorted(runs["depth"].unique())
    styles = model_styles(runs["model"])
    many = len(styles) > MANY_MODELS
    shown = [[split] for split in splits] if many else [list(splits)]
    panels = split_panels(runs, limit=MAX_PANELS, settings=grid)
    place = arrange(panels)
    if many:  # a row for each panel, or several of them where there is but one split
        place = arrange_in_rows(len(panels) * len(shown), len(shown) if len(shown) > 1 else grid_columns(panels))
    if size is None:
        size = _default_size(place.across, place.down, len(styles))
    across, down = place.across, place.down
    axes_height = max(size[1] / down - 0.9, _MARK_ROW_INCHES)
    mark_row = min(_MARK_ROW_INCHES / axes_height, 0.4 / max(len(marked), 1))
    figure, cells = new_grid(size, down, across, sharex=True, sharey=True)
    every, end = runs[columns].to_numpy(), math.inf
    if chance is not None and axis_scale == "log":
        end = MOST_TIMES_CHANCE * chance
    beyond = np.isfinite(every) & (every > end)
    set_value_axis(cells[0, 0], np.where(beyond, end, every), axis_scale, headroom=mark_row * len(marked))
    if against == "parameters":
        set_size_axis(cells[0, 0], depths)
    else:
        set_depth_axis(cells[0, 0], depths, width=size[0] / across - (2.2 if many else 0.5))
    lines: list[tuple[Axes, dict[str, Line2D]]] = []
    interquartile: list[bool] = []
    thin = len(splits) * sum(len(panel.rows) for panel in panels) > MOST_DOTS
    for position, (panel, together) in zip(place.places, itertools.product(panels, shown), strict=True):
        axes = cells.flat[position]
        if not place.row_headers:
            heading = [panel.title, SPLIT_LABELS[together[0]] if len(shown) > 1 else ""]
            axes.set_title(wrapped(", ".join(filter(None, heading)), size[0] / across - 0.5))
        if chance is not None:
            text = run_table.chance_text(chance, metric) if position == place.places[0] else ""
            mark_chance(axes, chance, text)
        drawn = {}
        for model, of_model in panel.rows.groupby("model"):
            style = styles[str(model)]
            seeds = of_model.groupby("depth").size()
            if seeds.max() > 1:
                interquartile.append(bool(seeds.min() >= FEW_SEEDS))
            for split in together:
                values = of_model.set_index("depth")[columns_of(metric, [split])[0]]
                drawn[str(model)] = _draw_medians(axes, values, style, split)
                if seeds.max() > 1:
                    has_quartiles = interquartile[-1]
                    _draw_spread(axes, values, style, interquartile=has_quartiles, has_band=not many, thin=thin)
            if model in marked:
                height = 1 - mark_row * (marked.index(str(model)) + 0.25)
                _mark_and_count(axes, of_model[np.isinf(of_model[columns[0]])], style, height)
        lines.append((axes, drawn))
    add_headers(cells, place.column_headers, place.row_headers)
    x_label = depth_label(styles) if against == "depth" else "parameters"
    label_outside(cells, place.places, x_label, run_table.value_label(runs, metric))
    what = run_table.metric_text(metric, splits)
    plain = f"{what} on {runs['task'].iloc[0]} against {against}".capitalize()
    says_finding = title is None and len(panels) == 1 and against == "depth"
    found = finding(summary, chance) if says_finding and metric == "loss" and "train" in splits else None
    if found:
        title, subtitle = found.sentence, "; ".join(filter(None, [plain, subtitle, found.statistic]))
    elif says_finding and (title := deepest_text(runs, metric, splits[0])):
        subtitle = "; ".join(filter(None, [plain, subtitle]))
    notes = [
        run_table.seeds_text(runs, "line" if len(depths) > 1 else "marker"),
        run_table.band_text(interquartile) if interquartile and len(depths) > 1 and not many else "",
        _dots_text(thin) if interquartile else "",
        "no line or band where diverged runs make it infinite" if marked else "",
        f"above the axis: {beyond.any(axis=1).sum()} runs" if beyond.any() else "",
        found.rule if found else "",
        run_table.failed_text(summary),
    ]
    entries = _legend_entries({} if many else styles, splits, diverged=bool(marked))
    finish(figure, (plain if title is None else title, subtitle), entries, notes)
    if many:
        figure.draw_without_rendering()  # gives the axes their height
        for axes, drawn in lines:
            label_ends(axes, drawn)
    return figure


def _default_size(across: int, down: int, models: int) -> tuple[float, float]:
    if models > MANY_MODELS:
        return 1.2 + 4.2 * across, 1.4 + max(3.4, 0.17 * models) * down
    if across == down == 1:
        return 7.2, 4.8 + 0.15 * max(models - 3, 0)  # the legend takes more rows
    return 1.2 + 2.7 * across, 1.4 + 2.3 * down


def _draw_medians(axes: Axes, values: "pd.Series[float]", style: ModelStyle, split: Split) -> Line2D:
    median = values.groupby(level="depth").median()
    (line,) = axes.plot(
        median.index,
        median.where(np.isfinite(median)),
        **split_line(style.colour, split),
        marker=style.marker,
        markersize=4 if len(median) <= FEW_DEPTHS else 2.6,
        linewidth=1.5,
        zorder=3,
    )
    return line


def _draw_spread(
    axes: Axes,
    values: "pd.Series[float]",
    style: ModelStyle,
    *,
    interquartile: bool,
    has_band: bool,
    thin: bool,
) -> None:
    share = 0.25 if interquartile else 0.0
    low = values.groupby(level="depth").apply(_quantile, share)
    high = values.groupby(level="depth").apply(_quantile, 1 - share)
    if has_band:
        shown = np.isfinite(low + high)
        axes.fill_between(low.index, low, high, where=shown, color=style.colour, alpha=0.13, linewidth=0)
    size, alpha = (5, 0.4) if len(low) <= FEW_DEPTHS else (3.5, 0.25)
    if thin:
        values = pd.concat([_some(of_depth) for _, of_depth in values.groupby(level="depth")])
    draw_runs(axes, values.index, values, style.colour, size=size, alpha=alpha)


def _some(values: "pd.Series[float]") -> "pd.Series[float]":
    """A few of the values, evenly by rank, the lowest and the highest among them."""
    return values.sort_values().iloc[evenly(range(len(values)), SOME_DOTS)]


def _dots_text(thin: bool) -> str:
    return f"dots: {SOME_DOTS} runs of each line at a depth, evenly by value" if thin else "dots: single runs"


def _quantile(values: "pd.Series[float]", share: float) -> float:
    """As numpy's, but an infinity among the values gives infinity or the finite value below, never nan."""
    ascending = np.sort(values.to_numpy())
    position = share * (len(ascending) - 1)
    low, high = ascending[math.floor(position)], ascending[math.ceil(position)]
    return float(low if low in (high, -math.inf) else low + (high - low) * (position % 1))


def _mark_and_count(axes: Axes, runs: pd.DataFrame, style: ModelStyle, height: float) -> None:
    counts = runs.groupby("depth").size()
    mark_diverged(axes, counts.index, height, style.colour)
    several = counts[counts > 1]
    for depth, count in zip(several.index.tolist(), several, strict=True):
        write_count(axes, depth, height, count, style.colour)


def depth_label(models: Collection[str]) -> str:
    """The label of an axis of depth, which says what is counted in nets of these models."""
    are_mlps = all(name.partition(", ")[0].endswith("-mlp") for name in models)
    return "depth (hidden layers)" if are_mlps else "depth (weight layers)"


def _legend_entries(styles: dict[str, ModelStyle], splits: Sequence[Split], *, diverged: bool) -> list[Line2D]:
    entries = [
        entry(model, **split_line(style.colour, splits[0]), marker=style.marker, markersize=4)
        for model, style in styles.items()
    ]
    if len(splits) > 1 or not entries:
        entries += [entry(SPLIT_LABELS[split], **split_line(GREY, split), marker="o", markersize=4) for split in splits]
    if diverged:
        entries.append(entry("diverged (number of runs)", color=GREY, linestyle="none", marker="x"))
    return entries
