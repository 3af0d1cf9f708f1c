"""How well plain and residual stacks learn the identity: the error after training, by the number of layers.

After the argument of He et al. 2015 (arXiv 1512.03385, §3.1) and Kowsik (2021), "Residual Neural Networks".
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_cli.figures.axes import DOTTED, entry, finish, model_entries, new_grid, set_depth_axis, set_value_axis
from resnet_cli.figures.cells import MIN_SEEDS, draw_dots, draw_medians
from resnet_cli.figures.style import BLUE, VERMILLION, ModelStyle, look
from resnet_cli.models.settings import INIT

ANALYSIS = "identity"
KINDS = {"plain": ModelStyle(VERMILLION, "o"), "residual": ModelStyle(BLUE, "s")}
INITS = {
    "default": "smaller initial weights\n(default: uniform ±1/√fan-in)",
    "he": "larger initial weights\n(he: normal)",
}
EXPERIMENTS = {
    "vectors": "vectors: linear layers, ReLU",
    "images": "images: 3×3 convolutions, ReLU",
    "filter": "one linear 3×3 filter",
}
FLOOR = 1e-4
"""Errors below are drawn here: all they say is that the identity was found."""


@look()
def draw(frame: pd.DataFrame) -> Figure:
    """Draw the relative error: after training by the number of layers, and of a single filter during training.

    A row for each initialisation, a column for each experiment, one line for plain and one for residual stacks: the
    median over seeds with a band from the lowest to the highest. Where there is one number of layers only, a dot stands
    for each seed. A dotted line is the best answer that ignores the input.
    `frame` has the columns that `analysis.identity.measure` describes.
    """
    errors = frame["relative_error"].where(np.isfinite(frame["relative_error"]), math.inf).clip(lower=FLOOR)
    rows = frame.assign(error=errors)
    ends = rows[rows["step"] == rows["step"].max()]
    figure, grid = new_grid((10.5, 6.6), len(INITS), len(EXPERIMENTS), sharey=True)
    shown = pd.concat([ends["error"], rows.loc[rows["experiment"] == "filter", "error"]])
    limits = np.append(shown[np.isfinite(shown)].clip(upper=1.0), 1.0)  # higher errors leave the axes
    set_value_axis(grid[0, 0], limits, "log", headroom=0.04)
    for line, (init, heading) in zip(grid, INITS.items(), strict=True):
        for axes, experiment in zip(line, EXPERIMENTS, strict=True):
            source, x = (rows, "step") if experiment == "filter" else (ends, "depth")
            _draw_panel(axes, source[(source["experiment"] == experiment) & (source[INIT.name] == init)], x)
        line[0].set_ylabel(f"{heading}\n\nrelative error ‖f(x) − x‖ / ‖x‖")
    for axes, title in zip(grid[0], EXPERIMENTS.values(), strict=True):
        axes.set_title(title)
    seeds = frame["seed"].nunique()
    notes = [
        f"lines: median of {seeds} seeds, bands: minimum to maximum" if seeds > 1 else "one seed",
        f"x: test inputs, f(x): the stack's output; errors below {FLOOR:g} are drawn there",
    ]
    return finish(figure, _titles(ends), [*model_entries(KINDS), entry("best constant answer", **DOTTED)], notes)


def _draw_panel(axes: Axes, rows: pd.DataFrame, x: str) -> None:
    """One experiment with one initialisation."""
    axes.axhline(rows["constant_error"].iloc[0], **DOTTED)
    numbers = sorted(rows[x].unique())
    if len(numbers) == 1:
        finite = rows[np.isfinite(rows["error"])]
        draw_dots(axes, {kind: list(finite.loc[finite["kind"] == kind, "error"]) for kind in KINDS}, KINDS)
        axes.set_xlabel(f"{numbers[0]} layer{'' if numbers[0] == 1 else 's'}")
        return
    for kind, style in KINDS.items():
        look_of: dict[str, Any] = {"marker": style.marker, "markersize": 4} if x == "depth" else {}
        draw_medians(axes, rows[rows["kind"] == kind].groupby(x)["error"], color=style.colour, **look_of)
    if x == "depth":
        set_depth_axis(axes, numbers, width=2.6)
        axes.set_xlabel("layers")
    else:
        axes.set_xlim(0, numbers[-1])
        axes.set_xlabel("step")


def _titles(ends: pd.DataFrame) -> tuple[str, str]:
    """The errors of the deepest stacks in words, and what the figure is."""
    what = "Learning the identity with plain and with residual stacks"
    seeds, deepest = ends["seed"].nunique(), ends["depth"].max()
    stacks = ends[(ends["experiment"] != "filter") & (ends["depth"] == deepest)]
    if seeds < MIN_SEEDS or stacks.empty:
        return what, ""
    medians = stacks.groupby(["kind", "experiment", INIT.name])["error"].median().groupby("kind")
    low, high = medians.min(), medians.max()
    finding = (
        f"Residual stacks of {deepest} layers learn the identity to a relative error of "
        f"{_range(low, high, 'residual')}, plain ones to {_range(low, high, 'plain')}"
    )
    what += f": medians of {seeds} seeds after {ends['step'].iloc[0]} steps, over experiments and initialisations"
    return finding, what


def _range(low: "pd.Series[float]", high: "pd.Series[float]", kind: str) -> str:
    ends = [f"{value:.2g}".replace("inf", "∞") for value in (low[kind], high[kind])]
    return "–".join(dict.fromkeys(ends))
