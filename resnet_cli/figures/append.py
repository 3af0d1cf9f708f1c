"""Training loss of a shallow net, of the deeper net made by appending identities, and of one trained from scratch.

The experiment behind He et al. 2015 (arXiv 1512.03385, §1): a solution by construction that optimisers do not find.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import entry, finish, label_outside, new_grid, set_value_axis, wrapped
from resnet_cli.figures.cells import MIN_SEEDS, draw_medians, without_spikes
from resnet_cli.figures.panels import split_panels
from resnet_cli.figures.style import GREY, PALETTE, look, ordered_models
from resnet_cli.settings.errors import UserError

ANALYSIS = "append"
MAX_PANELS = 9
MAX_COLUMNS = 3
LOOKS: dict[str, dict[str, Any]] = {
    "shallow": {"color": "black", "linestyle": ":", "linewidth": 1.6},
    "scratch": {"color": PALETTE[3], "linestyle": "--", "linewidth": 1.6},
    "appended": {"color": PALETTE[2], "linestyle": "-", "linewidth": 1.6},
}


@look()
def draw(frame: pd.DataFrame) -> Figure:
    """Draw training loss against step, a panel for each model and combination of settings.

    Lines are medians over seeds, bands reach from the lowest to the highest. A diverged training counts as infinite.
    `frame` has the columns that `analysis.append.compare` describes. Too many panels are a UserError.
    """
    panels = {
        ", ".join(filter(None, [model, panel.title])): frame.loc[panel.rows.index[panel.rows["model"] == model]]
        for panel in split_panels(frame.drop(columns="net"))
        for model in ordered_models(panel.rows["model"])
    }
    if len(panels) > MAX_PANELS:
        raise UserError(
            f"These nets make {len(panels)} panels, but one figure shows at most {MAX_PANELS}; choose some with "
            "--models."
        )
    across = min(len(panels), MAX_COLUMNS)
    down = math.ceil(len(panels) / across)
    size = (1.6 + 3.6 * max(across, 1.6), 1.9 + 3.0 * down)
    figure, grid = new_grid(size, down, across, sharex=True, sharey=True)
    for axes, (title, rows) in zip(grid.flat, panels.items(), strict=False):
        axes.set_title(wrapped(title, size[0] / across - 0.4))
        for net, style in LOOKS.items():
            losses = rows[rows["net"] == net].pivot_table("train_loss", "step", "seed", dropna=False)
            every = losses.where(np.isfinite(losses), np.inf).melt(ignore_index=False)["value"]
            draw_medians(axes, every.groupby(level="step"), **style)
        axes.axvline(rows.loc[rows["net"] == "appended", "step"].min(), color=GREY, linewidth=0.8)
    axes = grid[0, 0]
    medians = pd.concat([rows.groupby(["net", "step"])["train_loss"].median() for rows in panels.values()])
    first = frame.loc[frame["step"] == 0, "train_loss"].median()
    set_value_axis(axes, without_spikes(medians.to_numpy(), start=float(first)), "log", headroom=0.0)
    axes.set_xlim(0, frame["step"].max())
    label_outside(grid, range(len(panels)), "step", f"training loss: {run_table.value_label(frame, 'loss')}")
    depth, deeper, seeds = frame["depth"].iloc[0], frame["deeper"].iloc[0], frame["seed"].nunique()
    entries = [
        entry(f"depth {depth}", **LOOKS["shallow"]),
        entry(f"the same net and {deeper - depth} identity layers", **LOOKS["appended"]),
        entry(f"depth {deeper} from scratch", **LOOKS["scratch"]),
    ]
    lines = f"lines: median of {seeds} seeds, bands from the lowest to the highest" if seeds > 1 else "one seed"
    notes = [lines, "at the grey line identities are appended and every optimiser begins anew"]
    return finish(figure, _titles(frame, panels), entries, notes)


def _titles(frame: pd.DataFrame, panels: Mapping[str, pd.DataFrame]) -> tuple[str, str]:
    """How the first net ends by construction and from scratch, if there are enough seeds, and what the figure is."""
    deeper, seeds = frame["deeper"].iloc[0], frame["seed"].nunique()
    what = f"{frame['task'].iloc[0]}: {deeper} layers by construction and from scratch"
    if seeds < MIN_SEEDS:
        return what, ""
    name, rows = next(iter(panels.items()))
    losses = rows.pivot_table("train_loss", ["net", "seed"], "step", dropna=False)
    ends = losses[rows["step"].max()].fillna(math.inf).groupby("net").median()  # infinite where it diverged
    told = [f"{ends[net]:.2g} {words}" for net, words in (("appended", "by construction"), ("scratch", "from scratch"))]
    return (
        f"{name}: {deeper} layers end with a training loss of {' and '.join(told)}",
        f"{what} (medians of {seeds} seeds)",
    )
