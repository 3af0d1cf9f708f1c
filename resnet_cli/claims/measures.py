"""From tables of runs to one number a seed: losses against chance, errors, and how far a loss rises with depth."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from resnet_cli.claims.claim import MissingEvidence

Seeds = Mapping[int, float]

PLAIN, RESIDUAL = "plain", "residual"
"""Values of the column `role`."""


def select(frame: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """The rows whose columns have these values; a list or a range stands for any of its values.

    Raises:
        MissingEvidence: there are none, or no such column.
    """
    for column, wanted in where.items():
        if column not in frame:
            raise MissingEvidence(f"the runs do not differ in {column.replace('_', ' ')}")
        values = list(wanted) if isinstance(wanted, list | range | tuple) else [wanted]
        frame = frame[frame[column].isin(values)]
    if frame.empty:
        raise MissingEvidence(f"no rows with {', '.join(f'{name} {value}' for name, value in where.items())}")
    return frame


def split(frame: pd.DataFrame, **usual: Any) -> dict[str, pd.DataFrame]:
    """The rows with these values, then those with each other combination, by a label such as `dropout 0.2`.

    Raises:
        MissingEvidence: there are no such rows, or no others.
    """
    first = select(frame, **usual)
    others = frame.drop(index=first.index)
    if others.empty:
        raise MissingEvidence(
            f"all runs have {_label(usual, usual.values())}, so there is nothing to compare them with"
        )
    groups = {_label(usual, values): rows for values, rows in others.groupby(list(usual))}
    return {_label(usual, usual.values()): first, **groups}


def _label(names: Iterable[str], values: Iterable[Any]) -> str:
    words = (f"{value:g}" if isinstance(value, float) else str(value) for value in values)
    return " and ".join(f"{name.replace('_', ' ')} {word}" for name, word in zip(names, words, strict=True))


def relative_loss(frame: pd.DataFrame, column: str = "train_loss") -> "pd.Series[float]":
    """Losses as shares of the chance level, at most 1; diverged runs have 1."""
    share = frame[column].astype(float) / frame["chance_loss"].astype(float)
    return share.mask(frame["status"] == "diverged", 1.0).clip(upper=1.0).fillna(1.0)


def error(frame: pd.DataFrame, column: str = "test_error") -> "pd.Series[float]":
    """Errors in percent, at most the chance level; diverged runs have it."""
    chance = frame["chance_error"].astype(float)
    found = frame[column].astype(float).mask(frame["status"] == "diverged", chance)
    return found.clip(upper=chance).fillna(chance)


def measure(frame: pd.DataFrame, column: str) -> "pd.Series[float]":
    """`relative_loss` or `error`, as the column has one or the other."""
    return relative_loss(frame, column) if column.endswith("loss") else error(frame, column)


def by_seed(frame: pd.DataFrame, column: str = "train_loss") -> "pd.Series[float]":
    """The mean over the depths for each seed that has all of them."""
    return by_seed_and_depth(frame, column).mean(axis=1)


def difference(first: "pd.Series[float]", second: "pd.Series[float] | float") -> Seeds:
    """First minus second, a level or what else was measured, for every seed that both have."""
    return {int(str(seed)): float(value) for seed, value in (first - second).dropna().items()}


def by_seed_and_depth(frame: pd.DataFrame, column: str = "train_loss") -> pd.DataFrame:
    """A measured loss or error with a row for each seed that has all depths, and a column for each depth."""
    cells = frame.assign(measured=measure(frame, column))
    return cells.pivot_table(index="seed", columns="depth", values="measured").dropna()


def best_depths(table: pd.DataFrame) -> dict[int, int]:
    """For each seed of a table by seed and depth, the depth with the lowest mean over the *other* seeds.

    So a lucky run is not its own baseline, nor is a depth at which some seeds fail, which a median would not show.
    """
    values, depths = table.to_numpy(), [int(depth) for depth in table.columns]
    best = [np.delete(values, row, axis=0).mean(axis=0).argmin() for row in range(len(values))]
    return {int(seed): depths[column] for seed, column in zip(table.index, best, strict=True)}


def rises(table: pd.DataFrame) -> Seeds:
    """`rise` of a table by seed and depth, two seeds and two depths or more."""
    values, depths = table.to_numpy(), [int(depth) for depth in table.columns]
    deep = values[:, np.isin(depths, deepest(depths))].mean(axis=1)
    best = best_depths(table)
    return {seed: float(deep[row] - values[row, depths.index(best[seed])]) for row, seed in enumerate(best)}


def rise(frame: pd.DataFrame, column: str = "train_loss") -> Seeds:
    """How far a loss or error lies at the deepest sixth of the depths above that at the best depth, for each seed.

    The best depth of a seed is that of the other seeds (`best_depths`), so nets that do not get worse rise by nothing
    on average. One seed alone has no rise.

    Args:
        frame: runs of one model, with no other setting varying.
    """
    return rises(_depths_of_seeds(frame, column))


def fall(frame: pd.DataFrame, column: str = "train_loss") -> Seeds:
    """How far a loss or error lies at the least depth above that at the best depth, that of the other seeds."""
    table = _depths_of_seeds(frame, column)
    shallow, best = table.iloc[:, 0].to_dict(), best_depths(table)
    return {seed: float(shallow[seed] - table[depth][seed]) for seed, depth in best.items()}


def _depths_of_seeds(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    table = by_seed_and_depth(frame, column)
    if len(table) < 2 or table.shape[1] < 2:
        raise MissingEvidence("it takes two seeds and two depths, each run of which is there")
    return table


def ends(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows at the least depth, and those at the deepest sixth of the depths.

    Raises:
        MissingEvidence: there is only one depth.
    """
    depths = sorted({int(depth) for depth in frame["depth"]})
    if len(depths) < 2:
        raise MissingEvidence("it takes two depths, and the runs have one")
    return select(frame, depth=depths[0]), select(frame, depth=deepest(depths))


def deepest(depths: Sequence[int]) -> list[int]:
    """The deepest sixth of the depths, one at least."""
    return sorted(depths)[-max(1, len(depths) // 6) :]


def medians(frame: pd.DataFrame, column: str, depths: Sequence[int], name: str = "") -> dict[str, float]:
    """The median of a column at some depths as stored, to show beside a comparison; infinite where most diverged.

    The keys are such as `median training loss at 8 layers`, or `median test error of plain nets at 8 layers` with a
    `name` of `of plain nets`.
    """
    values = frame[column].astype(float).mask(frame["status"] == "diverged", np.inf)
    found = values.groupby(frame["depth"]).median()
    words = " ".join(filter(None, ["median", column.replace("train_", "training ").replace("_", " "), name]))
    return {f"{words} at {depth} layers": float(found[depth]) for depth in depths if depth in found}
