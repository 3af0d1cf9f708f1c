"""What every figure checks in its DataFrame: which runs can be drawn, and in which unit."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from resnet_cli.settings import varying
from resnet_cli.settings.errors import UserError, unknown_name
from resnet_cli.settings.metrics import (
    CLASSIFICATION,
    LOSS,
    METRICS,
    OTHER_METRIC,
    PAIRS,
    check_metric,
    columns_of,
    describe,
)
from resnet_cli.settings.setting import RUN_COLUMNS

Scale = Literal["auto", "log", "linear"]
Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")
SPLIT_LABELS: dict[str, str] = {"train": "training", "test": "test"}

SWEEP = "sweep"
"""The column that tells several sweeps apart that share a figure."""

TOO_LARGE = 1e100
"""Values from here on are drawn as infinite: the arithmetic of axes overflows near the largest float."""


def check_choice(option: str, value: str, known: Collection[str]) -> None:
    """Raise UserError if `value` is not one of the `known` words for `option`."""
    if value not in known:
        raise unknown_name(option, value, known)


def resolve_splits(metric: str, splits: Sequence[Split]) -> tuple[str, Sequence[Split]]:
    """The pair of which `metric` is one half, and the split of that half; other metrics are those of the training."""
    for split in SPLITS:
        if metric.removeprefix(f"{split}_") in PAIRS and metric not in PAIRS:
            return metric.removeprefix(f"{split}_"), [split]
    return metric, splits if metric in PAIRS else ["train"]


def metric_text(metric: str, splits: Sequence[Split]) -> str:
    """The words for a metric on `splits`, such as `loss`, `test loss` or `gradient norm`."""
    title = describe(metric).title
    return title if len(splits) > 1 or metric not in PAIRS else f"{SPLIT_LABELS[splits[0]]} {title}"


def value_label(runs: pd.DataFrame, metric: str) -> str:
    """The label of the value axis with its unit; runs of a classification have errors, those of a regression none."""
    found = describe(metric)
    if found.meaning != LOSS:
        return found.title + (f" ({found.unit})" if found.unit else "")
    return "cross-entropy (nats)" if is_classification(runs) else "mean squared error"


def is_classification(runs: pd.DataFrame) -> bool:
    """Whether a table of runs has what is recorded for classification tasks only."""
    names = [name for name, metric in METRICS.items() if metric.when == CLASSIFICATION]
    return bool(runs.filter(items=names).notna().any(axis=None))


def chance_text(chance: float, metric: str) -> str:
    """The words for what a net with constant output reaches, such as `constant answer: 90 %`."""
    return f"constant answer: {chance:.3g}{describe(metric).sign}"


def only_task(frame: pd.DataFrame) -> str:
    """The task of all rows; UserError if there are several."""
    tasks = sorted(frame["task"].unique())
    if len(tasks) > 1:
        raise UserError(f"task (={', '.join(tasks)}): a figure shows one task; draw each by itself.")
    return str(tasks[0])


def drawable(frame: pd.DataFrame, metric: str, splits: Sequence[Split]) -> pd.DataFrame:
    """The rows of runs that did not fail; metrics are floats, and infinite where they are not finite or too large.

    Raises:
        UserError: unknown metric or split, no run left, several tasks, no value of the metric, or two runs that the
            frame's columns cannot tell apart.
    """
    check_metric(metric, [metric] if OTHER_METRIC in frame else ())
    for split in splits:
        check_choice("splits", split, SPLITS)
    if not splits:
        raise UserError("splits is empty; name train, test or both.")
    rows = frame[frame["status"] != "failed"].copy()
    if rows.empty:
        raise UserError("There is nothing to draw: no run has finished or diverged.")
    task = only_task(rows)
    columns = columns_of(metric, splits)
    rows[columns] = rows[columns].astype(float)
    done = rows.loc[rows["status"] == "done", columns].to_numpy()
    if done.size and not (np.abs(done) < TOO_LARGE).any():
        other = "error" if metric == "loss" else "loss"
        name = describe(metric).title
        raise UserError(f"metric (={metric}): the runs on {task} have no {name}; draw their {other} instead.")
    if metric not in PAIRS:  # an evaluation may lack it, such as the one before the first step
        rows = rows[rows[columns[0]].notna() | (rows["status"] == "diverged")].copy()
    rows[columns] = rows[columns].where(rows[columns].abs() < TOO_LARGE, describe(metric).worst)
    _check_told_apart(rows)
    return rows


def seeds_text(runs: pd.DataFrame, mark: str = "line") -> str:
    """How many seeds a line or other `mark` stands for, such as `line: median of 5 seeds`."""
    counts = seed_counts(runs)
    return "one seed" if counts.max() == 1 else f"{mark}: median of {range_text(counts)} seeds"


def seeds_notes(runs: pd.DataFrame) -> list[str]:
    """What lines and bands from end to end stand for, for a legend."""
    return [seeds_text(runs), "band: minimum to maximum" if seed_counts(runs).max() > 1 else ""]


def range_text(counts: "pd.Series[int]") -> str:
    """The lowest and the highest of some counts, such as `3 to 5`, or `5` where they are the same."""
    fewest, most = int(counts.min()), int(counts.max())
    return str(most) if fewest == most else f"{fewest} to {most}"


def seed_counts(runs: pd.DataFrame) -> "pd.Series[int]":
    """The number of seeds of each model, depth and combination of settings."""
    each = runs.drop_duplicates("run_id")
    return each.groupby(["model", "depth", *varying_settings(runs)], dropna=False, observed=True).size()


FEW_SEEDS = 5
"""A band is the interquartile range where each depth of its line has so many seeds; else it goes from end to end."""


def band_text(interquartile: Collection[bool]) -> str:
    """What bands span, from whether each is the interquartile range, such as `band: minimum to maximum`."""
    if len(set(interquartile)) == 2:
        return f"band: interquartile range, minimum to maximum of lines with fewer than {FEW_SEEDS} seeds at some depth"
    return f"band: {'interquartile range' if any(interquartile) else 'minimum to maximum'}"


def failed_text(frame: pd.DataFrame) -> str:
    """How many runs failed, such as `2 failed runs are not drawn`, or nothing where none did."""
    failed = frame.loc[frame["status"] == "failed", "run_id"].nunique()
    if failed == 0:
        return ""
    return "1 failed run is not drawn" if failed == 1 else f"{failed} failed runs are not drawn"


def _check_told_apart(rows: pd.DataFrame) -> None:
    runs = rows.drop_duplicates("run_id")
    repeated = runs[runs.duplicated(["model", "depth", "seed", *varying_settings(rows)])]
    if not repeated.empty:
        raise UserError(
            f"run_id (={repeated['run_id'].iloc[0]}): another run has the same model, depth and seed; add a "
            "column with the setting in which they differ, or draw them separately."
        )


def varying_settings(frame: pd.DataFrame) -> list[str]:
    """The columns beyond the usual ones in which runs of one model and depth differ."""
    return varying.varying_settings(*_settings_of(frame))


def free_settings(frame: pd.DataFrame) -> list[str]:
    """The settings that vary, without those that follow from another one, as `init_std` follows from `init`."""
    return varying.free_settings(*_settings_of(frame))


def _settings_of(frame: pd.DataFrame) -> tuple[list[str], list[varying.Row]]:
    names = [str(name) for name in frame if name not in RUN_COLUMNS]
    runs = frame[["model", "depth", *names]].drop_duplicates().astype(object)
    rows = runs.where(runs.notna(), None).itertuples(index=False, name=None)
    return names, [((model, depth), values) for model, depth, *values in rows]


def ordered_values(column: "pd.Series[Any]") -> list[Any]:
    """The values of a setting, without missing ones: in the order of its categories if it has some, else ascending."""
    values = column.dropna()
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = set(values)
        return [value for value in column.cat.categories if value in present]
    return sorted(values.unique().tolist(), key=_by_kind)


def _by_kind(value: Any) -> tuple[bool, Any]:
    """Sorts numbers before texts, which cannot be compared with them."""
    return isinstance(value, str), value


def in_given_order(frame: pd.DataFrame, given: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """`frame` with its settings as ordered categories, so that figures keep the order of the values that were `given`.

    These are by setting, such as the lists in sweep.toml; other values follow.
    """
    ordered = {}
    for setting in varying_settings(frame):
        if setting in given:
            values = frame[setting].dropna().unique().tolist()
            order = given[setting]
            first = sorted((value for value in values if value in order), key=order.index)
            rest = sorted((value for value in values if value not in order), key=_by_kind)
            ordered[setting] = pd.Categorical(frame[setting], [*first, *rest], ordered=True)
    return frame.assign(**ordered)
