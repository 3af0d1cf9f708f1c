"""One part, in a figure a panel, for each combination of the settings that vary; or one line for each value of one."""

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from resnet_cli.figures.run_table import free_settings, ordered_values, varying_settings
from resnet_cli.settings.errors import UserError

MAX_COLUMNS = 4
T = TypeVar("T")


@dataclass(frozen=True)
class Panel:
    """The runs with one combination of settings; title and last value are empty where no setting varies.

    `headers` has a text for each setting, such as `("adam", "learning rate 0.1")`.
    """

    title: str
    rows: pd.DataFrame
    last_value: tuple[Any, ...]
    headers: tuple[str, ...] = ()


def split_panels(
    rows: pd.DataFrame,
    *,
    limit: int | None = None,
    settings: Sequence[str] | None = None,
    advice: str = "choose some of their values with --where",
) -> list[Panel]:
    """The panels of `rows`, ordered by the values of their settings; the setting with most values changes fastest.

    A setting that is missing does not apply to that run, so the run appears beside every value: plain nets, which have
    no `block_size`, stand in each panel of a sweep over it. A setting that follows from another makes no panels.

    Args:
        rows: a summary, or curves.
        limit: the most panels; more are a UserError, with `advice`.
        settings: instead of all settings that vary, the slowest first.
        advice: what to do about too many combinations.
    """
    if settings is None:
        settings = by_number_of_values(rows)
    values = rows[list(settings)].astype(object)
    keys = list(zip(*(values[setting].where(values[setting].notna(), None) for setting in settings), strict=True))
    keys = keys or [()] * len(rows)
    distinct = set(keys)
    places = [{value: place for place, value in enumerate([*ordered_values(rows[name]), None])} for name in settings]
    combinations = sorted(
        (key for key in distinct if not _is_covered(key, distinct)),
        key=lambda key: [place[value] for place, value in zip(places, key, strict=True)],
    )
    if limit is not None and len(combinations) > limit:
        raise UserError(
            f"The settings {', '.join(settings)} make {len(combinations)} combinations, but one figure shows at most "
            f"{limit}; {advice}."
        )
    several = len(combinations) > 1
    return [
        Panel(
            title=settings_text(dict(zip(settings, combination, strict=True))) if several else "",
            rows=rows[[_fits(key, combination) for key in keys]],
            last_value=combination[-1:],
            headers=tuple(itertools.starmap(_header, zip(settings, combination, strict=True))) if several else (),
        )
        for combination in combinations
    ]


def by_number_of_values(rows: pd.DataFrame) -> list[str]:
    """The settings that make panels, that with the most values last."""
    return sorted(free_settings(rows), key=lambda setting: rows[setting].nunique())


@dataclass(frozen=True)
class Grid:
    """Where panels stand: `places` count cells row by row; headers are empty where panels have titles of their own."""

    across: int
    down: int
    places: list[int]
    column_headers: list[str]
    row_headers: list[str]


def arrange(panels: Sequence[Panel]) -> Grid:
    """A row for each value of one setting and a column for each of another if there are two, else an even grid."""
    pairs = [panel.headers for panel in panels]
    if len(pairs[0]) != 2 or not all(itertools.chain(*pairs)):
        return arrange_in_rows(len(panels), grid_columns(panels))
    row_headers, column_headers = (list(dict.fromkeys(texts)) for texts in zip(*pairs, strict=True))
    across = len(column_headers)
    places = [row_headers.index(row) * across + column_headers.index(column) for row, column in pairs]
    return Grid(across, len(row_headers), places, column_headers, row_headers)


def arrange_in_rows(count: int, across: int) -> Grid:
    """`count` panels in rows of `across`, without headers."""
    return Grid(across, math.ceil(count / across), list(range(count)), [], [])


