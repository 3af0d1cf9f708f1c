"""The turning point: the depth from which more layers make a model worse.

The loss is a noisy function of depth: on the sine, seeds of one depth differ by a factor of twenty and medians of
neighbouring depths by a factor of five. So one deep outlier is not a turning point, a lucky minimum is not a baseline,
and a rise must be larger than the differences between seeds.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

import pandas as pd

from resnet_cli.settings.metrics import CLASSIFICATION, METRICS

LEAST_MARGIN = 2.0
"""For squared errors, which span several orders of magnitude."""

LEAST_MARGIN_OF_CLASSIFICATION = 1.2
"""For cross-entropy, which starts close to its worst: ln 10 = 2.3 is the chance level for ten classes."""

FEWEST_DEPTHS = 3


@dataclass(frozen=True)
class TurningPoint:
    """How one model's loss depends on depth; losses are medians over seeds, infinite where most runs diverged.

    From depth `worse_from` on, the loss stays above `margin` times its level at the best depth; None if there is no
    such depth. `depths` is the number of depths that have a loss; with fewer than three, none can be a turning point.
    `seeds` is the largest number of seeds at a depth.
    """

    model: str
    depths: int
    seeds: int
    best_depth: int
    best_loss: float
    deepest_depth: int
    deepest_loss: float
    margin: float
    worse_from: int | None

    @property
    def ratio(self) -> float:
        """The loss at the largest depth as a multiple of the lowest loss."""
        if self.deepest_loss == self.best_loss:
            return 1.0
        return self.deepest_loss / self.best_loss if self.best_loss else math.inf

    def sentence(self) -> str:
        """The finding in words, such as `plain-mlp: no turning point up to depth 40; …`; one seed gives no verdict."""
        if math.isinf(self.best_loss):
            return f"{self.model}: every depth diverged, so no turning point can be named."
        if self.depths < FEWEST_DEPTHS:
            count = "1 depth" if self.depths == 1 else f"{self.depths} depths"
            return f"{self.model}: no turning point can be named from {count}; it takes {FEWEST_DEPTHS}."
        one = self.seeds == 1
        start = "with one seed, " if one else ""
        lowest = f"{start}training loss is lowest at depth {self.best_depth} ({self.best_loss:.2g})"
        if math.isinf(self.ratio):
            deepest = "diverged" if math.isinf(self.deepest_loss) else f"{self.deepest_loss:.2g}"
        else:
            deepest = f"×{_short(self.ratio)}"
        if self.worse_from is not None:
            margin = "twice" if self.margin == 2 else f"{_short(self.margin)} times"
            return (
                f"{self.model}: {lowest} and stays above {margin} its level there from depth "
                f"{self.worse_from} on ({deepest} at depth {self.deepest_depth}){'' if one else ': it degrades'}."
            )
        end = f", {deepest} at depth {self.deepest_depth}" if self.best_depth < self.deepest_depth else ""
        verdict = "" if one else f"no turning point up to depth {self.deepest_depth}; "
        return f"{self.model}: {verdict}{lowest}{end}."


def is_classification(runs: pd.DataFrame) -> bool:
    """Whether a table of runs has what is recorded for classification tasks only."""
    names = [name for name, metric in METRICS.items() if metric.when == CLASSIFICATION]
    return bool(runs.filter(items=names).notna().any(axis=None))


def turning_points(summary: pd.DataFrame) -> list[TurningPoint]:
    """The turning point of each model in a summary: the depth from which on its training loss has risen for good.

    There is a turning point if, over at least the deepest sixth of the depths, the loss stays above a margin times its
    level at the best depth. The level is the median over the best depth and the sixth of the depths on one side of it,
    whichever side is lower. The margin is 2 on a regression task and 1.2 on a classification task, or the median over
    depths of the ratio of the upper to the lower quartile over seeds, if that is larger.

    Args:
        summary: one row per run, with at least `model`, `depth`, `status`, `train_loss` and errors. Runs that differ in
            another setting count as further seeds, so separate them first. Diverged runs count as infinitely bad,
            failed ones not at all.

    Returns:
        One for each model that has a loss, in the order of the summary.
    """
    losses = summary["train_loss"].astype(float).mask(summary["status"] == "diverged", math.inf)
    runs = summary.assign(loss=losses)[summary["status"] != "failed"].dropna(subset=["loss"])
    points = []
    for model, of_model in runs.groupby("model", sort=False):
        medians = of_model.groupby("depth")["loss"].median()
        by_depth = dict(zip(medians.index.tolist(), medians.tolist(), strict=True))
        seeds = int(of_model.groupby("depth").size().max())
        points.append(_turning_point(str(model), by_depth, seeds, _margin(of_model)))
    return points


def _margin(runs: pd.DataFrame) -> float:
    least = LEAST_MARGIN_OF_CLASSIFICATION if is_classification(runs) else LEAST_MARGIN
    by_depth = runs[(runs["loss"] > 0) & (runs["loss"] < math.inf)].groupby("depth")["loss"]
    ratios = (by_depth.quantile(0.75) / by_depth.quantile(0.25))[by_depth.size() > 1]
    return max(least, float(ratios.median())) if len(ratios) else least


def _turning_point(model: str, by_depth: Mapping[int, float], seeds: int, margin: float) -> TurningPoint:
    depths, losses = list(by_depth), list(by_depth.values())
    sixth = len(losses) // 6
    best = max(i for i, loss in enumerate(losses) if loss == min(losses))
    level = min(median(losses[max(0, best - sixth) : best + 1]), median(losses[best : best + sixth + 1]))
    worse = len(losses)
    while worse > best + 1 and losses[worse - 1] > margin * level:
        worse -= 1
    stays = len(losses) - worse >= max(1, sixth) and len(losses) >= FEWEST_DEPTHS
    return TurningPoint(
        model=model,
        depths=len(depths),
        seeds=seeds,
        best_depth=depths[best],
        best_loss=losses[best],
        deepest_depth=depths[-1],
        deepest_loss=losses[-1],
        margin=margin,
        worse_from=depths[worse] if stays else None,
    )


def _short(number: float) -> str:
    return f"{float(f'{number:.2g}'):g}"
