"""Paths through a residual net by their length: how many there are, what gradient each brings, and the product.

Veit et al. 2016 (arXiv 1605.06431), figure 6.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_cli.figures.axes import entry, finish, new_grid, set_round_ticks, set_value_axis
from resnet_cli.figures.cells import MIN_SEEDS
from resnet_cli.figures.learning_curves import depth_colours
from resnet_cli.figures.panels import settings_text
from resnet_cli.figures.run_table import range_text, varying_settings
from resnet_cli.figures.style import MARKERS, by_numbers, look, ordered_models

ANALYSIS = "paths"
EFFECTIVE = 0.95
"""The share of the total gradient magnitude that the effective lengths carry."""
_MEASURED = ["blocks", "length", "paths", "path_share", "draws"]
_MEASURED += ["gradient", "gradient_low", "gradient_high", "gradient_share"]


@look()
def draw(frame: pd.DataFrame) -> Figure:
    """Draw the distribution of lengths, the gradient norm (log scale) and their product, side by side.

    A row of panels for each model (and value of a setting), a colour for each depth, darker for deeper nets. Lines are
    means over seeds. Bands are the 10th to 90th percentile of the draws, and in the product the range of the seeds.
    The shortest range of lengths that carries 95 % of the product is filled, and the panel names it.
    `frame` has the columns that `analysis.paths.measure_paths` describes.
    """
    rows = over_seeds(frame)
    headings = ordered_models(sorted(rows["heading"], key=by_numbers))
    depths = sorted({int(depth) for depth in rows["depth"]})
    styles: dict[int, dict[str, Any]] = {
        depth: {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.3}
        for (depth, colour), marker in zip(depth_colours(depths).items(), MARKERS * len(depths), strict=False)
    }
    figure, grid = new_grid((10.5, 1.7 + 2.6 * len(headings)), len(headings), 3)
    for row, heading in zip(grid, headings, strict=True):
        _draw_row(row, rows[rows["heading"] == heading], styles)
        if len(headings) > 1:
            row[0].set_title(heading, loc="left", fontweight="bold")
    for axes in grid[-1]:
        axes.set_xlabel("path length (residual blocks passed)")
    entries = [entry(f"depth {depth}", **style) for depth, style in styles.items()]
    several = rows["seeds"].max() > 1
    notes = [
        f"lines: mean of {range_text(rows['seeds'])} seeds" if several else "one seed",
        f"{rows['draws'].max()} paths of each length in every net, each with a random training batch",
        "band of the gradient: 10th to 90th percentile of these",
        "bars of the product: range of the seeds" if several else "",
    ]
    return finish(figure, _titles(str(frame["task"].iloc[0]), rows, headings), entries, notes)


def _titles(task: str, rows: pd.DataFrame, headings: list[str]) -> tuple[str, str]:
    """The lengths that carry most of the gradient in the deepest net, and what the figure is."""
    what = f"{task}: gradients along the paths of {headings[0] if len(headings) == 1 else 'residual nets'}"
    deepest = rows[rows["depth"] == rows["depth"].max()].set_index("length")
    seeds = int(deepest["seeds"].min())
    if len(headings) > 1 or seeds < MIN_SEEDS:
        return what, ""
    first, last = effective_range(deepest["gradient_share"])
    share = 100 * deepest.loc[first:last, "path_share"].sum()
    finding = (
        f"At depth {deepest['depth'].iloc[0]}, {100 * EFFECTIVE:g} % of the gradient comes along the {share:.3g} % of "
        f"paths that pass {first} to {last} of {deepest.index[-1]} blocks"
    )
    return finding, f"{what} (means over {seeds} seeds)"


def over_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds of what was measured at each length: one row per net and length.

    `heading` is the model with its varying settings, such as `resnet, ordering original`, `seeds` their number, and
    `share_low` and `share_high` are the range of `gradient_share`; other columns are those of `draw`.
    """
    settings = varying_settings(frame.drop(columns=_MEASURED))
    texts = [settings_text({name: row[name] for name in settings}) for row in frame.to_dict("records")]
    headings = [", ".join(filter(None, named)) for named in zip(frame["model"], texts, strict=True)]
    return (
        frame.assign(heading=headings)
        .groupby(["heading", "depth", "blocks", "length"])
        .agg(
            seeds=("run_id", "nunique"),
            draws=("draws", "first"),
            path_share=("path_share", "mean"),
            gradient=("gradient", "mean"),
            gradient_low=("gradient_low", "mean"),
            gradient_high=("gradient_high", "mean"),
            gradient_share=("gradient_share", "mean"),
            share_low=("gradient_share", "min"),
            share_high=("gradient_share", "max"),
        )
        .reset_index()
    )


def effective_range(shares: "pd.Series[float]") -> tuple[int, int]:
    """The shortest range of lengths, from 0 on, that holds 95 %; of equally short ones, the one that holds most."""
    held = np.concatenate([[0.0], np.cumsum(shares.to_numpy())])
    needed = EFFECTIVE * held[-1]
    for count in range(1, len(shares)):
        sums = held[count:] - held[:-count]
        first = int(sums.argmax())
        if sums[first] >= needed:
            return first, first + count - 1
    return 0, len(shares) - 1


def _draw_row(row: np.ndarray, here: pd.DataFrame, styles: dict[int, dict[str, Any]]) -> None:
    """Three panels of one model; `here` are its rows of `over_seeds`."""
    shares, gradients, products = row
    ranges = []
    for depth in sorted(here["depth"].unique()):
        line = here[here["depth"] == depth].set_index("length")
        style = styles[depth]
        shares.plot(line.index, 100 * line["path_share"], **style)
        gradients.plot(line.index, line["gradient"], **style)
        _fill(gradients, line["gradient_low"], line["gradient_high"], style["color"])
        product = 100 * line["gradient_share"]
        products.plot(line.index, product, **style)
        products.vlines(line.index, 100 * line["share_low"], 100 * line["share_high"], color=style["color"], lw=1)
        first, last = effective_range(line["gradient_share"])
        filled = product.loc[first:last]
        _fill(products, 0 * filled, filled, style["color"])
        ranges.append(entry(f"{first} to {last} of {line.index[-1]}", **style))
    products.legend(handles=ranges, title=f"{100 * EFFECTIVE:g} % lies in lengths")
    measured = here[["gradient", "gradient_low", "gradient_high"]].to_numpy()
    set_value_axis(gradients, measured, "log", headroom=0)
    shares.set_ylabel("share of all paths (%)")
    gradients.set_ylabel("gradient norm at the input")
    products.set_ylabel("share of paths × gradient (%)")
    for axes in row:
        set_round_ticks(axes)
    for axes in (shares, products):
        axes.set_ylim(bottom=0)


def _fill(axes: Axes, low: "pd.Series[float]", high: "pd.Series[float]", colour: str) -> None:
    axes.fill_between(low.index, low, high, color=colour, alpha=0.15, linewidth=0)
