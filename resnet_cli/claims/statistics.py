"""Tests and intervals for paired differences, one a seed: exact where the number of pairs allows it, all from scipy.

scipy.stats takes long to import, so it is imported where it is used.
"""

import math
from collections.abc import Sequence

import numpy as np

FALSE_DISCOVERY_RATE = 0.05
CONFIDENCE = 0.95
FEWEST_PAIRS = 5
"""With four pairs the least possible p-value is 1/16, so no test can decide."""

MOST_EXACT = 16
"""With more pairs than this, sign changes are drawn instead of listed: 2¹⁶ = 65,536."""

RESAMPLES = 9_999
MOST_NUMBERS = 2**19
"""How many are drawn at once, which bounds the memory for thousands of pairs and changes no result."""
SIGN_FLIP_TEST = "exact sign-flip test"
BOOTSTRAP = "percentile bootstrap"


def sign_flip_p(differences: Sequence[float], margin: float = 0.0) -> float:
    """How likely a mean this far above `margin` is by chance: the one-sided p-value of the sign-flip permutation test.

    If the differences lay symmetrically about the margin, each could as well have the opposite sign. The p-value is the
    share of all 2ⁿ choices of signs whose mean is at least the observed one, so with n pairs it is never below 1/2ⁿ
    (Fisher 1935, §21). It is 1 without pairs.
    """
    above = np.asarray(differences, dtype=float) - margin
    if above.size < 2:  # scipy wants two
        return 0.5 if above.sum() > 0 else 1.0
    from scipy import stats

    resamples = math.inf if above.size <= MOST_EXACT else RESAMPLES
    found = stats.permutation_test(
        (above,),
        lambda values, axis: np.sum(values, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, MOST_NUMBERS // above.size),
        alternative="greater",
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def two_sided_p(differences: Sequence[float]) -> float:
    """How likely a mean this far from zero is by chance, in either direction: the two-sided sign-flip test.

    With n pairs it is never below 2/2ⁿ. An infinite difference counts as larger than all finite ones together.
    """
    largest = max((abs(value) for value in differences if math.isfinite(value)), default=0.0) or 1.0
    infinite = 1.0 + len(differences)
    values = [max(-infinite, min(infinite, value / largest)) for value in differences]
    return min(1.0, 2 * min(sign_flip_p(values), sign_flip_p([-value for value in values])))


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """A 95 % interval of the mean, by the percentile bootstrap over pairs (Efron 1979); NaN for fewer than two."""
    numbers = np.asarray(values, dtype=float)
    if numbers.size < 2:
        return math.nan, math.nan
    from scipy import stats

    found = stats.bootstrap(
        (numbers,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, MOST_NUMBERS // numbers.size),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def adjusted(p_values: Sequence[float]) -> list[float]:
    """p-values for many tests at once: rejecting those up to 5 % keeps the false discovery rate at 5 %.

    This is the method of Benjamini and Hochberg (1995), for tests that are independent or positively dependent.
    """
    if not p_values:
        return []
    from scipy import stats

    return [float(p) for p in stats.false_discovery_control(np.asarray(p_values, dtype=float))]
