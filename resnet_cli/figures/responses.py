"""Standard deviations of layer responses, in the manner of He et al. 2015 (arXiv 1512.03385), figure 7."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import add_legend, add_title, new_figure, set_value_axis, wrapped
from resnet_cli.figures.cells import MIN_SEEDS, draw_dots, draw_medians, fewest_seeds, split_cells, without_spikes
from resnet_cli.figures.style import GREY, ModelStyle, look, model_styles, ordered_models
from resnet_cli.models import twins

ANALYSIS = "responses"
MAX_COLUMNS = 4
LOG_FROM = 100
"""The value axis is logarithmic where the largest median is more than so many times the smallest."""
BAND_ROOM = 1.5
"""A linear axis reaches up to so many times the largest median, if a band does."""
X_LABELS = {"layer": "layer, from the input", "rank": "layers, sorted by magnitude"}
_MEASURED = ["layer", "name", "is_added", "deviation", "rank"]


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the standard deviation of each layer's responses: above in the order of the layers, below by magnitude.

    A column for each depth (and combination of settings), a line for each model: the median over seeds, below of the
    standard deviations of one rank, with a band from minimum to maximum. The medians set the axis; a band may leave it.
    Above, markers stand where a response is added to a shortcut. Nets of one layer are dots by model.

    Args:
        frame: one row per net and layer: run_id, task, model, depth, seed, settings, layer (from 1), is_added,
            deviation, rank (from 1 for the largest standard deviation of a net).

    Raises:
        UserError: there are too many combinations of depth and settings.
    """
    runs = frame.drop_duplicates("run_id").drop(columns=_MEASURED)
    cells = {title: frame[frame["run_id"].isin(ids)] for title, ids in split_cells(runs).items()}
    styles = model_styles(runs["model"])
    across = min(len(cells), MAX_COLUMNS)
    tiers = math.ceil(len(cells) / across)
    size = (1.2 + max(3.1 * across, 5.6), 1.6 + 4.6 * tiers)
    medians = pd.concat([_median(rows, x) for rows in cells.values() for x in X_LABELS])
    values = without_spikes(medians.to_numpy())
    positive = values[values > 0]
    spans_decades = positive.size > 0 and positive.max() > LOG_FROM * positive.min()
    if values.size and not spans_decades:  # room for bands that reach a little further
        values = frame.loc[frame["deviation"] <= BAND_ROOM * values.max(), "deviation"].to_numpy()

    with look():
        figure = new_figure(size)
        grid = figure.subplots(2 * tiers, across, sharey=True, squeeze=False)
        set_value_axis(grid[0, 0], values, "log" if spans_decades else "linear", headroom=0.0)
        for place, (title, rows) in enumerate(cells.items()):
            tier, column = divmod(place, across)
            pair = grid[2 * tier : 2 * tier + 2, column]
            width = size[0] / across - 0.4
            pair[0].set_title("\n".join(wrapped(line, width, size=9) for line in title.splitlines()))
            for axes, (x, label) in zip(pair, X_LABELS.items(), strict=True):
                _draw_cell(axes, rows, x, label, styles)
            if column == 0:
                for axes in pair:
                    axes.set_ylabel("standard deviation\nof the responses")
        for axes in grid.flat:
            axes.set_visible(axes.has_data())
        add_title(figure, *_titles(frame, runs))
        several = run_table.seed_counts(runs).max() > 1
        notes = [run_table.seeds_text(runs), "band: minimum to maximum" if several else ""]
        entries = [Line2D([], [], color=style.colour, linewidth=1.6, label=model) for model, style in styles.items()]
        if frame["is_added"].any():
            mark: dict[str, Any] = {"linestyle": "none", "marker": "s", "markersize": 4.5}
            entries.append(Line2D([], [], **mark, color=GREY, label="added to a shortcut"))
        add_legend(figure, entries, notes)
    return figure


def _median(rows: pd.DataFrame, x: str) -> "pd.Series[float]":
    """Over seeds, by model and `x`."""
    return rows.groupby(["model", x])["deviation"].median()


def _draw_cell(axes: Axes, rows: pd.DataFrame, x: str, label: str, styles: Mapping[str, ModelStyle]) -> None:
    last = int(rows["layer"].max())
    if last == 1:
        finite = rows[np.isfinite(rows["deviation"])]
        draw_dots(axes, {str(m): list(of["deviation"]) for m, of in finite.groupby("model")}, styles)
        return
    for model in ordered_models(rows["model"]):
        of_model, style = rows[rows["model"] == model], styles[model]
        median = draw_medians(axes, of_model.groupby(x)["deviation"], color=style.colour, linewidth=1.6, zorder=3)
        added = median[median.index.isin(of_model.loc[of_model["is_added"], "layer"])]
        if x == "layer" and len(added):
            axes.plot(added.index, added, color=style.colour, marker=style.marker, markersize=4.5, linestyle="none")
    axes.set_xlim(1 - 0.02 * last, last + 0.02 * last)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel(label)


def _titles(frame: pd.DataFrame, runs: pd.DataFrame) -> tuple[str, str]:
    """What the deepest plain and residual nets show, and what the figure is."""
    what = f"{runs['task'].iloc[0]}: standard deviation of the layers' responses to the test inputs"
    nets = frame.groupby(["depth", "model", "run_id"])["deviation"].mean().groupby(["depth", "model"]).median()
    for plain, residual in twins():
        chosen = runs[runs["model"].isin([plain, residual])]
        both = [
            depth for depth in sorted(runs["depth"].unique()) if {(depth, plain), (depth, residual)} <= set(nets.index)
        ]
        if both and not run_table.varying_settings(chosen) and fewest_seeds(chosen) >= MIN_SEEDS:
            depth = both[-1]
            finding = (
                f"At depth {depth} the layers' responses average {nets[depth, residual]:#.3g} in {residual} and "
                f"{nets[depth, plain]:#.3g} in {plain}"
            )
            return finding, f"{what} (mean over layers, median of {fewest_seeds(chosen)} seeds)"
    return what, ""
