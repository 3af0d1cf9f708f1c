"""What to see in a figure, in sentences computed from the rows that it shows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from humanize import natural_list

from resnet_cli.figures.learning_curves import choose_depths, median_curve
from resnet_cli.figures.panels import settings_text
from resnet_cli.figures.run_table import free_settings, ordered_values, range_text
from resnet_cli.figures.style import ordered_models
from resnet_cli.figures.sweep import Drawing
from resnet_cli.settings.metrics import PAIRS, columns_of, describe
from resnet_cli.settings.ranges import compact

MOST_NAMED = 3
"""So many nets have a sentence each; of more, the lowest and the highest are named."""


def told_column(metric: str) -> str:
    """The column of which a caption speaks: losses of training, errors of the test."""
    return columns_of(metric, ["train" if metric == PAIRS[0] else "test"])[0]


def caption_of(drawing: Drawing) -> str:
    """What to see in a figure of a sweep."""
    return _OF_KIND.get(drawing.kind, _of_rows)(drawing)


def _of_depths(drawing: Drawing) -> str:
    return _along(drawing, "depth {:,}")


def _of_parameters(drawing: Drawing) -> str:
    return _along(drawing, "{:,} parameters")


def _along(drawing: Drawing, place: str) -> str:
    """What to see in a figure whose x axis is the column `depth`, a value of which is called as `place` says."""
    column = told_column(drawing.metric)
    levels = levels_by_depth(drawing.rows, column)
    what = _statistic(levels, column)
    if levels["net"].nunique() > MOST_NAMED:
        told = _extremes(levels, column, what, place)
    else:
        told = [_course(net, of_net, column, place) for net, of_net in levels.groupby("net", observed=True)]
        told[0] = f"{what}: {told[0]}"
    return _sentences([*told, *ended_badly(drawing.rows)])


def _of_curves(drawing: Drawing) -> str:
    column = told_column(drawing.metric)
    rows = choose_depths(drawing.rows[drawing.rows["status"] != "failed"])
    rows = rows.assign(net=_names(rows))
    told = []
    ends: dict[str, tuple[int, float]] = {}
    for net, of_net in rows.groupby("net", observed=True):
        depth = int(of_net["depth"].max())
        curve = median_curve(of_net[of_net["depth"] == depth], "step", column)
        if curve.empty:
            continue
        ends[str(net)] = (depth, float(curve.iloc[-1]))
        start, end = (value_text(float(value), column) for value in (curve.iloc[0], curve.iloc[-1]))
        told.append(f"{net} at depth {depth} goes from {start} at step {curve.index[0]} to {end} at {curve.index[-1]}")
    seeds = rows.groupby(["net", "depth"], observed=True)["seed"].nunique()
    what = f"{'Median' if seeds.max() > 1 else 'The'} {describe(column).title}{_of_seeds(seeds)}"
    if len(told) > MOST_NAMED:
        low, high = (pick(ends, key=lambda net: ends[net][1]) for pick in (min, max))
        told = [
            f"of the deepest nets of each kind, {low} (depth {ends[low][0]}) ends lowest, at "
            f"{value_text(ends[low][1], column)}, and {high} (depth {ends[high][0]}) highest, at "
            f"{value_text(ends[high][1], column)}"
        ]
    if told:
        told[0] = f"{what}: {told[0]}"
    return _sentences([*told, *ended_badly(rows.drop_duplicates("run_id"))])


def _of_rows(drawing: Drawing) -> str:
    return _sentences([_measured_nets(drawing.rows), *ended_badly(drawing.rows.drop_duplicates("run_id"))])


_OF_KIND: Mapping[str, Callable[[Drawing], str]] = {
    "depth": _of_depths,
    "parameters": _of_parameters,
    "curves": _of_curves,
}


def caption_of_table(table: pd.DataFrame) -> str:
    """What to see in the figure of an analysis beside its title: the nets that were measured."""
    return _sentences([_measured_nets(table)])


def _measured_nets(table: pd.DataFrame) -> str:
    """Which nets a table is about, such as `6 nets: plain-cnn and resnet, depth 20, 3 seeds`; nothing if it is not."""
    if not {"model", "depth", "seed"} <= set(table):
        return ""
    nets = table[["model", "depth", "seed"]].drop_duplicates()
    models = ordered_models(map(str, nets["model"]))
    named = natural_list(models) if len(models) <= MOST_NAMED else f"{len(models)} models"
    seeds = nets.groupby(["model", "depth"]).size()
    count = table["run_id"].nunique() if "run_id" in table else len(nets)
    depths = compact(sorted(map(int, nets["depth"].unique())))
    return (
        f"{count:,} {'net' if count == 1 else 'nets'}: {named} at depth {depths}, "
        f"{range_text(seeds)} {'seed' if seeds.max() == 1 else 'seeds'}"
    )


def levels_by_depth(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """What nets reached: `net` (its model and the settings that vary), `depth`, `seeds`, `median`, `low` and `high`.

    A diverged run counts as infinitely bad. Nets are in the order of figures.
    """
    kept = runs[runs["status"] != "failed"]
    values = kept[column].astype(float).mask(kept["status"] == "diverged", describe(column).worst)
    named = kept.assign(net=_names(kept), value=values).dropna(subset=["value"])
    return (
        named.groupby(["net", "depth"], observed=True)["value"]
        .agg(seeds="size", median="median", low="min", high="max")
        .reset_index()
    )


def ended_badly(runs: pd.DataFrame) -> list[str]:
    """How many runs diverged, and how many failed, where there are some."""
    counts = runs["status"].value_counts()
    return [
        f"{counts[status]:,} of {len(runs):,} runs {status}" for status in ("diverged", "failed") if status in counts
    ]


def level_text(level: "pd.Series[Any]", column: str) -> str:
    """A median with the range of its seeds, such as `0.505 (0.49 to 0.51)`."""
    median, low, high = (value_text(level[name], column) for name in ("median", "low", "high"))
    if level["seeds"] == 1:
        return median
    return f"{median} (all)" if low == high else f"{median} ({low} to {high})"


def _course(net: object, levels: pd.DataFrame, column: str, place: str) -> str:
    best, deepest = _by_median(levels).iloc[0], levels.iloc[-1]
    lowest, last = (place.format(one["depth"]) for one in (best, deepest))
    if len(levels) == 1:
        return f"{net} at {lowest} reaches {level_text(best, column)}"
    if lowest == last:
        return f"{net} is lowest at its last, {lowest}: {level_text(best, column)}"
    return (
        f"{net} is lowest at {lowest}, {level_text(best, column)}, and at {last} it is at {level_text(deepest, column)}"
    )


def _extremes(levels: pd.DataFrame, column: str, what: str, place: str) -> list[str]:
    nets = levels["net"].nunique()
    of_depth = levels.groupby("depth")["net"].nunique()
    shared = of_depth.index[of_depth == nets]
    told = []
    for depth in [shared.max()] if len(shared) else []:
        here = _by_median(levels[levels["depth"] == depth])
        low, high = here.iloc[0], here.iloc[-1]
        told.append(
            f"at {place.format(depth)}, {low['net']} is lowest with {level_text(low, column)} and {high['net']} "
            f"highest with {level_text(high, column)}"
        )
    best = _by_median(levels).iloc[0]
    told.append(f"lowest of all is {best['net']} at {place.format(best['depth'])} with {level_text(best, column)}")
    told[0] = f"{what}, {nets} kinds of nets: {told[0]}"
    return told


def _by_median(levels: pd.DataFrame) -> pd.DataFrame:
    return levels.sort_values("median", kind="stable")


def _statistic(levels: pd.DataFrame, column: str) -> str:
    title = describe(column).title
    if levels["seeds"].max() == 1:
        return f"{title.capitalize()} of one seed"
    return f"Median {title} of {range_text(levels['seeds'])} seeds (and their range)"


def _of_seeds(seeds: "pd.Series[int]") -> str:
    return " of one seed" if seeds.max() == 1 else f" of {range_text(seeds)} seeds"


def _names(rows: pd.DataFrame) -> "pd.Categorical[str]":
    """The model of each row, and the settings in which nets of one model and depth differ; in the order of figures."""
    settings = free_settings(rows)
    columns: Sequence[Any] = [rows[name].astype(object) for name in ("model", *settings)]
    places = [{value: place for place, value in enumerate(ordered_values(rows[name]))} for name in settings]
    found: dict[tuple[Any, ...], str] = {}
    for model, *values in zip(*columns, strict=True):
        if (model, *values) not in found:
            said = settings_text(dict(zip(settings, values, strict=True)))
            found[model, *values] = f"{model}, {said}" if said else str(model)
    by_values = sorted(
        found,
        key=lambda key: [place.get(value, -1) for place, value in zip(places, key[1:], strict=True)],
    )
    names = ordered_models(found[key] for key in by_values)
    return pd.Categorical([found[key] for key in zip(*columns, strict=True)], names, ordered=True)


def value_text(value: float, column: str) -> str:
    """A value of a metric with three significant digits and its sign, such as `22.9 %` or `1.6e−05`."""
    if not np.isfinite(value):
        return "∞"
    return f"{value:.3g}{describe(column).sign}".replace("e-", "e\N{MINUS SIGN}")  # no line breaks after it


def _sentences(parts: Sequence[str]) -> str:
    text = "; ".join(filter(None, parts))
    return f"{text[:1].upper()}{text[1:]}." if text else ""
