"""How often the verdict on turning points is wrong: draws of few depths and seeds from the committed sweeps."""

from collections import Counter

import numpy as np
import pandas as pd

from resnet_cli.claims.measures import by_seed_and_depth
from resnet_cli.claims.turning_point import Course, corrected, trend_of

DRAWS = 200
FEWEST, MOST = 3, 9
"""Depths in a draw."""

BEFORE = {1: (58, 96), 3: (38, 97), 5: (24, 96), 10: (4, 98)}
"""Of the rule before this one, on the sine: by seeds, percent of draws in which residual and plain nets "degrade"."""


def courses(runs: pd.DataFrame, seeds: int) -> dict[str, Counter[Course]]:
    """What is said of each model, all of them tested together, in random draws of depths and seeds.

    Args:
        runs: as for `turning_points`; each model has all seeds at all depths.
        seeds: how many a draw has.
    """
    generator = np.random.default_rng(0)
    tables = {str(model): by_seed_and_depth(of_model) for model, of_model in runs.groupby("model")}
    found: dict[str, Counter[Course]] = {model: Counter() for model in tables}
    rows, columns = next(iter(tables.values())).shape
    for _ in range(DRAWS):
        depths = np.sort(generator.choice(columns, generator.integers(FEWEST, min(MOST, columns) + 1), replace=False))
        some = generator.choice(rows, seeds, replace=False)
        trends = corrected([trend_of(table.iloc[some, depths]) for table in tables.values()])
        for model, trend in zip(tables, trends, strict=True):
            found[model][trend.course] += 1
    return found
