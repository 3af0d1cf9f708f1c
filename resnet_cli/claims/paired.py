"""Two sides of a comparison, pair by pair: the difference with an interval and a test over seeds."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from resnet_cli.claims.statistics import adjusted, mean_interval, two_sided_p


def compare_sides(first: pd.DataFrame, second: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """How much lower or higher the second side is than the first, over the seeds that both have.

    Args:
        first, second: one row per run: `seed`, columns of `by`, and `value`, infinite if the run diverged.
        by: what tells rows of the result apart, such as `depth`; runs of a pair are alike in what both sides have.

    Returns:
        The columns of `by`; `pairs`, the number of pairs; `first` and `second`, medians; `difference`, the median of
        second minus first, with its extremes `least` and `greatest`; `lower`, the number of pairs in which the second
        is lower; `mean`, the mean difference, with a 95 % interval from `low` to `high` by the percentile bootstrap
        over pairs; `p_value` of the two-sided exact sign-flip test; and `adjusted`, the same corrected for the number
        of rows by the method of Benjamini and Hochberg. A pair in which both runs diverged has no difference. The mean
        has no interval if a run diverged, or with a single pair. The table is empty if there are no pairs.
    """
    shared = [name for name in (*by, "seed") if name in first and name in second]
    pairs = first.merge(second, on=shared, suffixes=("_first", "_second"))
    with np.errstate(invalid="ignore"):  # both diverged
        pairs["change"] = pairs["value_second"] - pairs["value_first"]
    groups = pairs.groupby([name for name in by if name in pairs], dropna=False)
    table = groups.agg(
        pairs=("seed", "size"),
        first=("value_first", "median"),
        second=("value_second", "median"),
        difference=("change", "median"),
        least=("change", "min"),
        greatest=("change", "max"),
        lower=("change", lambda changes: int((changes < 0).sum())),
    ).reset_index()
    changes = [of_row.dropna().tolist() for _, of_row in groups["change"]]
    intervals = [mean_interval(values) if all(map(math.isfinite, values)) else (math.nan,) * 2 for values in changes]
    p_values = [two_sided_p(values) for values in changes]
    return table.assign(
        mean=[_mean(values) for values in changes],
        low=[low for low, _ in intervals],
        high=[high for _, high in intervals],
        p_value=p_values,
        adjusted=adjusted(p_values),
    )


def _mean(values: Sequence[float]) -> float:
    with np.errstate(invalid="ignore"):  # infinite in both directions
        return float(np.mean(values)) if values else math.nan
