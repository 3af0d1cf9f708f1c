"""The figures of a sweep: which exist, what they are called, and what they show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure

from resnet_cli.figures import depth_map, learning_curves, loss_by_depth
from resnet_cli.figures.panels import (
    as_file_name,
    by_number_of_values,
    check_varies,
    chunked,
    compare,
    split_pages,
)
from resnet_cli.figures.run_table import SWEEP, in_given_order
from resnet_cli.figures.style import ordered_models
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import columns_of, describe

Kind = Literal["depth", "parameters", "curves", "map"]
MOST_VALUES = 12
"""Of one setting, in panels of one figure."""
MOST_ROWS = MOST_COLUMNS = 5
"""Of two settings, in rows and columns of panels."""


@dataclass(frozen=True)
class Drawing:
    """A figure that is drawn when it is called: its `kind` (of `figures.kinds.OF_RUNS`), and the `rows` it shows."""

    kind: str
    metric: str
    rows: pd.DataFrame
    draw: Callable[[], Figure]

    def __call__(self) -> Figure:
        """Draw it."""
        return self.draw()


def sweep_figures(
    summary: pd.DataFrame,
    curves: pd.DataFrame,
    *,
    metrics: Sequence[str] = ("loss", "error"),
    kinds: Sequence[Kind] = ("depth", "parameters", "curves"),
    by: Sequence[str] = (),
    given: Mapping[str, Sequence[Any]] | None = None,
    chances: Mapping[str, float] | None = None,
    every_depth: bool = False,
    x: Literal["step", "epoch"] = "step",
    map_by: str | None = None,
    **options: Any,
) -> dict[str, Drawing]:
    """How to draw each figure of a sweep, by file name; what does not fit into one figure continues in others.

    A task without errors has no figures of them, and a sweep of a single depth none against depth.

    Args:
        summary: as for `loss_by_depth.draw`; with a column `sweep`, several sweeps become lines of one figure.
        curves: the evaluations of the same runs, as for `learning_curves.draw`, as are `every_depth` and `x`.
        metrics: `loss` and `error`.
        kinds: `depth` for figures against depth, `curves` for learning curves; `parameters` for figures against the
            number of parameters, where it differs between nets of one model and depth, and nothing is compared `by`;
            `map` for maps over depth and a setting, unless something is compared `by`.
        by: one setting whose values are compared as lines, or two that make rows and columns of panels.
        given: the values of settings in the order to show, such as the lists in sweep.toml.
        chances: for each metric, its value for a net with constant output.
        map_by: the setting of maps; by default that with most numbers as values, if they are five or more.
        options: for both kinds of figures: scale, splits, title and size.

    Raises:
        UserError: `by` names more than two settings, one twice, or one in which runs of one model and depth do not
            differ; `map_by` is not a setting in which they differ, or not a number.
    """
    if len(by) > 2:
        raise UserError(f"by (={','.join(by)}) must be one setting, or two for rows and columns.")
    if len(set(by)) < len(by):
        raise UserError(f"by (={','.join(by)}) names a setting twice; give it once, or another one for the columns.")
    for setting in by:
        check_varies(summary, setting)
    summary, curves = in_given_order(summary, given or {}), in_given_order(curves, given or {})
    as_lines = [SWEEP] if SWEEP in summary else []
    if len(by) == 1:
        as_lines += by
    for setting in as_lines:
        summary, curves = compare(summary, setting), compare(curves, setting)
    grid = (by[0], by[1]) if len(by) == 2 else None
    what = "-and-".join(as_file_name(setting) for setting in by)
    found: dict[str, Drawing] = {}
    on_map = None
    if "map" in kinds and not by and not as_lines:
        on_map = map_by or depth_map.worth_a_map(summary)
    for metric in metrics:
        if describe(metric).when and summary[columns_of(metric)].isna().all(axis=None):
            continue
        shared = {**options, "metric": metric, "grid": grid, "chance": (chances or {}).get(metric)}
        if "depth" in kinds and len(summary["depth"].unique()) > 1:
            for held, rows in _depth_pages(summary, grid).items():
                name = _file_name(metric, "by-depth", what and f"and-{what}", held)
                draw = partial(loss_by_depth.draw, rows, subtitle=held, **shared)
                found[name] = Drawing("depth", metric, rows, draw)
        if "parameters" in kinds and not by and not as_lines and _sizes_vary(summary):
            for held, rows in _depth_pages(loss_by_depth.in_place_of_depth(summary), None).items():
                name = _file_name(metric, "by-parameters", held)
                draw = partial(loss_by_depth.draw, rows, subtitle=held, against="parameters", **shared)
                found[name] = Drawing("parameters", metric, rows, draw)
        if on_map:
            for held, rows in _map_pages(summary, on_map).items():
                name = _file_name(metric, "map-by", on_map, held)
                of_map = {key: value for key, value in shared.items() if key != "grid"}
                draw = partial(depth_map.draw, rows, x=on_map, subtitle=held, **of_map)
                found[name] = Drawing("map", metric, rows, draw)
        if "curves" in kinds:
            lines: Literal["depth", "model"] = "model" if as_lines else "depth"
            for held, (subtitle, rows) in _curve_pages(curves, grid, lines, every_depth=every_depth).items():
                name = _file_name(metric, "curves", what and f"by-{what}", held)
                own: dict[str, Any] = {"x": x, "lines": lines, "every_depth": every_depth, "subtitle": subtitle}
                found[name] = Drawing("curves", metric, rows, partial(learning_curves.draw, rows, **own, **shared))
    return found


def _sizes_vary(summary: pd.DataFrame) -> bool:
    return bool(summary.groupby(["model", "depth"])["parameters"].nunique().max() > 1)


def _file_name(*parts: str) -> str:
    return "-".join(filter(None, map(as_file_name, parts)))


def _depth_pages(summary: pd.DataFrame, grid: tuple[str, str] | None) -> dict[str, pd.DataFrame]:
    settings = _settings(summary, grid)
    if len(settings) == 1 or len(summary["model"].unique()) > loss_by_depth.MANY_MODELS:
        return split_pages(summary, settings, [MOST_VALUES if len(settings) == 1 else MOST_ROWS])
    return split_pages(summary, settings, [MOST_ROWS, MOST_COLUMNS])


def _map_pages(summary: pd.DataFrame, setting: str) -> dict[str, pd.DataFrame]:
    """What each map holds: as many rows of panels as fit, of runs that differ in other settings as well."""
    depth_map.check_axis(summary[summary["status"] != "failed"], setting)
    rows = summary[summary[setting].notna()]
    settings = by_number_of_values(rows.drop(columns=setting))
    if len(rows[settings].drop_duplicates()) <= depth_map.MAX_ROWS:
        return {"": rows}
    return split_pages(rows, settings, [depth_map.MAX_ROWS])


def _curve_pages(
    curves: pd.DataFrame, grid: tuple[str, str] | None, lines: Literal["depth", "model"], *, every_depth: bool
) -> dict[str, tuple[str, pd.DataFrame]]:
    """What each figure holds, in full and without the models or depths that its panels name, and its rows.

    Two settings to arrange leave no place for a second model or depth.
    """
    of_panel = "model" if lines == "depth" else "depth"
    headings: list[Any] = ordered_models(curves["model"])
    if lines == "model":
        chosen = curves if every_depth else learning_curves.choose_depths(curves)
        headings = sorted(chosen["depth"].unique())
    most = learning_curves.MAX_COLUMNS if _settings(curves, grid) else learning_curves.MAX_PANELS
    parts = chunked(headings, 1 if grid else most)
    pages = {}
    for part in parts:
        rows = curves[curves[of_panel].isin(part)] if len(parts) > 1 else curves
        settings = _settings(rows, grid)
        limits = [learning_curves.MAX_ROWS]
        if len(part) == 1:
            limits = [MOST_VALUES] if len(settings) == 1 else [MOST_ROWS, MOST_COLUMNS]
        own = f"{part[0]} to {part[-1]}" if len(part) > 1 else str(part[0])
        if lines == "model":
            own = f"depth {own}"
        for held, page in split_pages(rows, settings, limits).items():
            pages[", ".join(filter(None, [own if len(parts) > 1 else "", held]))] = (held, page)
    return pages


def _settings(rows: pd.DataFrame, grid: tuple[str, str] | None) -> list[str]:
    free = by_number_of_values(rows)
    return free if grid is None else [*(setting for setting in free if setting not in grid), *grid]
