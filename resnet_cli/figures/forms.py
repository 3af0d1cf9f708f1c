"""How far apart the three forms of a ResNeXt block are with the same weights: relative differences, by depth."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resnet_cli.figures.axes import DOTTED, entry, finish, model_entries, new_grid, set_depth_axis, set_value_axis
from resnet_cli.figures.cells import draw_medians
from resnet_cli.figures.style import BLUE, VERMILLION, ModelStyle, look
from resnet_cli.models.resnext import CARDINALITY
from resnet_cli.settings.ranges import compact

ANALYSIS = "forms"
PANELS = {"outputs": "outputs", "gradients": "gradients of the weights"}
PRECISIONS = {32: ModelStyle(VERMILLION, "o"), 64: ModelStyle(BLUE, "s")}
NAMES = {32: "single precision", 64: "double precision"}


@look()
def draw(frame: pd.DataFrame) -> Figure:
    """Draw the relative differences of outputs, on the left, and of gradients, on the right, against depth.

    A line for each precision: the median over pairs of forms, numbers of branches and seeds, with a band from the
    lowest to the highest; dotted is the spacing of its numbers. `frame` has the columns that
    `analysis.forms.compare_forms` describes.
    """
    figure, grid = new_grid((7.6, 4.4), 1, len(PANELS), sharey=True)
    epsilons = {bits: float(np.finfo(f"float{bits}").eps) for bits in PRECISIONS}
    values = frame[list(PANELS)].to_numpy().ravel()
    set_value_axis(grid[0, 0], np.append(values, list(epsilons.values())), "log", headroom=0.04)
    depths = sorted(frame["depth"].unique())
    for axes, (quantity, title) in zip(grid[0], PANELS.items(), strict=True):
        axes.set_title(title)
        for bits, style in PRECISIONS.items():
            by_depth = frame[frame["bits"] == bits].groupby("depth")[quantity]
            draw_medians(axes, by_depth, color=style.colour, marker=style.marker, markersize=4)
            axes.axhline(epsilons[bits], **DOTTED | {"color": style.colour})
        set_depth_axis(axes, depths, width=3.2)
        axes.set_xlabel("depth")
    grid[0, 0].set_ylabel("greatest relative difference")
    nets = frame.drop_duplicates(["depth", CARDINALITY.name, "seed"])
    notes = [
        "lines: median over pairs of forms, numbers of branches and seeds, bands: minimum to maximum",
        f"{len(nets)} nets with {compact(nets[CARDINALITY.name])} branches in a block",
    ]
    styles = {NAMES[bits]: style for bits, style in PRECISIONS.items()}
    entries = [*model_entries(styles), entry("spacing of numbers near 1", **DOTTED)]
    return finish(figure, _titles(frame), entries, notes)


def _titles(frame: pd.DataFrame) -> tuple[str, str]:
    """The greatest difference in the highest precision, in words, and what the figure is."""
    bits = int(frame["bits"].max())
    most = frame.loc[frame["bits"] == bits, list(PANELS)].to_numpy().max()
    what = "ResNeXt: nets of forms a, b and c with the same weights, compared pair by pair"
    return f"In {NAMES[bits]} the three forms of ResNeXt differ by at most {most:.1g}", what
