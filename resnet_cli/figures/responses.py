"""Standard deviations of layer responses, in the manner of He et al. 2015 (arXiv 1512.03385), figure 7."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resnet_cli.figures import frames
from resnet_cli.figures.axes import add_legend, add_title, new_figure, set_value_axis, wrapped
from resnet_cli.figures.panels import split_panels
from resnet_cli.figures.style import GREY, look, model_styles
from resnet_cli.spec.errors import UserError

MAX_PANELS = 4
MAX_LINES = 12
LOG_FROM = 100
"""The value axis is logarithmic where the largest value is more than so many times the smallest."""
PALEST = 0.6
"""How much white the colour of the shallowest nets has."""
ROWS = {"layer": "layer, from the input", "rank": "layers, sorted by size"}
_MEASURED = ["layer", "name", "is_added", "deviation", "rank"]
_ADDED_SIZE = 4.8


def draw(frame: pd.DataFrame) -> Figure:
    """Draw the standard deviation of each layer's responses: on top in the order of the layers, below sorted by size.

    A line is the median over seeds of the nets of one model and depth (below: of their deviations of one rank); darker
    is deeper. On top, large markers stand where a response is added to a shortcut. Settings that vary make a column for
    each combination.

    Args:
        frame: one row per net and layer: run_id, task, model, depth, seed, settings, layer (from 1), is_added,
            deviation, rank (from 1 for the largest deviation of a net).

    Raises:
        UserError: there are too many combinations of settings, or too many lines.
    """
    runs = frame.drop_duplicates("run_id").drop(columns=_MEASURED)
    panels = split_panels(runs, limit=MAX_PANELS)
    looks = _looks(runs)
    if len(looks) > MAX_LINES:
        raise UserError(
            f"These nets have {len(looks)} combinations of model and depth, but one figure shows at most {MAX_LINES}; "
            "select fewer with --models and --depths."
        )
    values = frame["deviation"].to_numpy()
    positive = values[values > 0]
    spans_decades = positive.size > 0 and positive.max() > LOG_FROM * positive.min()
    size = (1.4 + max(2.8 * len(panels), 5.6), 6.4)

    with look():
        figure = new_figure(size)
        grid = figure.subplots(2, len(panels), sharex=True, sharey=True, squeeze=False)
        set_value_axis(grid[0, 0], values, "log" if spans_decades else "linear", headroom=0.0)
        grid[0, 0].xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
        grid[0, 0].set_xlim(0.5, frame["layer"].max() + 0.5)
        for column, panel in zip(grid.T, panels, strict=True):
            column[0].set_title(wrapped(panel.title, size[0] / len(panels) - 0.4, size=9))
            of_panel = frame[frame["run_id"].isin(panel.rows["run_id"])]
            for axes, (x, label) in zip(column, ROWS.items(), strict=True):
                axes.set_xlabel(label)
                axes.tick_params(labelbottom=True)
                for (model, depth), style in looks.items():
                    _draw_line(axes, of_panel[(of_panel["model"] == model) & (of_panel["depth"] == depth)], x, style)
        for axes in grid[:, 0]:
            axes.set_ylabel("standard deviation\nof the responses")
        add_title(figure, f"{runs['task'].iloc[0]}: responses of the layers")
        several = frames.seed_counts(runs).max() > 1
        notes = [frames.seeds_text(runs), "band: minimum to maximum" if several else ""]
        add_legend(figure, _legend_entries(looks, has_added=bool(frame["is_added"].any())), notes)
    return figure


def _draw_line(axes: Axes, rows: pd.DataFrame, x: str, style: dict[str, Any]) -> None:
    """The median over seeds with its band."""
    by_x = rows.groupby(x)["deviation"]
    median = by_x.median()
    axes.plot(median.index, median, **style, zorder=3)
    axes.fill_between(median.index, by_x.min(), by_x.max(), color=style["color"], alpha=0.1, linewidth=0)
    if x == "layer":
        added = median[median.index.isin(rows.loc[rows["is_added"], x])]
        axes.plot(added.index, added, **style | {"linestyle": "none", "markersize": _ADDED_SIZE}, zorder=3)


def _looks(runs: pd.DataFrame) -> dict[tuple[str, int], dict[str, Any]]:
    """The lines by model and depth: in the colour of the model, paler and thinner for shallower nets."""
    looks: dict[tuple[str, int], dict[str, Any]] = {}
    for model, style in model_styles(runs["model"]).items():
        depths = sorted(runs.loc[runs["model"] == model, "depth"].unique())
        for place, depth in enumerate(depths, 1):
            white = PALEST * (len(depths) - place) / max(len(depths) - 1, 1)
            red, green, blue = (1 - (1 - part) * (1 - white) for part in to_rgb(style.colour))
            looks[model, depth] = {
                "color": to_hex((red, green, blue)),
                "marker": style.marker,
                "markersize": 2.2,
                "linewidth": 1.8 - white,
            }
    return looks


def _legend_entries(looks: dict[tuple[str, int], dict[str, Any]], *, has_added: bool) -> list[Line2D]:
    entries = [Line2D([], [], **style, label=f"{model}, depth {depth}") for (model, depth), style in looks.items()]
    if has_added:
        mark = Line2D([], [], linestyle="none", marker="s", markersize=_ADDED_SIZE, color=GREY)
        mark.set_label("added to a shortcut")
        entries.append(mark)
    return entries
