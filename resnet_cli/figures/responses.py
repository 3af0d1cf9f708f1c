"""Standard deviations of layer responses, in the manner of He et al. 2015 (arXiv 1512.03385), figure 7."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import entry, finish, set_round_ticks, set_value_axis
from resnet_cli.figures.cells import (
    MIN_SEEDS,
    draw_dots,
    draw_medians,
    fewest_seeds,
    new_cells,
    split_cells,
    without_spikes,
)
from resnet_cli.figures.style import GREY, ModelStyle, look, model_styles, ordered_models
from resnet_cli.models import twins

ANALYSIS = "responses"
LOG_FROM = 30
"""The value axis is logarithmic where the largest median is more than so many times the smallest."""
BAND_ROOM = 1.5
"""A linear axis reaches up to so many times the largest median, if a band does."""
X_LABELS = {"layer": "layer, from the input", "rank": "layers, sorted by magnitude"}
ADDED: dict[str, Any] = {"linestyle": "none", "markersize": 4.5}
_MEASURED = ["layer", "name", "is_added", "deviation", "rank"]


@look()
def draw(frame: pd.DataFrame) -> Figure:
    """Draw the standard deviation of each layer's responses: above in the order of the layers, below by magnitude.

    A column for each depth (and combination of settings), a line for each model: the median over seeds, below of the
    standard deviations of one rank, with a band from minimum to maximum. The medians set the axis; a band may leave it.
    Above, markers stand where a response is added to a shortcut. Nets of one layer are dots by model.
    `frame` has the columns that `analysis.responses.measure_responses` describes. Too many cells are a UserError.
    """
    runs = frame.drop_duplicates("run_id").drop(columns=_MEASURED)
    cells = {title: frame[frame["run_id"].isin(ids)] for title, ids in split_cells(runs).items()}
    styles = model_styles(runs["model"])
    medians = pd.concat([rows.groupby(["model", x])["deviation"].median() for rows in cells.values() for x in X_LABELS])
    values = without_spikes(medians.to_numpy())
    positive = values[values > 0]
    spans_decades = positive.size > 0 and positive.max() > LOG_FROM * positive.min()
    if values.size and not spans_decades:  # room for bands that reach a little further
        values = frame.loc[frame["deviation"] <= BAND_ROOM * values.max(), "deviation"].to_numpy()
    labels = ["standard deviation\nof the responses"] * len(X_LABELS)
    figure, pairs = new_cells(cells, labels, cell=(3.1, 4.6), least=5.6, room=(1.2, 1.6))
    set_value_axis(figure.axes[0], values, "log" if spans_decades else "linear", headroom=0.0)
    for pair, rows in zip(pairs, cells.values(), strict=True):
        for axes, (x, label) in zip(pair, X_LABELS.items(), strict=True):
            _draw_cell(axes, rows, x, label, styles)
    for axes in figure.axes:
        axes.set_visible(axes.has_data())
    entries = [entry(model, color=style.colour, linewidth=1.6) for model, style in styles.items()]
    if frame["is_added"].any():
        entries.append(entry("added to a shortcut", **ADDED, marker="s", color=GREY))
    return finish(figure, _titles(frame, runs), entries, run_table.seeds_notes(runs))


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
            axes.plot(added.index, added, color=style.colour, marker=style.marker, **ADDED)
    axes.set_xlim(1 - 0.02 * last, last + 0.02 * last)
    set_round_ticks(axes, nbins=6)
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
