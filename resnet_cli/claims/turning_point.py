"""The turning point: the depth from which more layers make a model worse, where seeds allow a verdict.

The loss is a noisy function of depth: on the sine, seeds of one depth differ by a factor of twenty and medians of
neighbouring depths by a factor of five. Nearly all of that lies far below the loss that counts. So a rise is measured
against the loss at chance level, for each seed from its own best depth (`measures.rise`), and tested over seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import fmean

import numpy as np
import pandas as pd

from resnet_cli.claims.claim import LOSS
from resnet_cli.claims.measures import Seeds, best_depths, by_seed_and_depth, deepest, rises
from resnet_cli.claims.statistics import FALSE_DISCOVERY_RATE, FEWEST_PAIRS, adjusted, mean_interval, sign_flip_p

FEWEST_DEPTHS = 3


class Course(StrEnum):
    """How the training loss of a model goes on with depth."""

    WORSE = "gets worse"
    STEADY = "does not get worse"
    UNCLEAR = "unclear"
    NO_VERDICT = "no verdict"


@dataclass(frozen=True)
class Trend:
    """A verdict on losses by depth, and the test that it rests on.

    Attributes:
        rises: for each seed how far the loss rises, as a share of the loss at chance level; see `measures.rise`.
        p_value: of the sign-flip test in the direction in which the rises point, corrected for the number of models
            that were tested together; None if there was no test.
        worse_from: the first depth from which on, at every depth, the median seed's loss lies more than 10 % of chance
            above that at its best depth; None unless the course is worse.
        reason: why there is no verdict.
    """

    course: Course = Course.NO_VERDICT
    rises: Seeds = field(default_factory=dict)
    p_value: float | None = None
    worse_from: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class TurningPoint:
    """How one model's training loss depends on depth.

    Attributes:
        depths: those that have a loss, ascending.
        seeds: how many seeds have a loss at every depth; where none has, the number at the depth with most.
        best_depth: with the lowest median loss, the deepest of equals.
        best_loss: the median there; infinite where most runs diverged, as is `deepest_loss`.
        deepest_loss: the median at the largest depth.
    """

    model: str
    depths: tuple[int, ...]
    seeds: int
    best_depth: int
    best_loss: float
    deepest_loss: float
    trend: Trend

    @property
    def course(self) -> Course:
        """The verdict."""
        return self.trend.course

    @property
    def worse_from(self) -> int | None:
        """The turning point, if the model gets worse."""
        return self.trend.worse_from

    @property
    def deepest_depth(self) -> int:
        """The largest depth."""
        return self.depths[-1]

    def sentence(self) -> str:
        """The verdict in words after the model's name, such as `plain-mlp: it degrades: from depth 23 on …`."""
        if self.course is Course.NO_VERDICT:
            return f"{self.model}: no verdict {self.trend.reason}; {self._ends()}."
        deep = deepest(self.depths)
        where = f"depth {deep[0]}" if len(deep) == 1 else f"depths {deep[0]} to {deep[-1]}"
        values = list(self.trend.rises.values())
        mean, (low, high) = fmean(values), mean_interval(values)
        found = (
            f"{_percent(mean)} of chance (95 % interval {_percent(low)} to {_percent(high)}, "
            f"{len(values)} seeds, p = {self.trend.p_value:.2g})"
        )
        if self.course is Course.WORSE:
            return (
                f"{self.model}: it degrades: from depth {self.worse_from} on, training loss stays more than "
                f"{_percent(LOSS.margin)} of chance above its level at the best depth; at {where} it is higher by "
                f"{found}."
            )
        start = "no turning point" if self.course is Course.STEADY else "unclear whether there is a turning point"
        return (
            f"{self.model}: {start} up to depth {self.deepest_depth}: "
            f"from the best depth to {where} training loss rises by {found}."
        )

    def _ends(self) -> str:
        loss = "training loss" if self.seeds == 1 else "median training loss"
        if math.isinf(self.best_loss):
            return f"{loss} is infinite at every depth, since runs diverged"
        best = f"{loss} is lowest at depth {self.best_depth} ({self.best_loss:.2g})"
        if self.best_depth == self.deepest_depth:
            return f"{best}, the deepest"
        deepest_loss = "infinite" if math.isinf(self.deepest_loss) else f"{self.deepest_loss:.2g}"
        return f"{best}, and {deepest_loss} at depth {self.deepest_depth}"


