"""Shattered gradients, in the manner of Balduzzi et al. 2017 (arXiv 1702.08591), Fig. 1 and 2, and its theorems."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_cli.figures.axes import DOTTED, entry, finish, model_entries, new_grid, set_depth_axis
from resnet_cli.figures.cells import MIN_SEEDS
from resnet_cli.figures.style import BLUE, GREY, PALETTE, VERMILLION, ModelStyle, look
from resnet_cli.models.settings import BATCH_NORM

ANALYSIS = "shattered"
KINDS = {
    "plain": ModelStyle(VERMILLION, "o"),
    "residual": ModelStyle(BLUE, "s"),
    "pre-activation": ModelStyle(PALETTE[2], "^"),
}
ROWS = {False: "without batch norm", True: "with batch norm"}
LEAST = 1e-3
"""Correlations of all pairs below are drawn here: a few hundred nets cannot tell them from zero."""
_APART = 7.0  # between the gradient curves of two kinds, in their root mean squares
_HEIGHT = 3.2  # of what is drawn of such a curve, on either side


@look()
def draw(frame: pd.DataFrame) -> Figure:
    """Draw a row of four axes for nets without batch norm and one for nets with it, a line for each kind of net.

    From left to right: the gradient as a function of the input, of one net of the greatest depth; the autocorrelation
    of gradients against the distance of inputs at that depth; the distance at which it falls below a half, against
    depth; and the correlation over all pairs of inputs, against depth, with the theory dotted. Lines are means over
    seeds with a band of two standard errors, and medians with the middle half of the seeds for the distance.
    `frame` has the columns that `analysis.shattered.measure` describes.
    """
    shape: dict[str, Any] = {"sharex": "col", "sharey": "col", "gridspec_kw": {"width_ratios": (1.5, 1, 1, 1)}}
    figure, grid = new_grid((12.5, 6.4), len(ROWS), 4, **shape)
    depths = sorted(int(depth) for depth in frame["depth"].unique())
    deepest = frame[frame["depth"] == depths[-1]]
    for line, (batch_norm, heading) in zip(grid, ROWS.items(), strict=True):
        shown, of_all = (part[part[BATCH_NORM.name] == batch_norm] for part in (deepest, frame))
        _draw_gradients(line[0], shown[shown["quantity"] == "gradient"])
        line[0].set_ylabel(f"{heading}\n\ngradient, scaled to its size")
        _draw_autocorrelation(line[1], shown[shown["quantity"] == "autocorrelation"])
        _draw_reach(line[2], of_all[of_all["quantity"] == "reach"])
        _draw_correlation(line[3], of_all)
        for axes in line[2:]:
            set_depth_axis(axes, depths, width=2.0)
    columns = {
        f"gradient of one net of {depths[-1]} layers": "input",
        f"autocorrelation, {depths[-1]} layers": "distance of inputs",
        "distance of a correlation of 1/2": "depth",
        "correlation over all pairs": "depth",
    }
    for top, bottom, (title, label) in zip(*grid, columns.items(), strict=True):
        top.set_title(title)
        top.tick_params(labelbottom=True)
        bottom.set_xlabel(label)
    seeds = frame["seed"].nunique()
    notes = [
        f"means over {seeds} seeds, bands: two standard errors" if seeds > 1 else "one seed",
        "of the distance the median, bands: middle half" if seeds > 1 else "",
        f"correlations over all pairs below {LEAST:g} are drawn there",
        "the largest gradients are cut",
    ]
    entries = [*model_entries(KINDS), entry("theory (of plain and pre-activation)", **DOTTED | {"color": GREY})]
    return finish(figure, _titles(frame, depths[-1]), entries, notes)


def _draw_gradients(axes: Axes, rows: pd.DataFrame) -> None:
    """The gradient of one net of each kind above each other, the first on top."""
    for place, (kind, style) in enumerate(KINDS.items()):
        curve, middle = rows[rows["kind"] == kind], -_APART * place
        axes.axhline(middle, color=GREY, linewidth=0.5)
        heights = middle + curve["value"].clip(-_HEIGHT, _HEIGHT)
        axes.plot(curve["at"], heights, color=style.colour, linewidth=0.7)
    axes.set_yticks([-_APART * place for place in range(len(KINDS))], ["0"] * len(KINDS))
    axes.set_ylim(-_APART * (len(KINDS) - 0.5), _APART / 2)
    axes.margins(x=0)
    axes.grid(visible=False)


def _draw_autocorrelation(axes: Axes, rows: pd.DataFrame) -> None:
    axes.axhline(0, color=GREY, linewidth=0.5)
    for kind, style in KINDS.items():
        _draw_means(axes, rows[rows["kind"] == kind], "at", style)
    axes.set_xscale("log")
    axes.set_ylim(-0.3, 1.05)
    axes.set_ylabel("correlation")


def _draw_reach(axes: Axes, rows: pd.DataFrame) -> None:
    for kind, style in KINDS.items():
        by_depth = rows[rows["kind"] == kind].groupby("depth")["value"]
        median, low, high = by_depth.median(), by_depth.quantile(0.25), by_depth.quantile(0.75)
        axes.plot(median.index, median, color=style.colour, marker=style.marker, markersize=4)
        axes.fill_between(median.index, low, high, color=style.colour, alpha=0.13, linewidth=0)
    axes.set_yscale("log")
    axes.set_ylabel("distance of inputs")


def _draw_correlation(axes: Axes, rows: pd.DataFrame) -> None:
    for kind, style in KINDS.items():
        of_kind = rows[rows["kind"] == kind]
        _draw_means(axes, of_kind[of_kind["quantity"] == "correlation"], "depth", style, least=LEAST)
        theory = of_kind[of_kind["quantity"] == "predicted"].groupby("depth")["value"].first()
        axes.plot(theory.index, theory, **DOTTED | {"color": style.colour})
    axes.set_yscale("log")
    axes.set_ylim(LEAST * 0.8, 1.1)
    axes.set_ylabel("correlation")


def _draw_means(axes: Axes, rows: pd.DataFrame, x: str, style: ModelStyle, *, least: float = -np.inf) -> None:
    """Means over seeds with a band of two standard errors, none below `least`."""
    found = rows.groupby(x)["value"].agg(["mean", "sem"])
    look_of: dict[str, Any] = {"color": style.colour, "marker": style.marker, "markersize": 4}
    axes.plot(found.index, found["mean"].clip(lower=least), **look_of)
    low, high = ((found["mean"] + sign * 2 * found["sem"]).clip(lower=least) for sign in (-1, 1))
    axes.fill_between(found.index, low, high, color=style.colour, alpha=0.13, linewidth=0)


def _titles(frame: pd.DataFrame, deepest: int) -> tuple[str, str]:
    """How far gradients of the deepest nets agree at neighbouring inputs, in words, and what the figure is."""
    what = "Gradients of untrained MLPs with respect to their input"
    if frame["seed"].nunique() < MIN_SEEDS:
        return what, ""
    nearest = frame[(frame["quantity"] == "autocorrelation") & (frame["depth"] == deepest) & frame[BATCH_NORM.name]]
    distance = nearest["at"].min()
    means = nearest[nearest["at"] == distance].groupby("kind")["value"].mean()
    finding = (
        f"With batch norm, gradients {distance:.2g} apart correlate by {means['plain']:.2f} in {deepest} plain layers, "
        f"{means['residual']:.2f} in residual ones and {means['pre-activation']:.2f} with pre-activation"
    )
    return finding.replace("-0.", "−0."), f"{what} (range of the sine task)"
