"""One part, in a figure a panel, for each combination of the settings that vary; or one line for each value of one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from resnet_cli.figures.frames import varying_settings
from resnet_cli.spec.errors import UserError

MAX_COLUMNS = 4


@dataclass(frozen=True)
class Panel:
    """The runs with one combination of settings; title and last value are empty where no setting varies."""

    title: str
    rows: pd.DataFrame
    last_value: tuple[Any, ...]


def split_panels(rows: pd.DataFrame, *, limit: int | None = None) -> list[Panel]:
    """The panels of `rows`, ordered by the values of their settings; the setting with most values changes fastest.

    A setting that is missing does not apply to that run, so the run appears beside every value: plain nets, which have
    no `block_size`, stand in each panel of a sweep over it.

    Raises:
        UserError: there are more combinations than `limit`.
    """
    settings = sorted(varying_settings(rows), key=lambda setting: rows[setting].nunique())
    values = rows[settings].astype(object)
    keys = list(zip(*(values[setting].where(values[setting].notna(), None) for setting in settings), strict=True))
    keys = keys or [()] * len(rows)
    distinct = set(keys)
    combinations = sorted((key for key in distinct if not _is_covered(key, distinct)), key=_sort_key)
    if limit is not None and len(combinations) > limit:
        raise UserError(
            f"The settings {', '.join(settings)} make {len(combinations)} combinations, but one figure shows at most "
            f"{limit}; select fewer of their values."
        )
    return [
        Panel(
            title=_title(settings, combination) if len(combinations) > 1 else "",
            rows=rows[[_fits(key, combination) for key in keys]],
            last_value=combination[-1:],
        )
        for combination in combinations
    ]


def grid_columns(panels: Sequence[Panel]) -> int:
    """How many of `panels` stand side by side: a column for each value of the last setting, or an even grid."""
    last_values = len({panel.last_value for panel in panels})
    if last_values <= MAX_COLUMNS and len(panels) % last_values == 0:
        return last_values
    return min((4, 3), key=lambda columns: (-len(panels) % columns, columns))


def compare(frame: pd.DataFrame, setting: str) -> pd.DataFrame:
    """`frame` with the values of a setting as models of their own, such as `resnet, original` or `resnet, width 16`.

    Runs that do not have the setting keep the name of their model.

    Args:
        frame: a summary or curves.
        setting: what to compare.

    Raises:
        UserError: runs of one model and depth do not differ in `setting`; those settings in which they do are named.
    """
    varying = varying_settings(frame)
    if setting not in varying:
        what = f"those that do are {', '.join(varying)}" if varying else "they differ in no setting"
        raise UserError(f"by (={setting}) is not a setting in which runs of one model and depth differ; {what}.")
    values = frame[setting].astype(object)
    names = values.map(lambda value: _line_name(setting, value), na_action="ignore")
    return frame.assign(model=frame["model"].str.cat(names, sep=", ").fillna(frame["model"])).drop(columns=setting)


def _line_name(setting: str, value: Any) -> str:
    return value if isinstance(value, str) else f"{setting.replace('_', ' ')} {value_text(value)}"


def _fits(key: Sequence[Any], combination: Sequence[Any]) -> bool:
    return all(mine is None or mine == other for mine, other in zip(key, combination, strict=True))


def _is_covered(key: Sequence[Any], distinct: Iterable[Sequence[Any]]) -> bool:
    return any(key != other and _fits(key, other) for other in distinct)


def _sort_key(combination: Sequence[Any]) -> list[tuple[bool, bool, Any]]:
    return [(value is None, isinstance(value, str), 0 if value is None else value) for value in combination]


def _title(settings: Sequence[str], combination: Sequence[Any]) -> str:
    named = zip(settings, combination, strict=True)
    return ", ".join(
        f"{setting.replace('_', ' ')} {value_text(value)}" for setting, value in named if value is not None
    )


def value_text(value: Any) -> str:
    """A value in words: on or off, 0.1, ∞, he."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}".replace("inf", "∞") if isinstance(value, float) else str(value)
