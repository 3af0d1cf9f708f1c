"""Test error on new classes by depth: of nets that had learned other classes, and of the same nets from scratch."""

import math
import re
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import (
    entry,
    finish,
    label_outside,
    model_entries,
    new_grid,
    set_depth_axis,
    set_value_axis,
    wrapped,
)
from resnet_cli.figures.cells import draw_medians, is_compared, named_values
from resnet_cli.figures.panels import split_panels
from resnet_cli.figures.style import GREY, look, model_styles, ordered_models
from resnet_cli.settings.metrics import OUTCOMES

ANALYSIS = "transfer"
MAX_PANELS = 9
MAX_COLUMNS = 3
STARTS = {"transferred": "-", "scratch": "--"}


def ends(frame: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """An outcome after training, such as `test_error`: a row per run and number of examples, a column per start.

    A training that diverged counts as infinite. `frame` has the columns that `analysis.transfer.transfer` describes.
    """
    last = frame.groupby(["run_id", "examples", "start"], sort=False).tail(1)
    is_finite = np.isfinite(last["train_loss"] + last["test_loss"])
    values = last.assign(value=last[outcome].where(is_finite, math.inf))
    runs = last.drop(columns=["start", "step", *OUTCOMES]).drop_duplicates(["run_id", "examples"])
    wide = values.pivot_table("value", ["run_id", "examples"], "start", dropna=False)[list(STARTS)]
    return runs.join(wide, on=["run_id", "examples"])


@look()
def draw(frame: pd.DataFrame) -> Figure:
    """Draw test error after training against depth, a panel for each number of examples and combination of settings.

    Solid lines are nets that had learned other classes, dashed ones the same nets from scratch: medians over seeds with
    a band from the lowest to the highest. `frame` has the columns that `analysis.transfer.transfer` describes. Too many
    panels are a UserError.
    """
    found = ends(frame, "test_error")
    nets = found.drop(columns=list(STARTS))
    panels = split_panels(nets, limit=MAX_PANELS)
    across = min(len(panels), MAX_COLUMNS)
    down = math.ceil(len(panels) / across)
    size = (1.4 + 3.4 * max(across, 1.7), 2.0 + 3.0 * down)
    figure, grid = new_grid(size, down, across, sharex=True, sharey=True)
    set_value_axis(grid[0, 0], found[list(STARTS)].to_numpy().ravel(), "linear", headroom=0.04)
    set_depth_axis(grid[0, 0], sorted(found["depth"].unique()), width=size[0] / across - 0.5)
    styles = model_styles(found["model"])
    for axes, panel in zip(grid.flat, panels, strict=False):
        title = re.sub(r"\bexamples (\d+)", r"\1 examples of each class", panel.title)
        axes.set_title(wrapped(title, size[0] / across - 0.4))
        rows = found.loc[panel.rows.index]
        for model, style in styles.items():
            for start, line in STARTS.items():
                by_depth = rows[rows["model"] == model].groupby("depth")[start]
                filled = style.colour if start == "transferred" else "white"
                marker: dict[str, Any] = {"marker": style.marker, "markersize": 4, "markerfacecolor": filled}
                draw_medians(axes, by_depth, color=style.colour, linestyle=line, linewidth=1.5, **marker)
    label_outside(grid, range(len(panels)), "depth", f"test error {run_table.value_label(frame, 'error')}")
    entries = [
        *model_entries(styles),
        entry("after other classes", color=GREY, linestyle=STARTS["transferred"]),
        entry("from scratch", color=GREY, linestyle=STARTS["scratch"]),
    ]
    notes = [*run_table.seeds_notes(nets), f"after {frame['step'].max()} steps on examples of the new classes"]
    return finish(figure, _titles(found), entries, notes)


def _titles(found: pd.DataFrame) -> tuple[str, str]:
    """What transferring changes in the deepest nets with the fewest examples, and what the figure is."""
    what = f"{found['task'].iloc[0]}: test error on new classes"
    few, deep = found["examples"].min(), found["depth"].max()
    nets = found[(found["examples"] == few) & (found["depth"] == deep)]
    if not is_compared(nets.drop(columns=list(STARTS))):
        return what, ""
    told = {model: float((of["transferred"] - of["scratch"]).median()) for model, of in nets.groupby("model")}
    ordered = {model: told[model] for model in ordered_models(told)}
    return (
        f"At depth {deep} with {few} examples of a class, starting from other classes changes the test error by "
        f"{named_values(ordered, ' points')}",
        f"{what} (medians of paired differences)",
    )
