"""Test error after blocks of trained nets are removed or swapped.

In the manner of Veit, Wilber and Belongie 2016 (arXiv 1605.06431), figures 3, 5a and 5b.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import (
    DOTTED,
    draw_runs,
    entry,
    finish,
    model_entries,
    new_grid,
    resolve_scale,
    set_round_ticks,
    set_value_axis,
    wrapped,
)
from resnet_cli.figures.cells import compared_title
from resnet_cli.figures.panels import split_panels
from resnet_cli.figures.run_table import is_classification
from resnet_cli.figures.style import GREY, ModelStyle, look, model_styles
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import describe

ANALYSIS = "remove"
MAX_ROWS = 6
TAU_STEPS = 10
"""Orders are put together in this many steps from the trained order to the one that differs most."""
BAND = (0.1, 0.9)
_KINDS = ("intact", "single", "several", "order")
_HEADINGS = ("one block removed", "several random blocks removed", "random pairs of blocks swapped")
_X_LABELS = ("removed block", "number of removed blocks", "Kendall's τ with the trained order")


@look()
def draw(frame: pd.DataFrame) -> Figure:
    """Draw test error, or on a regression task test loss: a row of three panels for each depth.

    Left against the removed block, in the middle against the number of removed blocks, on the right against the rank
    correlation of the blocks' order with the trained one. Lines are medians, bands reach from the 10th to the 90th
    percentile. Settings that vary make further rows. Losses that are not finite are left out, and the legend says so.
    `frame` has the columns that `analysis.removed_blocks.measure_changes` describes, of nets of one task.

    Raises:
        UserError: the nets are of several tasks, or would make too many rows (`split_rows`).
    """
    task = run_table.only_task(frame)
    metric = "error" if is_classification(frame) else "loss"
    values = frame[f"test_{metric}"].astype(float)
    rows = frame.assign(value=values)[np.isfinite(values)]
    nets = frame.iloc[:, : list(frame).index("change")].drop_duplicates("run_id")
    parts = {title: rows[rows["run_id"].isin(run_ids)] for title, run_ids in split_rows(nets).items()}
    styles = model_styles(frame["model"])
    width = 10.4
    figure, grid = new_grid((width, 1.6 + 2.6 * len(parts)), len(parts), 3, sharey=True)
    set_value_axis(grid[0, 0], rows["value"].to_numpy(), resolve_scale("auto", metric), headroom=0.0)
    for line, (title, of_part) in zip(grid, parts.items(), strict=True):
        single, several, order = line
        for axes, heading, label in zip(line, _HEADINGS, _X_LABELS, strict=True):
            axes.set_title(f"{wrapped(title, width / 3 - 0.3)}\n{heading}")
            axes.set_xlabel(label)
            axes.axhline(of_part.loc[of_part["change"] == "chance", "value"].median(), **DOTTED)
        single.set_ylabel(f"test {run_table.value_label(frame, metric)}")
        for model, of_model in of_part.groupby("model"):
            style = styles[str(model)]
            kinds = {kind: of_model[of_model["change"] == kind] for kind in _KINDS}
            _draw_single(single, kinds, style)
            some = pd.concat([kinds["intact"], kinds["single"], kinds["several"]])
            _draw_quantiles(several, some["removed"].astype(int), some["value"], style)
            if not kinds["order"].empty:
                _draw_orders(order, kinds, style)
        for axes in (single, several):
            set_round_ticks(axes, min_n_ticks=1)
        if (of_part["change"] == "order").any():
            set_round_ticks(order, integer=False, nbins=6)
            order.invert_xaxis()
        else:
            order.set_xticks([])
            order.text(0.5, 0.5, "no two blocks can be swapped", transform=order.transAxes, ha="center")
    what = f"{task}: test {metric} of trained nets after blocks are removed or change places"
    lost = len(frame) - len(rows)
    notes = [
        f"lines: median, bands: 10th to 90th percentile, of {_nets_text(nets, frame)}",
        "on the right a dot for each net",
        f"left out: {lost} nets whose {metric} is not finite" if lost else "",
    ]
    entries = [*model_entries(styles), entry("intact net", color=GREY, **_INTACT), entry("chance", **DOTTED)]
    if frame["changes_shape"].any():
        entries.append(entry("removed block changes the shape", color=GREY, marker="o", **_CHANGES_SHAPE))
    return finish(figure, _titles(what, nets, rows, metric), entries, notes)


def _titles(what: str, nets: pd.DataFrame, rows: pd.DataFrame, metric: str) -> tuple[str, str]:
    """What the removal of one block does to the deepest nets, where they can be compared, and what the figure is."""
    deepest = nets[nets["depth"] == nets["depth"].max()]
    single = rows[rows["run_id"].isin(deepest["run_id"]) & (rows["change"] == "single")]
    words = f"After one block is removed at depth {deepest['depth'].iloc[0]}, the test {metric} is"
    return compared_title(what, deepest, single.groupby("model")["value"].median(), words, describe(metric).sign)


def split_rows(nets: pd.DataFrame) -> dict[str, "pd.Series[str]"]:
    """The run ids of each row of panels by its title: one for each depth and combination of settings that vary.

    `nets` has one row per net: run_id, model, depth, and settings. Too many rows are a UserError.
    """
    found = {
        ", ".join(filter(None, [f"depth {depth}", panel.title])): of_depth["run_id"]
        for panel in split_panels(nets)
        for depth, of_depth in panel.rows.groupby("depth")
    }
    if len(found) > MAX_ROWS:
        raise UserError(
            f"The depths and settings of these nets make {len(found)} rows of panels, but one figure shows at most "
            f"{MAX_ROWS}; choose some depths with --depths."
        )
    return found


_INTACT: dict[str, Any] = {"linestyle": "--", "linewidth": 0.9}
_CHANGES_SHAPE: dict[str, Any] = {
    "linestyle": "none",
    "markerfacecolor": "white",
    "markersize": 6.5,
    "markeredgewidth": 1.3,
}


def _draw_single(axes: Axes, kinds: Mapping[str, pd.DataFrame], style: ModelStyle) -> None:
    """The value after each block's removal, the block's mark hollow where it changes the shape; the intact net's."""
    single = kinds["single"]
    block = single["blocks"].astype(int)
    _draw_quantiles(axes, block, single["value"], style)
    medians = single[single["changes_shape"]].groupby(block)["value"].median()
    axes.plot(medians.index, medians, color=style.colour, marker=style.marker, zorder=4, **_CHANGES_SHAPE)
    axes.axhline(kinds["intact"]["value"].median(), color=style.colour, **_INTACT)


