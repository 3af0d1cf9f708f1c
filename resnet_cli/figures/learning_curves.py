"""Loss or error during training, one panel per model, in the manner of He et al. (arXiv 1512.03385), figures 1 and 6.

Or one panel per depth with the lines of all models, as in He et al. 2016 (arXiv 1603.05027), figure 6.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator

from resnet_cli.figures import run_table
from resnet_cli.figures.axes import (
    CHANCE_LINE,
    add_headers,
    entry,
    finish,
    have_room,
    label_outside,
    mark_chance,
    mark_diverged,
    new_grid,
    progress_label,
    resolve_scale,
    set_value_axis,
    wrapped,
)
from resnet_cli.figures.cells import deepest_text
from resnet_cli.figures.panels import Grid, Panel, arrange, arrange_in_rows, evenly, split_panels
from resnet_cli.figures.run_table import SPLIT_LABELS, SPLITS, Scale, Split, check_choice
from resnet_cli.figures.style import GREY, look, model_styles, ordered_models, split_line
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import columns_of, describe

MAX_ROWS = 6
MAX_COLUMNS = 6
MAX_PANELS = 25
"""Where no setting varies, panels beyond `MAX_COLUMNS` continue in the next row."""
MAX_LEGEND_DEPTHS = 8
"""More depths than this are told apart by a colour bar instead of legend entries, where all of them are wanted."""
FEW = 5
"""So many depths, evenly chosen, stand for more than `MAX_LEGEND_DEPTHS`."""
_COLOURS = ListedColormap(matplotlib.colormaps["plasma"](np.linspace(0.72, 0.0, 256)), "depth")
SPLIT_WIDTHS: dict[Split, float] = {"train": 0.8, "test": 1.6}
START = 0.5
"""The share of a curve in which losses may leave the axes: those of a barely trained net can dwarf all others."""
ROOM = 3.0
"""How many times the highest loss after the start, or that of a constant answer, the axes may reach."""


@dataclass(frozen=True)
class _LineStyle:
    """How the lines of one depth or one model look."""

    colour: str
    marker: str = ""
    label: str = ""
    bolder: float = 1.0


@look()
def draw(
    curves: pd.DataFrame,
    *,
    metric: str = "loss",
    scale: Scale = "auto",
    splits: Sequence[Split] = SPLITS,
    x: Literal["step", "epoch"] = "step",
    lines: Literal["depth", "model"] = "depth",
    title: str | None = None,
    subtitle: str = "",
    size: tuple[float, float] | None = None,
    grid: tuple[str, str] | None = None,
    chance: float | None = None,
    every_depth: bool = False,
) -> Figure:
    """Draw `metric` against `x`: the median over seeds, one colour a depth (darker is deeper), one panel a model.

    Training is thin and solid, test bold and dashed. Five depths stand for more than eight of a model. A loss in
    the first half of the curves that is more than three times as high as all in the second, and as that of a constant
    answer, leaves the axes, and the legend says so; a single run is shown whole. A run that diverged counts as
    infinitely bad from then on, and its last step is marked at the top edge; a median line ends where half of the runs
    or more diverged, and such a line does not set the axes. Failed runs are not drawn, but counted in the legend.
    Columns beyond the usual ones are settings; where they vary there is one row of panels for each combination, or with
    a single model rows and columns for two settings.

    Args:
        curves: one row per evaluation: run_id, task, model, depth, seed, status, `x`, and the metric's columns.
        metric, scale, splits, subtitle, size, grid, chance: as for `loss_by_depth.draw`.
        x: `step` (optimiser steps) or `epoch` (passes over the training set).
        lines: what the lines of a panel are: `depth`, a panel for each model, or `model`, a panel for each depth.
        title: instead of what the models reach at the greatest depth, or of "Error on cifar10 during training".
        every_depth: draw all depths, however many they are.

    Raises:
        UserError: there is nothing to draw, the runs have no such metric, they are of several tasks, two of them cannot
            be told apart, there are too many panels or combinations of settings, or an option has no such value.
    """
    metric, splits = run_table.resolve_splits(metric, splits)
    axis_scale = resolve_scale(scale, metric)
    check_choice("x", x, ("step", "epoch"))
    rows = run_table.drawable(curves, metric, splits)
    all_depths = rows["depth"].nunique()
    if not every_depth:
        rows = choose_depths(rows)
    headings, styles = _headings_and_styles(rows, lines)
    of_panel = "model" if lines == "depth" else "depth"
    many = len(styles) > MAX_LEGEND_DEPTHS
    alone = len(headings) == 1
    panels = split_panels(rows, limit=MAX_PANELS if alone else MAX_ROWS, settings=grid)
    limit = MAX_PANELS if len(panels) == 1 else MAX_COLUMNS
    if len(headings) > limit:
        names = ", ".join(map(str, headings))
        raise UserError(
            f"{of_panel} (={names}): one figure shows at most {limit} {of_panel}s; choose some with --{of_panel}s."
        )
    place = arrange(panels) if alone else _rows_of_headings(list(headings.values()), panels)
    across, down = place.across, place.down
    diverged = bool((rows["status"] == "diverged").any())
    single = len(rows["run_id"].unique()) == 1
    if size is None:
        size = (1.4 + 3.0 * across, 1.6 + 2.6 * down) if len(place.places) > 1 else (6.4, 5.0)
    figure, cells = new_grid(size, down, across, sharex=True, sharey=True)
    drawn: list[pd.Series[float]] = []
    for position, (panel, heading) in zip(place.places, itertools.product(panels, headings), strict=True):
        axes = cells.flat[position]
        if not place.row_headers:
            title_of_panel = panel.title if alone and panel.title else headings[heading]
            axes.set_title(wrapped(title_of_panel, size[0] / across - 0.5))
        here = panel.rows[panel.rows[of_panel] == heading]
        for key, style in styles.items():
            of_line = here[here[lines] == key]
            if of_line.empty:
                continue
            for split in splits:
                median = median_curve(of_line, x, columns_of(metric, [split])[0])
                marks = 0.2 if np.isfinite(median).any() else None  # matplotlib cannot space markers on an empty line
                look_of = _split_look(split, style, many=many) | {"zorder": 2 if split == "train" else 3}
                axes.plot(median.index, median.where(np.isfinite(median)), **look_of, markevery=marks)
                drawn.append(median)
            ends = of_line[of_line["status"] == "diverged"].groupby("run_id")[x].max()
            if not ends.empty:
                mark_diverged(axes, ends, 0.97, style.colour)
    room = ROOM if metric == "loss" and not single else np.inf
    values, cut = shown_values(drawn, room, chance or 0.0)
    set_value_axis(cells[0, 0], values, axis_scale, headroom=0.07 if diverged else 0.0)
    marks_chance = chance is not None and all(mark_chance(cells.flat[place], chance) for place in place.places)
    first, last = float(rows[x].min()), float(rows[x].max())
    cells[0, 0].set_xlim(first, last if last > first else first + 1)
    add_headers(cells, place.column_headers, place.row_headers)
    label_outside(cells, place.places, progress_label(cells[0, 0], x, last), run_table.value_label(rows, metric))
    what = run_table.metric_text(metric, splits)
    of_model = f" of {next(iter(headings.values()))}" if alone and panels[0].title else ""
    plain = f"{what} on {rows['task'].iloc[0]} during training".capitalize() + of_model
    ends = rows.sort_values("step").groupby("run_id").tail(1)
    if title is None and len(panels) == 1 and (title := deepest_text(ends, metric, splits[0])):
        subtitle = "; ".join(filter(None, [plain, subtitle]))
    if lines == "depth" and many:
        _add_colour_bar(figure, cells, list(styles))
    chosen = rows["depth"].nunique()
    notes = [
        run_table.seeds_text(rows),
        f"{chosen} of {all_depths} depths" if chosen < all_depths else "",
        "values above the axes are cut off" if cut else "",
        "no line where diverged runs make it infinite" if diverged else "",
        run_table.failed_text(curves),
    ]
    entries = _legend_entries(styles, splits, many=many, diverged=diverged)
    if marks_chance and chance is not None:
        entries.append(entry(run_table.chance_text(chance, metric), **CHANCE_LINE))
    return finish(figure, (plain if title is None else title, subtitle), entries, notes)


def choose_depths(curves: pd.DataFrame) -> pd.DataFrame:
    """The `curves` of five depths of each model that has more than eight, the first and the last among them."""
    parts = []
    for _, of_model in curves.groupby("model", sort=False):
        depths = sorted(of_model["depth"].unique())
        if len(depths) > MAX_LEGEND_DEPTHS:
            of_model = of_model[of_model["depth"].isin(evenly(depths, FEW))]
        parts.append(of_model)
    return pd.concat(parts)


def _rows_of_headings(headings: list[str], panels: Sequence[Panel]) -> Grid:
    """A column for each heading and a row for each panel; a single panel takes several rows where one is too long."""
    if len(panels) > 1:
        rows = [panel.title for panel in panels]
        return replace(
            arrange_in_rows(len(headings) * len(rows), len(headings)), column_headers=headings, row_headers=rows
        )
    across = len(headings)
    if across > MAX_COLUMNS:  # several rows, of which the last lacks few
        across = min((5, 4, 3), key=lambda columns: (-len(headings) % columns, -columns))
    return arrange_in_rows(len(headings), across)


def _headings_and_styles(rows: pd.DataFrame, lines: str) -> tuple[dict[Any, str], dict[Any, _LineStyle]]:
    """The panels' headings by model or depth, and the lines' styles by the other of the two."""
    models, depths = ordered_models(rows["model"]), sorted(rows["depth"].unique())
    if lines == "model":
        marked = {name: _LineStyle(style.colour, style.marker, name) for name, style in model_styles(models).items()}
        return {depth: f"depth {depth}" for depth in depths}, marked
    coloured = {
        depth: _LineStyle(colour, "", f"depth {depth}", bolder=1 + 0.3 * index / len(depths))
        for index, (depth, colour) in enumerate(depth_colours(depths).items())
    }
    return {model: model for model in models}, coloured


def depth_colours(depths: Sequence[int]) -> dict[int, str]:
    """A colour for each of the ascending `depths`, darker for deeper nets.

    A few depths are spread evenly over the colours; many take the colour of their place on the colour bar.
    """
    if len(depths) == 1:
        return {depths[0]: to_hex(_COLOURS(1.0))}
    if len(depths) <= MAX_LEGEND_DEPTHS:
        shares = np.linspace(0, 1, len(depths))
    else:
        shares = (np.array(depths) - depths[0]) / (depths[-1] - depths[0])
    return {int(depth): to_hex(_COLOURS(float(share))) for depth, share in zip(depths, shares, strict=True)}


def median_curve(runs: pd.DataFrame, x: str, column: str) -> "pd.Series[float]":
    """The median of `column` over `runs` at each value of `x` where an undiverged run was evaluated.

    A diverged run counts as infinitely bad after its last evaluation.
    """
    values = runs.pivot_table(column, x, "run_id", aggfunc="last")  # (x, run)
    diverged = values.columns.isin(runs.loc[runs["status"] == "diverged", "run_id"])
    values = values.mask(values.bfill().isna() & diverged, describe(column).worst)
    if not diverged.all():
        values = values[values.loc[:, ~diverged].notna().any(axis=1)]
    return values.median(axis=1)


def shown_values(curves: Sequence["pd.Series[float]"], room: float, chance: float) -> tuple[np.ndarray, bool]:
    """The values of median `curves` for which the axes have room, and whether some finite values have none.

    Room is up to `room` times `chance` and the highest value after the start of each curve, of curves that do not end
    in divergence; where all do, of all.
    """
    shown = [curve for curve in curves if np.isfinite(curve.iloc[-1])] or curves
    late = np.concatenate([curve[curve.index >= START * curve.index[-1]] for curve in shown])
    limit = room * max([chance, *late[np.isfinite(late)]]) if np.isfinite(late).any() else np.inf
    values = np.concatenate(curves)
    below = np.concatenate(shown)
    return below[below <= limit], bool((values[np.isfinite(values)] > limit).any())


def _split_look(split: Split, style: _LineStyle, *, many: bool) -> dict[str, Any]:
    """Properties of a line; where there are `many`, training is pale so that the test lines stand out."""
    look_of = split_line(style.colour, split) | {"linewidth": SPLIT_WIDTHS[split] * style.bolder}
    if many:
        look_of["linewidth"] *= 0.65
        look_of["alpha"] = 0.55 if split == "train" else 1.0
    return look_of | {"marker": style.marker, "markersize": 3.5}


def _add_colour_bar(figure: Figure, grid: np.ndarray, depths: list[int]) -> None:
    scale = ScalarMappable(Normalize(min(depths), max(depths)), _COLOURS)
    bar = figure.colorbar(scale, ax=list(grid.flat), label="depth", aspect=30, pad=0.02)
    few = have_room(np.array(depths, dtype=float), 0.6 * figure.get_figheight())
    bar.locator = FixedLocator(depths) if few else MaxNLocator(integer=True, steps=[1, 2, 5, 10])
    bar.minorticks_off()
    bar.outline.set_visible(False)


def _legend_entries(
    styles: Mapping[Any, _LineStyle], splits: Sequence[Split], *, many: bool, diverged: bool
) -> list[Artist]:
    entries: list[Artist] = []
    for style in styles.values():
        if style.marker:
            entries.append(entry(style.label, **_split_look(splits[-1], style, many=False) | {"linestyle": "-"}))
        elif not many:
            entries.append(Patch(facecolor=style.colour, label=style.label))
    if len(splits) > 1 or not entries:
        grey = _LineStyle(GREY)
        entries += [entry(SPLIT_LABELS[split], **_split_look(split, grey, many=many)) for split in splits]
    if diverged:
        entries.append(entry("diverged", color=GREY, linestyle="none", marker="x"))
    return entries
