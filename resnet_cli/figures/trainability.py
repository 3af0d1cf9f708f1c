"""The map of trainable depth against the initial standard deviation, with mean-field theory's depth scale over it.

After Schoenholz et al. 2017, "Deep Information Propagation" (arXiv 1611.01232), figure 5.
"""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from resnet_cli.figures.axes import add_headers, entry, finish, label_outside, new_grid
from resnet_cli.figures.heat import EDGE, add_colour_scale, colour_scale, draw_cells, map_entries, set_map_axes
from resnet_cli.figures.loss_by_depth import depth_label
from resnet_cli.figures.panels import settings_text
from resnet_cli.figures.run_table import range_text
from resnet_cli.figures.style import VERMILLION, look, ordered_models
from resnet_cli.models.settings import ACTIVATION, BLOCK_SIZE, INIT_BIAS_STD, INIT_STD, WIDTH
from resnet_cli.settings.errors import UserError

ANALYSIS = "trainability"
SCALES = 6.0
"""So many depth scales deep nets can be trained (Schoenholz et al. 2017, Fig. 5)."""
DOCUMENTED_TURN = 7
"""The layers at which the loss of a plain ReLU MLP with PyTorch's initial weights turns, according to Kowsik (2021)."""
MAX_ROWS = 6
_HALO = [Stroke(linewidth=3.8, foreground="white"), Normal()]
_THEORY: dict[str, Any] = {"color": VERMILLION, "linewidth": 2, "linestyle": (0, (3.0, 1.3))}
_TURN: dict[str, Any] = {
    "marker": "*",
    "markersize": 13,
    "color": "white",
    "markeredgecolor": "black",
    "linestyle": "none",
}


@look()
def draw(frame: pd.DataFrame) -> Figure:
    """Draw the loss by depth and `init_std` as colours, with the measured edge of trainability and six depth scales.

    A column of panels for each model, a row for each combination of other settings that vary. A star marks the
    documents' turn at about seven layers, in plain nets with the documents' activation function.
    `frame` has the columns that `analysis.trainability.measure` describes. Too many combinations are a UserError.
    """
    names = [setting.name for setting in (ACTIVATION, WIDTH, INIT_BIAS_STD) if len(frame[setting.name].unique()) > 1]
    cells, models = frame[frame["depth"].notna()], ordered_models(frame["model"])
    rows = list(frame[names].drop_duplicates().sort_values(names).itertuples(index=False)) if names else [()]
    if len(rows) > MAX_ROWS:
        raise UserError(f"{', '.join(names)} make {len(rows)} combinations, but one figure shows at most {MAX_ROWS}.")
    across, down = len(models), len(rows)
    size = (1.6 + max(3.1 * across, 4.2), 2.0 + 2.9 * down)
    figure, grid = new_grid(size, down, across, sharex=True, sharey=True)
    chance = float(frame["chance_loss"].max())
    norm = colour_scale(cells["loss"].to_numpy(dtype=float), "log", chance)
    filled = []
    for place, (values, model) in enumerate(itertools.product(rows, models)):
        chosen = (frame["model"] == model) & (frame[names] == list(values)).all(axis=1)
        if chosen.any():
            filled.append(place)
            _draw_panel(grid.flat[place], frame[chosen], norm, EDGE * chance)
    set_map_axes(grid[0, 0], cells[INIT_STD.name], cells["depth"], (size[0] / across - 1, size[1] / down - 1))
    texts = [settings_text(dict(zip(names, values, strict=True))) for values in rows]
    add_headers(grid, models if across > 1 else [], texts if names else [])
    label_outside(grid, filled, INIT_STD.name.replace("_", " "), depth_label(models))
    add_colour_scale(figure, grid, norm, "training loss", EDGE * chance)
    entries = [
        *map_entries(cells["loss"].to_numpy(dtype=float), "half of the constant answer's loss"),
        entry(f"mean-field theory: {SCALES:g} ξ", **_THEORY),
        entry(f"the documents' turn at about {DOCUMENTED_TURN} layers (plain ReLU nets)", **_TURN),
    ]
    title = f"{frame['task'].iloc[0]}: how deep nets can be trained, by their initial weights"
    if across == 1:
        title = f"{models[0]}, {title}"
    what = "training loss by depth and initial standard deviation, with six depth scales of mean-field theory"
    widths, biases = (frame[setting.name].dropna().unique() for setting in (WIDTH, INIT_BIAS_STD))
    notes = [
        f"cell: median of {range_text(cells['seeds'].astype(int))} seeds" if cells["seeds"].max() > 1 else "one seed",
        f"σ_w = init std × √{widths[0]:g}" if len(widths) == 1 else "σ_w = init std × √width",
        f"σ_b = {biases[0]:g}" if len(biases) == 1 else "",
        f"colours end at constant answer: {chance:.3g}",
        "ξ of residual nets is that of their gradients" if frame[BLOCK_SIZE.name].notna().any() else "",
    ]
    return finish(figure, (title, what), entries, notes)


def _draw_panel(axes: Axes, frame: pd.DataFrame, norm: Any, edge: float) -> None:
    cells = frame[frame["depth"].notna()].astype({"depth": float, "loss": float})
    draw_cells(axes, cells.pivot_table("loss", "depth", INIT_STD.name), norm, edge)
    theory = frame.drop_duplicates(INIT_STD.name).sort_values(INIT_STD.name)
    deepest = 1e4  # beyond every map: infinity would break the line
    (line,) = axes.plot(
        theory[INIT_STD.name], np.minimum(SCALES * theory["depth_scale"].astype(float), deepest), **_THEORY, zorder=5
    )
    line.set_path_effects(_HALO)
    if frame[BLOCK_SIZE.name].isna().all() and (frame[ACTIVATION.name] == ACTIVATION.default).all():
        axes.plot(frame["default_std"].iloc[0], DOCUMENTED_TURN, **_TURN, zorder=6)