def _draw_orders(axes: Axes, kinds: Mapping[str, pd.DataFrame], style: ModelStyle) -> None:
    """The value after random swaps: a dot for each net, and lines through steps of the rank correlation."""
    some = pd.concat([kinds["intact"], kinds["order"]])
    tau = some["kendall_tau"]
    step = (1 - tau.min()) / TAU_STEPS
    steps = np.ceil((1 - tau) / step - 1e-6)  # 0 for the trained order alone
    _draw_quantiles(axes, tau.groupby(steps).transform("mean"), some["value"], style)
    draw_runs(axes, tau, some["value"], style.colour, size=4, alpha=0.35)


def _draw_quantiles(
    axes: Axes, x: "pd.Series[int] | pd.Series[float]", values: "pd.Series[float]", style: ModelStyle
) -> None:
    """A median line with a band at each value of `x`."""
    by_x = values.groupby(x)
    low, median, high = (by_x.quantile(share) for share in (BAND[0], 0.5, BAND[1]))
    axes.fill_between(median.index, low, high, color=style.colour, alpha=0.15, linewidth=0)
    axes.plot(median.index, median, color=style.colour, marker=style.marker, markersize=4, linewidth=1.5, zorder=3)


def _nets_text(nets: pd.DataFrame, frame: pd.DataFrame) -> str:
    """How many nets a line stands for, such as `3 seeds with up to 20 random draws each`."""
    counts, draws = run_table.seed_counts(nets), frame["draw"].max()
    several = counts.max() > 1
    seeds = f"{run_table.range_text(counts)} seeds" if several else "one seed"
    return seeds if pd.isna(draws) else f"{seeds} with up to {draws:.0f} random draws{' each' if several else ''}"
