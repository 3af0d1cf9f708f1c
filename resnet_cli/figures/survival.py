"""Stochastic depth: the survival probability of each block above what training reaches with it and without.

After Huang et al. 2016, "Deep Networks with Stochastic Depth" (arXiv 1603.09382), figures 2 and 3.
"""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import (
    finish,
    model_entries,
    new_grid,
    resolve_scale,
    set_round_ticks,
    set_value_axis,
    wrapped,
)
from resnet_cli.figures.cells import MIN_SEEDS, draw_medians, fewest_seeds, without_spikes
from resnet_cli.figures.panels import evenly, split_panels
from resnet_cli.figures.run_table import is_classification
from resnet_cli.figures.style import MARKERS, PALETTE, ModelStyle, look
from resnet_cli.models.settings import SURVIVAL
from resnet_cli.settings.metrics import METRICS

MAX_COLUMNS = 4


@look()
def draw(curves: pd.DataFrame, *, title: str | None = None, size: tuple[float, float] | None = None) -> Figure:
    """Draw a column for each net: the survival probability by block, and the test error or loss during training.

    The probability falls evenly, p_l = 1 − (l/L)(1 − p_L) (eq. 4). A line for each p_L: below the median over seeds,
    with a band from minimum to maximum; with p_L = 1 the depth is constant. Of more than four nets, four are drawn,
    evenly chosen, the deepest among them.
    `curves` has a row for each evaluation, with the settings, `survival` (p_L) among them, and `blocks` (L).
    """
    metric = "error" if is_classification(curves) else "loss"
    rows = run_table.drawable(curves, metric, ["test"])
    all_cells = list(_all_cells(rows).items())
    cells = dict(evenly(all_cells, MAX_COLUMNS))
    shown = pd.concat(cells.values())
    levels = sorted(rows[SURVIVAL.name].unique(), reverse=True)
    looks = zip(itertools.cycle(PALETTE[1:]), itertools.cycle(MARKERS))
    styles = {level: ModelStyle(colour, marker) for level, (colour, marker) in zip(levels, looks, strict=False)}
    column = f"test_{metric}"
    size = size or (1.0 + max(3.0 * len(cells), 5.4), 6.0)
    figure, grid = new_grid(size, 2, len(cells), sharey="row", height_ratios=[1, 1.7])
    medians = shown.groupby(["model", "depth", SURVIVAL.name, "epoch"])[column].median().to_numpy()
    first = float(np.median(shown.loc[shown["epoch"] == shown["epoch"].min(), column]))
    set_value_axis(grid[1, 0], without_spikes(medians, start=first), resolve_scale("auto", metric), headroom=0.0)
    grid[0, 0].set_ylim(0, 1.05)
    for (upper, lower), (heading, cell) in zip(grid.T, cells.items(), strict=True):
        upper.set_title(wrapped(heading, size[0] / len(cells) - 0.4))
        for level in sorted(cell[SURVIVAL.name].unique()):
            of_level = cell[cell[SURVIVAL.name] == level]
            look_of: dict[str, Any] = {"color": styles[level].colour, "marker": styles[level].marker, "markersize": 3.5}
            blocks = int(of_level["blocks"].iloc[0])
            numbers = np.arange(1, blocks + 1)
            upper.plot(numbers, 1 - numbers / blocks * (1 - level), **look_of, linewidth=1.2)
            values = of_level.groupby("epoch")[column]
            last_only = [values.ngroups - 1] if values.ngroups > 12 else None
            draw_medians(lower, values, **look_of, linewidth=1.5, markevery=last_only)
        upper.set_xlabel("block, from the input")
        set_round_ticks(upper, nbins=6)
        lower.set_xlabel("epoch")
        set_round_ticks(lower, integer=False, nbins=6)
    grid[0, 0].set_ylabel("survival probability")
    grid[1, 0].set_ylabel(f"test {run_table.value_label(rows, metric)}")
    finding, what = _titles(shown, column)
    left_out = len(all_cells) - len(cells)
    notes = [
        *run_table.seeds_notes(rows),
        f"{left_out} more depths or settings are not drawn" if left_out else "",
        run_table.failed_text(curves),
    ]
    entries = model_entries({_label(level): style for level, style in styles.items()})
    return finish(figure, (title or finding, what), entries, notes)


def _label(level: float) -> str:
    return (
        "constant depth (all blocks survive)" if level == 1 else f"stochastic depth, last block survives with {level:g}"
    )


def _all_cells(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows by model, depth and other settings that vary."""
    several = len(rows["model"].unique()) > 1
    return {
        ", ".join(filter(None, [str(model) if several else "", f"depth {depth}", panel.title])): cell
        for panel in split_panels(rows.drop(columns=[SURVIVAL.name, "blocks"]))
        for (model, depth), cell in rows.loc[panel.rows.index].groupby(["model", "depth"])
    }


def _titles(shown: pd.DataFrame, column: str) -> tuple[str, str]:
    """What the deepest net reaches with and without stochastic depth, and what the figure is."""
    what = f"{shown['task'].iloc[0]}: stochastic depth, survival probability by block and test {column[5:]}"
    deepest = shown[shown["depth"] == shown["depth"].max()]
    ends = deepest.loc[deepest.groupby("run_id")["epoch"].idxmax()].groupby(SURVIVAL.name)[column].median()
    others = run_table.varying_settings(deepest.drop(columns=[SURVIVAL.name, "blocks"]))
    is_one_net = not others and len(deepest["model"].unique()) == 1
    if not is_one_net or 1 not in ends or len(ends) < 2 or fewest_seeds(deepest) < MIN_SEEDS:
        return what, ""
    said = []
    for level, value in ends.sort_index(ascending=False).items():
        depth_kind = "constant depth" if level == 1 else f"stochastic depth (p_L = {level:g})"
        said.append(f"{value:.3g}{METRICS[column].sign} with {depth_kind}".replace("inf", "∞"))
    model, depth = deepest["model"].iloc[0], deepest["depth"].iloc[0]
    finding = f"{model} at depth {depth} ends with a test {column[5:]} of {' and '.join(said)}"
    return finding, f"{what} (medians of {fewest_seeds(deepest)} seeds)"
