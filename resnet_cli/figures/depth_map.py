"""A map: loss after training by depth (vertical) and a setting that is a number (horizontal), a panel a model.

The line in it is the edge of trainability, where the loss is half that of a net with constant output.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import add_headers, finish, label_outside, new_grid, resolve_scale, wrapped
from resnet_cli.figures.heat import (
    EDGE,
    add_colour_scale,
    colour_scale,
    draw_cells,
    map_entries,
    set_map_axes,
)
from resnet_cli.figures.loss_by_depth import depth_label
from resnet_cli.figures.panels import split_panels
from resnet_cli.figures.run_table import SPLITS, Scale, Split
from resnet_cli.figures.style import look, ordered_models
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import columns_of, describe

MAX_ROWS = 6
FEWEST_VALUES = 5
"""Of a setting that nobody chose, to be worth a map."""


@look()
def draw(
    summary: pd.DataFrame,
    *,
    x: str,
    metric: str = "loss",
    scale: Scale = "auto",
    splits: Sequence[Split] = SPLITS,
    title: str | None = None,
    subtitle: str = "",
    size: tuple[float, float] | None = None,
    chance: float | None = None,
) -> Figure:
    """Draw the median of `metric` over seeds as a colour for each depth and value of the setting `x`.

    A column of panels for each model, a row for each combination of other settings that vary; all share one colour
    scale, which ends at what a constant answer reaches, if that is known. A cell is hatched where half of the seeds or
    more diverged, and grey where there is no run. An axis is logarithmic where the ratios of its values are more alike
    than their differences.

    Args:
        summary: one row per run, as for `loss_by_depth.draw`.
        x: a setting in which runs of one model and depth differ, and whose values are numbers.
        metric, scale, title, subtitle, size: as for `loss_by_depth.draw`.
        splits: of which the first is drawn.
        chance: `metric` of a net with constant output; the edge is at half of it.

    Raises:
        UserError: `x` does not vary or is no number, other settings make too many combinations, or as
            `loss_by_depth.draw`.
    """
    metric, splits = run_table.resolve_splits(metric, splits)
    shown = splits[:1]
    cells = medians(summary, x, metric, shown[0])
    models = ordered_models(cells["model"])
    panels = split_panels(cells.drop(columns=[x, "value"]), limit=MAX_ROWS)
    across, down = len(models), len(panels)
    size = size or (1.6 + max(2.9 * across, 4.2), 1.5 + 2.7 * down)
    figure, grid = new_grid(size, down, across, sharex=True, sharey=True)
    norm = colour_scale(cells["value"].to_numpy(), resolve_scale(scale, metric), chance)
    edge = None if chance is None else EDGE * chance
    tables = [
        cells.loc[panel.rows.index[panel.rows["model"] == model]].pivot_table("value", "depth", x)
        for panel, model in itertools.product(panels, models)
    ]
    filled = [place for place, table in enumerate(tables) if table.size]
    for place in filled:
        draw_cells(grid.flat[place], tables[place], norm, edge)
    set_map_axes(grid[0, 0], cells[x], cells["depth"], (size[0] / across - 1, size[1] / down - 1))
    add_headers(grid, models if across > 1 else [], [wrapped(panel.title, size[1] / down) for panel in panels])
    label_outside(grid, filled, x.replace("_", " "), depth_label(models))
    add_colour_scale(figure, grid, norm, _label(summary, metric, shown), edge)
    what = f"{run_table.metric_text(metric, shown)} on {cells['task'].iloc[0]} by depth and {x.replace('_', ' ')}"
    drawn = summary[summary["status"] != "failed"]
    lacking = int(drawn[x].isna().sum())
    notes = [
        run_table.seeds_text(drawn, "cell"),
        f"colours end at {run_table.chance_text(chance, metric)}" if chance is not None else "",
        f"{lacking} runs without {x} are not drawn" if lacking else "",
        run_table.failed_text(summary),
    ]
    values = np.concatenate([table.to_numpy().ravel() for table in tables])
    edge_text = "" if chance is None else f"half of the constant answer's {describe(metric).title}"
    only = f"{models[0]}: " if across == 1 else ""
    return finish(
        figure, (title or only + (what if only else what.capitalize()), subtitle), map_entries(values, edge_text), notes
    )


def _label(summary: pd.DataFrame, metric: str, shown: Sequence[Split]) -> str:
    label = run_table.value_label(summary, metric)
    words = run_table.metric_text(metric, shown).removesuffix(describe(metric).title).strip()
    return f"{words} {label}".strip()


def medians(summary: pd.DataFrame, x: str, metric: str, split: Split) -> pd.DataFrame:
    """A row for each model, combination of settings, value of `x` and depth: `value`, the median over seeds.

    It is infinite where half of the runs or more diverged. Runs that have no `x` are left out. Raises UserError as
    `draw` does.
    """
    rows = run_table.drawable(summary, metric, [split])
    check_axis(rows, x)
    rows = rows[rows[x].notna()]
    column = columns_of(metric, [split])[0]
    values = rows[column].mask(rows["status"] == "diverged", describe(metric).worst)
    others = [name for name in run_table.free_settings(rows) if name != x]
    rows = rows.assign(value=values, **{x: rows[x].astype(float)})
    groups = rows.groupby(["task", "model", *others, x, "depth"], dropna=False, observed=True)["value"]
    return groups.agg(_median).reset_index()


def _median(values: "pd.Series[float]") -> float:
    """The median, infinite where half of the values or more are."""
    return float(values.median()) if np.isfinite(values).mean() > 0.5 else math.inf


def check_axis(rows: pd.DataFrame, x: str) -> None:
    """Raise UserError unless `x` is a setting that varies and whose values are numbers."""
    numeric = numeric_settings(rows)
    if x in numeric:
        return
    those = f"those that do and are numbers are {', '.join(numeric)}" if numeric else "none that does is a number"
    if x not in run_table.varying_settings(rows):
        raise UserError(f"x (={x}) is not a setting in which runs of one model and depth differ; {those}.")
    raise UserError(f"x (={x}) is not a setting with numbers as values; of the settings that differ, {those}.")


def numeric_settings(rows: pd.DataFrame) -> list[str]:
    """The settings in which runs of one model and depth differ and whose values are numbers."""
    return [name for name in run_table.varying_settings(rows) if _are_numbers(rows[name].dropna().unique().tolist())]


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def worth_a_map(rows: pd.DataFrame) -> str | None:
    """The numeric setting with most values, if they are many enough for a map of several depths."""
    found = max(numeric_settings(rows), key=lambda name: rows[name].nunique(), default=None)
    if found is None or rows[found].nunique() < FEWEST_VALUES or rows["depth"].nunique() < 2:
        return None
    return found
