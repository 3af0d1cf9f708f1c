"""Claims about how far residual nets can go: over 1000 layers, and few examples."""

from collections.abc import Sequence

import pandas as pd

from resnet_cli.claims.claim import (
    ERROR,
    LOSS,
    Claim,
    Comparison,
    MissingEvidence,
    Scale,
    Sweep,
    Tables,
    Trial,
)
from resnet_cli.claims.measures import RESIDUAL, by_seed, difference, ends, medians, rise, select

DEEP, THOUSAND = 110, 1000
"""The depth that He et al. compare very deep nets with, and the one that they have more of."""

ORIGINAL, PREACTIVATION = "original", "full-preactivation"

FEW, MANY = 100, 1400
"""Training examples."""


_NOT_YET = (
    "After 100 steps the training loss of these nets still falls fast. Training four times as long was tried, see the "
    "line for it."
)
_NOTHING_LEARNED = (
    "With the original ordering and more than 1000 layers, nets are as good as untrained after 100 steps, so their "
    "test error says nothing about overfitting. Overfitting was tried with 100 training examples instead."
)
_SHORT = (
    "After 100 steps the deeper nets have learned less of their training images too; He et al. (2016) trained for "
    "64,000. Both orderings were tried at 110 and 1202 layers."
)


def _of_ordering(tables: Tables, ordering: str, config: str = "deep-digits") -> tuple[pd.DataFrame, pd.DataFrame]:
    """The residual nets of 110 layers, and those of more than 1000."""
    runs = select(tables.runs(config), role=RESIDUAL, ordering=ordering)
    very_deep = runs[runs["depth"] > THOUSAND]
    if very_deep.empty:
        raise MissingEvidence(f"there are no runs of more than {THOUSAND} layers with the ordering {ordering}")
    return select(runs, depth=DEEP), very_deep


def _numbers(column: str, *parts: pd.DataFrame) -> dict[str, float]:
    runs = pd.concat(parts)
    return medians(runs, column, sorted(runs["depth"].unique()))


def _trains(scale: Scale, config: str, remark: str = "") -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        _, very_deep = _of_ordering(tables, PREACTIVATION, config)
        return [
            Comparison(
                f"nets of more than {THOUSAND} layers reach a training loss below 10 % of chance",
                LOSS,
                difference(by_seed(very_deep), 0.0),
                _numbers("train_loss", very_deep),
                side="below",
            )
        ]

    return Trial(
        scale,
        (Sweep(config),),
        "with full pre-activation, nets of more than 1000 layers reach a training loss below 10 % of chance",
        compare,
        remark,
    )


def _worse(deep: pd.DataFrame, very_deep: pd.DataFrame) -> Comparison:
    return Comparison(
        f"with the original ordering, more than {THOUSAND} layers have a higher test error than {DEEP}",
        ERROR,
        difference(by_seed(very_deep, "test_error"), by_seed(deep, "test_error")),
        _numbers("test_error", deep, very_deep),
    )


def _too_deep(tables: Tables) -> Sequence[Comparison]:
    deep, very_deep = _of_ordering(tables, ORIGINAL)
    return [
        _worse(deep, very_deep),
        Comparison(
            f"the training error of nets of more than {THOUSAND} layers is below 1 %",
            ERROR,
            difference(by_seed(very_deep, "train_error"), 0.0),
            _numbers("train_error", deep, very_deep),
            side="below",
        ),
    ]


def _depends_on_ordering(tables: Tables) -> Sequence[Comparison]:
    deep, very_deep = _of_ordering(tables, PREACTIVATION)
    return [
        _worse(*_of_ordering(tables, ORIGINAL)),
        Comparison(
            f"with full pre-activation, more than {THOUSAND} layers have a lower test error than {DEEP}",
            ERROR,
            difference(by_seed(deep, "test_error"), by_seed(very_deep, "test_error")),
            _numbers("test_error", deep, very_deep),
        ),
    ]


def _too_deep_for_few(tables: Tables) -> Sequence[Comparison]:
    runs = select(tables.runs("overfitting-digits"), role=RESIDUAL, train_size=FEW)
    _, deep = ends(runs)
    return [
        Comparison(
            f"with {FEW} training examples the test error rises from the best depth to the deepest",
            ERROR,
            rise(runs, "test_error"),
            _numbers("test_error", runs),
        ),
        Comparison(
            "the training error of the deepest nets is below 1 %",
            ERROR,
            difference(by_seed(deep, "train_error"), 0.0),
            _numbers("train_error", runs),
            side="below",
        ),
    ]


def _overfits(tables: Tables) -> Sequence[Comparison]:
    runs = select(tables.runs("overfitting-digits"), role=RESIDUAL)
    gaps, numbers = {}, {}
    for examples in (FEW, MANY):
        of_size = select(runs, train_size=examples)
        gaps[examples] = by_seed(of_size, "test_error") - by_seed(of_size, "train_error")
        numbers[f"gap with {examples} examples"] = float(gaps[examples].median())
    return [
        Comparison(
            f"test error minus training error is larger with {FEW} examples than with {MANY:,}",
            ERROR,
            difference(gaps[FEW], gaps[MANY]),
            numbers,
        )
    ]


CLAIMS = (
    Claim(
        "K14",
        "Residual nets of more than 1000 layers can be trained.",
        "Kowsik 2021, performance of ResNets; He et al. 2016, §1 and Table 4",
        (
            _trains(Scale.DIGITS, "deep-digits", _NOT_YET),
            _trains(Scale.DIGITS_LONG, "deep-digits-long"),
        ),
    ),
    Claim(
        "K15",
        "Residual nets too become worse when they are too deep for their data: they overfit.",
        "Kowsik 2021, performance of ResNets; He et al. 2015, §4.2, 1202 against 110 layers",
        (
            Trial(
                Scale.DIGITS,
                (Sweep("overfitting-digits"),),
                "with 100 training examples the test error at the deepest depth is 1 percentage point or more above "
                "that at the best, while the training error there is below 1 %",
                _too_deep_for_few,
                part="100 examples",
            ),
            Trial(
                Scale.DIGITS,
                (Sweep("deep-digits"),),
                "with the original ordering the test error with more than 1000 layers is 1 percentage point or more "
                "above that with 110, while their training error is below 1 %",
                _too_deep,
                _NOTHING_LEARNED,
                "over 1000 layers",
            ),
        ),
    ),
    Claim(
        "B4",
        "On a small data set a residual net overfits.",
        "Data Basecamp, disadvantages of ResNets",
        (
            Trial(
                Scale.DIGITS,
                (Sweep("overfitting-digits"),),
                "averaged over all depths, the test error minus the training error is 1 percentage point or more "
                "larger with 100 training examples than with 1,400",
                _overfits,
            ),
        ),
    ),
    Claim(
        "Z2",
        "With the original block, 1202 layers are worse than 110; with pre-activation, 1001 are better than fewer.",
        "Chinese notes, what ResNet does; He et al. 2015, Table 6; He et al. 2016, Table 4",
        (
            Trial(
                Scale.DIGITS,
                (Sweep("deep-digits"),),
                "the test error with more than 1000 layers is 1 percentage point or more above that with 110 with the "
                "original ordering, and as much below it with full pre-activation",
                _depends_on_ordering,
                _SHORT,
            ),
        ),
    ),
)
