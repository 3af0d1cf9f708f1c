"""Stochastic depth: the survival probability of each block above what training reaches with it and without.

After Huang et al. 2016, "Deep Networks with Stochastic Depth" (arXiv 1603.09382), figures 2 and 3.
"""

import itertools
import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from resnet_cli.claims.turning_point import is_classification
from resnet_cli.figures import run_table
from resnet_cli.figures.axes import (
    add_legend,
    add_title,
    model_entries,
    new_figure,
    resolve_scale,
    set_value_axis,
    wrapped,
)
from resnet_cli.figures.cells import MIN_SEEDS, draw_medians, fewest_seeds, without_spikes
from resnet_cli.figures.panels import split_panels
from resnet_cli.figures.style import MARKERS, PALETTE, ModelStyle, look, ordered_models
from resnet_cli.models.settings import SURVIVAL
from resnet_cli.settings.metrics import METRICS

MAX_COLUMNS = 4


def draw(curves: pd.DataFrame, *, title: str | None = None, size: tuple[float, float] | None = None) -> Figure:
    """Draw a column for each net: the survival probability by block, and the test error or loss during training.

    The probability falls evenly, p_l = 1 − (l/L)(1 − p_L) (eq. 4). A line for each p_L: below the median over seeds,
    with a band from minimum to maximum; with p_L = 1 the depth is constant. Of more than four nets, four are drawn,
    evenly chosen, the deepest among them.

    Args:
        curves: one row per evaluation: run_id, task, model, depth, seed, status, settings, `survival` (p_L), `blocks`
            (L), epoch, test_loss, test_error.
        title: instead of the finding.
        size: width and height in inches.
    """
    metric = "error" if is_classification(curves) else "loss"
    rows = run_table.drawable(curves, metric, ["test"])
    cells = _cells(rows)
    shown = pd.concat(cells.values())
    levels = sorted(rows[SURVIVAL.name].unique(), reverse=True)
    looks = zip(itertools.cycle(PALETTE[1:]), itertools.cycle(MARKERS))
    styles = {level: ModelStyle(colour, marker) for level, (colour, marker) in zip(levels, looks, strict=False)}
    column = f"test_{metric}"
    size = size or (1.0 + max(3.0 * len(cells), 5.4), 6.0)
    with look():
        figure = new_figure(size)
        grid = figure.subplots(2, len(cells), sharey="row", squeeze=False, height_ratios=[1, 1.7])
        medians = shown.groupby(["model", "depth", SURVIVAL.name, "epoch"])[column].median().to_numpy()
        first = float(np.median(shown.loc[shown["epoch"] == shown["epoch"].min(), column]))
        set_value_axis(grid[1, 0], without_spikes(medians, start=first), resolve_scale("auto", metric), headroom=0.0)
        grid[0, 0].set_ylim(0, 1.05)
        for (upper, lower), (heading, cell) in zip(grid.T, cells.items(), strict=True):
            upper.set_title(wrapped(heading, size[0] / len(cells) - 0.4, size=9))
            for level in sorted(cell[SURVIVAL.name].unique()):
                of_level = cell[cell[SURVIVAL.name] == level]
                _draw_probabilities(upper, int(of_level["blocks"].iloc[0]), level, styles[level])
                _draw_training(lower, of_level, column, styles[level])
            upper.set_xlabel("block, from the input")
            upper.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
            lower.set_xlabel("epoch")
            lower.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        grid[0, 0].set_ylabel("survival probability")
        grid[1, 0].set_ylabel(f"test {run_table.value_label(rows, metric)}")
        finding, what = _titles(shown, column)
        add_title(figure, title or finding, what)
        several = run_table.seed_counts(rows).max() > 1
        left_out = len(_all_cells(rows)) - len(cells)
        notes = [
            run_table.seeds_text(rows),
            "band: minimum to maximum" if several else "",
            f"{left_out} more depths or settings are not drawn" if left_out else "",
            run_table.failed_text(curves),
        ]
        add_legend(figure, model_entries({_label(level): style for level, style in styles.items()}), notes)
    return figure


def _label(level: float) -> str:
    return (
        "constant depth (all blocks survive)" if level == 1 else f"stochastic depth, last block survives with {level:g}"
    )


def _all_cells(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows by model, depth and other settings that vary."""
    models = ordered_models(rows["model"])
    found = {}
    for panel in split_panels(rows.drop(columns=[SURVIVAL.name, "blocks"])):
        here = rows.loc[panel.rows.index]
        for (_, depth), cell in here.groupby(["model", "depth"], sort=True):
            model = str(cell["model"].iloc[0])
            words = [model if len(models) > 1 else "", f"depth {depth}", panel.title]
            found[", ".join(filter(None, words))] = cell
    return found


def _cells(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """As many of them as there are columns, evenly chosen, the last among them."""
    found = list(_all_cells(rows).items())
    kept = {round(place) for place in np.linspace(len(found) - 1, 0, min(len(found), MAX_COLUMNS))}
    return {heading: cell for place, (heading, cell) in enumerate(found) if place in kept}


def _draw_probabilities(axes: Axes, blocks: int, survival: float, style: ModelStyle) -> None:
    numbers = np.arange(1, blocks + 1)
    probabilities = 1 - numbers / blocks * (1 - survival)
    axes.plot(numbers, probabilities, color=style.colour, marker=style.marker, markersize=3.5, linewidth=1.2)


def _draw_training(axes: Axes, rows: pd.DataFrame, column: str, style: ModelStyle) -> None:
    values = rows.groupby("epoch")[column]
    last_only = [values.ngroups - 1] if values.ngroups > 12 else None
    draw_medians(
        axes, values, color=style.colour, marker=style.marker, markersize=3.5, linewidth=1.5, markevery=last_only
    )


def _titles(shown: pd.DataFrame, column: str) -> tuple[str, str]:
    """What the deepest net reaches with and without stochastic depth, and what the figure is."""
    what = f"{shown['task'].iloc[0]}: stochastic depth, survival probability by block and test {column[5:]}"
    deepest = shown[shown["depth"] == shown["depth"].max()]
    ends = deepest.loc[deepest.groupby("run_id")["epoch"].idxmax()].groupby(SURVIVAL.name)[column].median()
    others = run_table.varying_settings(deepest.drop(columns=[SURVIVAL.name, "blocks"]))
    is_one_net = not others and len(deepest["model"].unique()) == 1
    if not is_one_net or 1 not in ends or len(ends) < 2 or fewest_seeds(deepest) < MIN_SEEDS:
        return what, ""
    unit = METRICS[column].sign
    said = [
        f"{'∞' if math.isinf(value) else f'{value:.3g}'}{unit} with {_short(float(level))}"
        for level, value in ends.sort_index(ascending=False).items()
    ]
    model, depth = deepest["model"].iloc[0], deepest["depth"].iloc[0]
    finding = f"{model} at depth {depth} ends with a test {column[5:]} of {' and '.join(said)}"
    return finding, f"{what} (medians of {fewest_seeds(deepest)} seeds)"


def _short(level: float) -> str:
    return "constant depth" if level == 1 else f"stochastic depth (p_L = {level:g})"