def split_pages(rows: pd.DataFrame, settings: Sequence[str], limits: Sequence[int]) -> dict[str, pd.DataFrame]:
    """The parts of `rows` that one figure each can show, by what they hold, such as `optimizer sgd`.

    The last `settings` vary within a figure, each with as many values as its limit allows, the others between figures;
    in both lists the slowest comes first.
    """
    between = settings[: max(len(settings) - len(limits), 0)]
    within = dict(zip(settings[len(between) :], limits[-len(settings) :], strict=True)) if settings else {}
    pages = {}
    for panel in split_panels(rows, settings=between):
        chunks = [chunked(ordered_values(panel.rows[setting]), limit) for setting, limit in within.items()]
        for parts in itertools.product(*chunks):
            part, names = panel.rows, [panel.title]
            for setting, values, all_parts in zip(within, parts, chunks, strict=True):
                if len(all_parts) > 1:
                    part = part[part[setting].isin(values) | part[setting].isna()]
                    last = f" to {value_text(values[-1])}" if len(values) > 1 else ""
                    names.append(setting_text(setting, values[0]) + last)
            pages[", ".join(filter(None, names))] = part
    return pages


def chunked(values: Sequence[Any], limit: int) -> list[list[Any]]:
    """`values` in as few parts as there must be with at most `limit` in each, all of nearly the same length."""
    parts = np.array_split(np.arange(len(values)), math.ceil(len(values) / limit) or 1)
    return [[values[index] for index in part] for part in parts]


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly chosen, in their order; the last is among them."""
    return [items[round(place)] for place in np.linspace(len(items) - 1, 0, min(count, len(items)))][::-1]


def as_file_name(text: str) -> str:
    """`text` in lower case with hyphens instead of all that might trouble a file system."""
    return re.sub(r"[^a-z0-9.+]+", "-", text.lower()).strip("-.")


def grid_columns(panels: Sequence[Panel]) -> int:
    """How many of `panels` stand side by side: a column for each value of the last setting, or an even grid."""
    last_values = len({panel.last_value for panel in panels})
    if last_values <= MAX_COLUMNS and len(panels) % last_values == 0:
        return last_values
    return min((4, 3), key=lambda columns: (-len(panels) % columns, columns))


def compare(frame: pd.DataFrame, setting: str) -> pd.DataFrame:
    """`frame` with the values of a setting as models of their own, such as `resnet, original` or `resnet, width 16`.

    Runs that do not have the setting keep the name of their model. The rows stand in the order of the values. As by
    `check_varies`, UserError is raised where runs do not differ in the setting.
    """
    check_varies(frame, setting)
    alike = frame.groupby(setting, dropna=False, observed=True)
    others = [other for other in varying_settings(frame) if other != setting]
    follows = [other for other in others if alike[other].nunique(dropna=False).max() == 1]
    places = {value: place for place, value in enumerate(ordered_values(frame[setting]))}
    order = frame[setting].astype(object).map(places).astype(float).fillna(-1).argsort(kind="stable")
    ordered = frame.iloc[order.to_numpy()].reset_index(drop=True)
    names = ordered[setting].astype(object).map(lambda value: _header(setting, value), na_action="ignore")
    models = ordered["model"].str.cat(names, sep=", ").fillna(ordered["model"])
    return ordered.assign(model=models).drop(columns=[setting, *follows])


def check_varies(frame: pd.DataFrame, setting: str) -> None:
    """Raise UserError where runs of one model and depth do not differ in `setting`."""
    varying = varying_settings(frame)
    if setting not in varying:
        what = f"those that do are {', '.join(varying)}" if varying else "they differ in no setting"
        raise UserError(f"by (={setting}) is not a setting in which runs of one model and depth differ; {what}.")


def _header(setting: str, value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else setting_text(setting, value)


def _fits(key: Sequence[Any], combination: Sequence[Any]) -> bool:
    return all(mine is None or mine == other for mine, other in zip(key, combination, strict=True))


def _is_covered(key: Sequence[Any], distinct: Iterable[Sequence[Any]]) -> bool:
    return any(key != other and _fits(key, other) for other in distinct)


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings in words, such as `block size 2, batch norm off`, without missing ones."""
    return ", ".join(setting_text(name, value) for name, value in settings.items() if not pd.isna(value))


def setting_text(name: str, value: Any) -> str:
    """A setting in words, such as `learning rate 0.1`."""
    return f"{name.replace('_', ' ')} {value_text(value)}"


def value_text(value: Any) -> str:
    """A value in words: on or off, 0.1, ∞, he."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}".replace("inf", "∞") if isinstance(value, float) else str(value)
