from itertools import product

import numpy as np
import pandas as pd
import pytest

from resnet_cli.claims.catalogue.causes import contrast
from resnet_cli.claims.claim import MissingEvidence, Verdict
from tests.claims.made_up import CHANCE_LOSS, Case, Lists, Row, Rule, diverged, judge, runs, verdict

DEPTHS = [4, 8, 20, 40]


def degrading(*cured: object, column: str) -> Rule:
    """Nothing is learned from 20 layers on, unless a setting has one of these values."""
    return lambda row: {"train_loss": CHANCE_LOSS} if row["depth"] >= 20 and row[column] not in cured else {}


def with_rates(rule: Rule) -> Rule:
    """The same at one learning rate; at the others nothing is learned."""
    return lambda row: rule(row) if row["learning_rate"] == 0.01 else {"train_loss": CHANCE_LOSS}


def deep(*settings: tuple[float, float]) -> Rule:
    """Bad deep nets, unless dropout and weight decay are one of these."""

    def rule(row: Row) -> Row:
        bad = row["depth"] == 32 and (row["dropout"], row["weight_decay"]) not in settings
        return {"train_loss": 1.0} if bad else {}

    return rule


OPTIMISERS: Lists = {
    "role": ["plain"],
    "depth": DEPTHS,
    "optimizer": ["sgd", "momentum", "adam"],
    "learning_rate": [0.001, 0.01, 0.1],
}
REGULARISED: Lists = {"role": ["plain"], "depth": [8, 20, 32], "dropout": [0.0, 0.2], "weight_decay": [0.0, 0.001]}

CASES = [
    Case(
        "K7",
        "initialisation-sine",
        {"role": ["plain"], "depth": DEPTHS, "init": ["default", "he", "glorot"]},
        degrading("he", column="init"),
        degrading(column="init"),
    ),
    Case(
        "K7",
        "optimiser-sine",
        OPTIMISERS,
        with_rates(degrading("adam", column="optimizer")),
        with_rates(degrading(column="optimizer")),
    ),
    Case("K8", "regularisation-digits", REGULARISED, deep(), deep((0.2, 0.001))),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_trial_decides_both_ways_and_not_without_evidence(case: Case) -> None:
    case.check()


def test_an_optimiser_that_is_bad_at_every_depth_does_not_degrade() -> None:
    frame = runs(lambda row: {"train_loss": 1.0} if row["optimizer"] == "sgd" else {}, **OPTIMISERS)
    assert verdict("K7", "optimiser-sine", frame) == Verdict.NOT_SUPPORTED


def test_one_initialisation_alone_has_nothing_to_be_compared_with() -> None:
    frame = runs(role=["plain"], depth=DEPTHS, init=["default"])
    line = judge("K7", "initialisation-sine", frame)
    assert (line.verdict, line.reason) == (
        Verdict.NOT_TESTED,
        "all runs have init default, so there is nothing to compare them with",
    )


def test_the_medians_shown_are_those_of_the_best_rates() -> None:
    frame = runs(with_rates(degrading("adam", column="optimizer")), **OPTIMISERS)
    (tested,) = judge("K7", "optimiser-sine", frame).tested
    assert tested.comparison.numbers == pytest.approx(
        {
            "median training loss with optimizer adam at 20 layers": 0.01,
            "median training loss with optimizer momentum at 20 layers": 2,
            "median training loss with optimizer sgd at 20 layers": 2,
        },
        rel=0.01,
    )


def test_without_degradation_there_is_nothing_to_cure() -> None:
    line = judge("K8", "regularisation-digits", runs(deep((0.0, 0.0)), **REGULARISED))
    assert line.verdict == Verdict.NOT_SUPPORTED
    assert line.reason == (
        "it does not hold that with dropout 0 and weight decay 0 the deep plain net's training loss is above that of "
        "the shallow one with neither"
    )


def test_a_cure_that_makes_nets_diverge_is_none() -> None:
    frame = runs(deep(*product([0.0, 0.2], [0.0, 0.001])), **REGULARISED)
    assert verdict("K8", "regularisation-digits", frame) == Verdict.NOT_SUPPORTED
    assert verdict("K8", "regularisation-digits", diverged(frame, frame["depth"] == 32)) == Verdict.SUPPORTED


def table(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> pd.DataFrame:
    """Seeds by depths."""
    return pd.DataFrame(values, columns=[4 * (1 + depth) for depth in range(values.shape[1])])


def test_contrast_is_the_difference_between_the_rises() -> None:
    """Worked out by hand: group A rises by 5 from depth 4 to 12, group B by 1 from depth 8; seed 2 by 0.5 more in A."""
    first = table(np.array([[1.0, 2, 6], [1, 2, 6], [1, 2, 6.5], [1, 2, 6]]))
    second = table(np.array([[4.0, 3, 4]] * 4))
    expected = {0: 4.0, 1: 4.0, 2: 4.5, 3: 4.0}
    assert contrast({"A": [first], "B": [second]}) == pytest.approx(expected)
    assert contrast({"B": [second], "A": [first]}) == pytest.approx(expected)
    assert contrast({"A": [first + 9, first], "B": [second]}) == pytest.approx(expected)


def test_groups_that_do_not_differ_have_no_contrast_on_average() -> None:
    """Though the largest of many differences is taken: 60 times 6 seeds of noise."""
    noise = np.random.default_rng(0).normal(size=(60, 3, 2, 6, 3))
    means = [
        np.mean(list(contrast({str(name): [table(one) for one in group] for name, group in enumerate(draw)}).values()))
        for draw in noise
    ]
    assert abs(np.mean(means)) < 3 * np.std(means) / np.sqrt(len(means))


def test_contrast_takes_two_seeds_that_all_groups_have() -> None:
    first = table(np.array([[1.0, 2], [1, 2]]))
    assert contrast({"A": [first], "B": [first]}) == {0: 0, 1: 0}
    with pytest.raises(MissingEvidence, match="two seeds and two depths"):
        contrast({"A": [first], "B": [first.iloc[:1]]})
