"""What is measured in a run: every metric is declared here, and what is stored, shown and drawn of it follows.

A metric is added by a last field of `Metrics` with the default None, which runs stored before then have, and by the
line of `training.evaluation` that computes it for both engines.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Literal, NamedTuple, get_args, get_type_hints

from resnet_cli.settings.errors import unknown_name


@dataclass(frozen=True)
class Metric:
    """What is known of a metric beside its name and type."""

    title: str  # in figures and tables; `training …` and `test …` make a pair
    meaning: str  # for the documentation
    unit: str = ""
    better: Literal["lower", "higher"] | None = None  # the direction in which a net gets better, if there is one
    scale: Literal["log", "linear"] = "linear"  # of an axis on which it is drawn
    when: str = ""  # if it is not recorded at every evaluation: words that follow "recorded"
    in_summary: bool = True  # whether summary.csv has it

    @property
    def sign(self) -> str:
        """What stands behind a value in texts: ` %` of a percentage."""
        return " %" if self.unit.startswith("%") else ""

    @property
    def worst(self) -> float:
        """What a diverged run counts as."""
        return -math.inf if self.better == "higher" else math.inf


CLASSIFICATION = "for classification tasks only"
LOSS = "mean squared error, or cross-entropy in nats"


class Metrics(NamedTuple):
    """One evaluation: a row of metrics.csv, whose columns have this order. Losses and errors are means over examples.

    metrics.csv contains no settings, so the scheduled learning rate goes without its first word there.
    """

    epoch: Annotated[float, Metric("epoch", "passes over the training set")]
    step: Annotated[int, Metric("step", "optimiser steps")]
    scheduled_learning_rate: Annotated[
        float,
        Metric(
            "learning rate",
            "the learning rate at that step, after warm-up and schedule",
            scale="log",
            in_summary=False,
        ),
    ]
    train_loss: Annotated[float, Metric("training loss", LOSS, better="lower", scale="log")]
    test_loss: Annotated[float, Metric("test loss", LOSS, better="lower", scale="log")]
    train_error: Annotated[
        float | None, Metric("training error", "wrong answers", "% of examples", "lower", when=CLASSIFICATION)
    ]
    test_error: Annotated[
        float | None, Metric("test error", "wrong answers", "% of examples", "lower", when=CLASSIFICATION)
    ]
    gradient_norm: Annotated[
        float | None,
        Metric(
            "gradient norm",
            "Euclidean norm of the gradient of the loss on the last training batch, over all parameters",
            scale="log",
            when="after the first step",
            in_summary=False,
        ),
    ] = None


_hints = get_type_hints(Metrics, include_extras=True)
METRICS: dict[str, Metric] = {name: get_args(hint)[1] for name, hint in _hints.items()}
"""The declared metrics by name, in the order of metrics.csv."""
REQUIRED = {name for name, hint in _hints.items() if type(None) not in get_args(get_args(hint)[0])}
"""Those that every evaluation has."""
COLUMNS = {name.removeprefix("scheduled_"): name for name in METRICS}
"""The names of the metrics by column of metrics.csv."""
PAIRS = tuple(name.removeprefix("train_") for name in METRICS if f"test_{name.removeprefix('train_')}" in METRICS)
"""What is measured on training and on test examples, such as `loss`."""
OUTCOMES = [name for name, metric in METRICS.items() if metric.better]
"""Those that say how good a net is."""
OTHER_METRIC = "metric_value"
"""The column for a metric that this version does not know, in tables that also contain settings."""


def describe(metric: str) -> Metric:
    """What is known of a metric; of a pair, what both have in common."""
    if metric in PAIRS:
        return replace(METRICS[f"train_{metric}"], title=metric)
    return METRICS.get(metric) or Metric(metric.replace("_", " "), "")


def check_metric(name: str, others: Iterable[str] = ()) -> None:
    """Raise UserError unless `name` is a pair, a declared metric or among the `others` that results contain."""
    known = [*PAIRS, *METRICS, *others]
    if name not in known:
        raise unknown_name("metric", name, known)


def columns_of(metric: str, splits: Iterable[str] = ("train", "test")) -> list[str]:
    """The columns with the values of a pair for each of `splits`, or of another metric, in tables of runs."""
    if metric in PAIRS:
        return [f"{split}_{metric}" for split in splits]
    return [metric if metric in METRICS else OTHER_METRIC]
