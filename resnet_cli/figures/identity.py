"""How well plain and residual stacks learn the identity: after training by depth, and on the way by step.

After the argument of He et al. 2015 (arXiv 1512.03385, §3.1) and Kowsik (2021), "Residual Neural Networks".
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from resnet_cli.figures.axes import add_legend, add_title, new_figure, set_depth_axis, set_value_axis
from resnet_cli.figures.style import BLUE, GREY, VERMILLION, look

KINDS = {"plain": (VERMILLION, "o"), "residual": (BLUE, "s")}
INITS: dict[str, tuple[Any, str]] = {
    "default": ("-", "smaller start: default, uniform ±1/√fan-in"),
    "he": ("--", "larger start: he, normal"),
}
EXPERIMENTS = {
    "filter": "linear 3×3 filter",
    "vectors": "vectors, linear layers, ReLU",
    "images": "images, 3×3 convolutions, ReLU",
}
PLACES = "↖↑↗←•→↙↓↘"
ERROR = "relative error ‖f(x) − x‖ / ‖x‖"
FLOOR = 1e-4
"""Errors below are drawn here: that the identity was found is all that they say."""


def draw(frame: pd.DataFrame) -> Figure:
    """Draw errors after training against depth above errors during training, and the filter's nine weights.

    Args:
        frame: one row per evaluation: `experiment` (filter, vectors, images), `kind`, `init`, `depth`, `seed`, `step`,
            `relative_error`, `constant_error`, and for the filter `distance` and `weight_11` to `weight_33`.
    """
    last = frame[frame["step"] == frame["step"].max()]
    with look():
        figure = new_figure((11.5, 7.0))
        grid = figure.subplots(2, 3)
        for column, (experiment, title) in enumerate(EXPERIMENTS.items()):
            rows = frame[frame["experiment"] == experiment]
            ends = last[last["experiment"] == experiment]
            deepest = rows["depth"].max()
            upper, lower = grid[:, column]
            if experiment == "filter":
                upper.set_title(f"{title}: its weights")
                _draw_weights(upper, rows[rows["init"] == "default"])
                lower.set_title(f"{title}: during training")
                _draw_lines(lower, rows, "step", "distance")
                lower.set_ylabel("distance of the nine weights (rms)")
            else:
                upper.set_title(f"{title}: at the end")
                _draw_lines(upper, ends, "depth", "relative_error")
                _draw_constant(upper, ends)
                set_depth_axis(upper, sorted(ends["depth"].unique()), width=3.0)
                upper.set(xlabel="depth (layers)", ylabel=ERROR)
                lower.set_title(f"{experiment} at depth {deepest}: during training")
                _draw_lines(lower, rows[rows["depth"] == deepest], "step", "relative_error")
                _draw_constant(lower, rows)
                lower.set_ylabel(ERROR)
            lower.set_xlabel("step")
            lower.set_xlim(0, frame["step"].max())
        add_title(figure, "Learning the identity with plain and with residual layers")
        add_legend(figure, _legend_entries(), [_seeds_text(frame)])
    return figure


def _draw_lines(axes: Axes, rows: pd.DataFrame, x: str, column: str) -> None:
    """The median over seeds of each kind and initialisation, and the range from the best to the worst seed."""
    for (kind, init), of_line in rows.groupby(["kind", "init"]):
        colour, marker = KINDS[str(kind)]
        values = of_line[column].where(np.isfinite(of_line[column]), math.inf).clip(lower=FLOOR)
        spread = values.groupby(of_line[x]).agg(["min", "median", "max"])
        style: dict[str, Any] = {"color": colour, "linestyle": INITS[str(init)][0]}
        if x == "depth":
            style |= {"marker": marker, "markersize": 4}
        axes.plot(spread.index, spread["median"].where(np.isfinite(spread["median"])), **style)
        axes.fill_between(spread.index, spread["min"], spread["max"], color=colour, alpha=0.13, linewidth=0)
    finite = rows[column][np.isfinite(rows[column])].clip(lower=FLOOR)
    set_value_axis(axes, finite.to_numpy(), "log", headroom=0)


def _draw_constant(axes: Axes, rows: pd.DataFrame) -> None:
    """A line at the error of the best answer that does not look at the input."""
    axes.axhline(rows["constant_error"].iloc[0], color=GREY, linestyle=":", linewidth=1.2)


def _draw_weights(axes: Axes, rows: pd.DataFrame) -> None:
    """The nine weights of each seed's filter, before training in the middle, after it at the sides.

    Bars show what they are in the identity.
    """
    places = np.arange(len(PLACES))

    def dots(step: int, kind: str, shift: float, **style: Any) -> None:
        for weights in rows[(rows["step"] == step) & (rows["kind"] == kind)].filter(like="weight_").to_numpy():
            axes.plot(places + shift, weights, linestyle="none", markersize=4, **style)

    dots(0, "plain", 0, color=GREY, marker="x", alpha=0.6)
    for shift, (kind, (colour, marker)) in zip((-0.26, 0.26), KINDS.items(), strict=True):
        identity = np.where((places == 4) & (kind == "plain"), 1.0, 0.0)
        axes.hlines(identity, places + shift - 0.18, places + shift + 0.18, color=colour, linewidth=1.2)
        dots(rows["step"].max(), kind, shift, color=colour, marker=marker, alpha=0.5, markeredgewidth=0)
    axes.set_xticks(places, list(PLACES))
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    axes.set(xlabel="place in the filter (• middle)", ylabel="weight (×: smaller start; bar: the identity)")


def _legend_entries() -> list[Artist]:
    kinds = [Patch(facecolor=colour, label=kind) for kind, (colour, _) in KINDS.items()]
    inits = [Line2D([], [], color=GREY, linestyle=line, label=label) for line, label in INITS.values()]
    constant = Line2D([], [], color=GREY, linestyle=":", linewidth=1.2, label="best constant answer")
    return [*kinds, *inits, constant]


def _seeds_text(frame: pd.DataFrame) -> str:
    seeds = frame["seed"].nunique()
    many = f"lines: median of {seeds} seeds, bands from the best to the worst" if seeds > 1 else "one seed"
    return (
        f"{many}; x: inputs that training does not see, f(x): what a stack makes of them; "
        f"values below {FLOOR:g} are drawn there"
    )