def turning_points(tables: Sequence[pd.DataFrame]) -> list[list[TurningPoint]]:
    """The turning point of each model in each table of a sweep: whether and from where its training loss has risen.

    A model gets worse if the mean over seeds of its rise lies above 10 % of the loss at chance level, and does not if
    it lies below, by the sign-flip test at 5 %. Both are one-sided, and at most one of them can be wrong. All models of
    all tables are tested together, and the false discovery rate is controlled over them. There is no verdict from fewer
    than five seeds or three depths.

    Args:
        tables: one row per run, with at least `model`, `depth`, `seed`, `status`, `train_loss`, and `chance_loss`, the
            loss of a constant answer, NaN where it is not known. Runs that differ in another setting belong into
            different tables; within one, seeds stand for their mean. A diverged run counts as a loss at chance level,
            a failed one not at all.

    Returns:
        For each table, one for each model that has a loss, in the order of its rows.
    """
    found = [
        [_describe(str(model), of_model) for model, of_model in _with_loss(table).groupby("model", sort=False)]
        for table in tables
    ]
    trends = iter(corrected([point.trend for points in found for point in points]))
    return [[replace(point, trend=next(trends)) for point in points] for points in found]


def _with_loss(table: pd.DataFrame) -> pd.DataFrame:
    losses = table["train_loss"].astype(float).mask(table["status"] == "diverged", math.inf)
    return table.assign(loss=losses)[table["status"] != "failed"].dropna(subset=["loss"])


def _describe(model: str, runs: pd.DataFrame) -> TurningPoint:
    """A model with its trend, not yet corrected for the number of models."""
    by_depth = runs.groupby("depth")["loss"]
    medians = by_depth.median()
    best = int(medians.index[medians == medians.min()][-1])
    depths = tuple(int(depth) for depth in medians.index)
    shares = by_seed_and_depth(runs).reindex(columns=depths)
    known = bool(runs["chance_loss"].notna().all())
    trend = trend_of(shares) if known else Trend(reason="without the loss at chance level, which is not known")
    seeds = len(shares) or int(by_depth.size().max())
    return TurningPoint(model, depths, seeds, best, float(medians[best]), float(medians.iloc[-1]), trend)


def trend_of(shares: pd.DataFrame) -> Trend:
    """The trend of losses with a row for each seed and a column for each depth, not corrected for other tests.

    Args:
        shares: of the loss at chance level, between 0 and 1.
    """
    if reason := _why_not(shares):
        return Trend(reason=reason)
    found = rises(shares)
    p_above = sign_flip_p(list(found.values()), LOSS.margin)
    p_below = sign_flip_p([-rise for rise in found.values()], -LOSS.margin)
    if p_below < p_above:
        return Trend(Course.STEADY, found, p_below)
    worse_from = _worse_from(shares)
    return Trend(Course.WORSE if worse_from else Course.UNCLEAR, found, p_above, worse_from)


def corrected(trends: Sequence[Trend]) -> list[Trend]:
    """The trends of models that are tested together, by the method of Benjamini and Hochberg: some become unclear."""
    p_values = iter(adjusted([trend.p_value for trend in trends if trend.p_value is not None]))
    return [trend if trend.p_value is None else _at(trend, next(p_values)) for trend in trends]


def _at(trend: Trend, p_value: float) -> Trend:
    if p_value <= FALSE_DISCOVERY_RATE:
        return replace(trend, p_value=p_value)
    return replace(trend, p_value=p_value, course=Course.UNCLEAR, worse_from=None)


def _why_not(shares: pd.DataFrame) -> str:
    """Why these losses allow no verdict, if they do not; words that follow `no verdict`."""
    seeds, depths = shares.shape
    if depths < FEWEST_DEPTHS:
        return f"from {depths} depth{'s' * (depths > 1)} (it takes {FEWEST_DEPTHS})"
    if seeds < FEWEST_PAIRS:
        return f"from {seeds} seed{'s' * (seeds != 1)} with a run at every depth (it takes {FEWEST_PAIRS})"
    if np.median(shares, axis=0).min() > 1 - LOSS.margin:
        return "where training loss is near chance level at every depth"
    return ""


def _worse_from(shares: pd.DataFrame) -> int | None:
    """The first depth from which on the median over seeds of the rise is above the margin at every depth."""
    values, depths = shares.to_numpy(), [int(depth) for depth in shares.columns]
    best = [depths.index(depth) for depth in best_depths(shares).values()]
    above = np.median(values - values[np.arange(len(values)), best][:, None], axis=0) > LOSS.margin
    worse = [depth for number, depth in enumerate(depths) if above[number:].all()]
    return worse[0] if worse else None


def _percent(share: float) -> str:
    """A share in percent: tenths of those below ten, such as `98 %`, `0.3 %` and `−1.2 %`."""
    percent = 100 * share
    digits = f"{percent:.1f}" if abs(percent) < 9.95 else f"{percent:.0f}"
    return f"{float(digits) + 0:g} %".replace("-", "−")
