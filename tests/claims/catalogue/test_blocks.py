from statistics import fmean

import pandas as pd
import pytest

from resnet_cli.claims.claim import Verdict
from resnet_cli.models.base import linear_decay
from tests.claims.made_up import Case, Lists, Row, Rule, diverged, judge, runs, verdict

ORDERINGS = ["original", "norm-after-addition", "full-preactivation"]


def losing(*blocks: int | None) -> Rule:
    """Deep nets with these numbers of layers in a block learn little, None for plain ones."""

    def rule(row: Row) -> Row:
        layers = row["block_size"] if row["role"] == "residual" else None
        return {"train_loss": 1.5} if row["depth"] >= 49 and layers in blocks else {}

    return rule


def deep_with(values: Row, **settings: object) -> Rule:
    """Other values for deep nets with these settings."""

    def rule(row: Row) -> Row:
        return values if row["depth"] > 30 and all(row[name] == one for name, one in settings.items()) else {}

    return rule


def every(*rules: Rule) -> Rule:
    """All of these, the last one first."""
    return lambda row: {name: value for rule in rules for name, value in rule(row).items()}


BLOCKS: Lists = {"role": ["plain", "residual"], "block_size": [1, 2, 3]}
ORDERED: Lists = {"depth": [20, 56], "ordering": ORDERINGS}
DROPPED: Lists = {"depth": [8, 32], "dropout": [0.0, 0.2], "weight_decay": [0.0, 0.001]}
STOCHASTIC: Lists = {"depth": [20, 56], "survival": [1.0, 0.5]}

CASES = [
    *(
        Case("K9", f"block-size-{task}", {**BLOCKS, "depth": [5, 25, layers]}, losing(None, 1), losing(None))
        for task, layers in {"sine": 49, "digits": 56}.items()
    ),
    *(
        Case(
            "K13",
            config,
            {**ORDERED, "depth": [20, layers]},
            every(*(deep_with({"test_error": 3.5}, ordering=one) for one in ORDERINGS[:2])),
            deep_with({"test_error": 3.5}, ordering="original"),
        )
        for config, layers in {"orderings-digits": 56, "orderings-deep": 110, "deep-digits": 1202}.items()
    ),
    Case(
        "B3",
        "regularisation-digits",
        DROPPED,
        deep_with({"test_error": 1.5}, dropout=0.2),
        deep_with({"test_error": 4.0}, dropout=0.2),
    ),
    *(
        Case(
            "Z5",
            config,
            {**STOCHASTIC, "depth": [20, layers]},
            deep_with({"test_error": 0.5}, survival=0.5),
            deep_with({"test_error": 1.5}, survival=0.5),
        )
        for config, layers in {"stochastic-depth-digits": 56, "stochastic-depth-deep": 110}.items()
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_trial_decides_both_ways_and_not_without_evidence(case: Case) -> None:
    case.check()


def test_a_skip_over_two_layers_must_gain_too() -> None:
    line = judge("K9", "block-size-sine", runs(losing(None, 1, 2), **BLOCKS, depth=[5, 49]))
    assert line.verdict == Verdict.NOT_SUPPORTED
    assert line.reason == (
        "it does not hold that a skip over two layers lowers the plain net's training loss by 10 % of chance or more"
    )


def test_shallow_nets_say_nothing_about_very_deep_ones() -> None:
    def rule(row: Row) -> Row:
        return {"test_error": 30.0} if row["depth"] == 20 and row["ordering"] != "full-preactivation" else {}

    assert verdict("K13", "orderings-digits", runs(rule, **ORDERED)) == Verdict.NOT_SUPPORTED


def test_orderings_that_diverge_are_worse() -> None:
    frame = runs(**ORDERED)
    frame = diverged(frame, (frame["ordering"] != "full-preactivation") & (frame["depth"] == 56))
    line = judge("K13", "orderings-digits", frame)
    assert line.verdict == Verdict.SUPPORTED
    assert [round(one.mean) for one in line.tested] == [88, 88]


def test_nets_with_dropout_that_do_not_learn_are_no_success() -> None:
    rule = deep_with({"train_loss": 0.5, "test_error": 1.0}, dropout=0.2, weight_decay=0.0)
    line = judge("B3", "regularisation-digits", runs(rule, **DROPPED))
    assert line.verdict == Verdict.NOT_SUPPORTED
    assert line.reason.endswith("the deep residual net learns: its training loss is below 10 % of chance")


def test_dropout_is_judged_without_weight_decay() -> None:
    rule = deep_with({"train_loss": 2.0, "test_error": 90.0}, weight_decay=0.001)
    assert verdict("B3", "regularisation-digits", runs(rule, **DROPPED)) == Verdict.SUPPORTED


def test_the_share_of_blocks_that_a_step_leaves_out_is_that_of_their_survival_probabilities() -> None:
    (fact,) = judge("Z5", "stochastic-depth-digits", runs(**STOCHASTIC)).facts
    assert fact.holds
    expected = fmean(1 - linear_decay(block, 27, 0.5) for block in range(1, 28))
    assert fact.numbers["expected share of blocks that a step leaves out"] == pytest.approx(expected)


def test_a_depth_that_one_side_lacks_is_missing() -> None:
    frame = runs(**STOCHASTIC)
    lacking = frame[(frame["survival"] == 1) | (frame["depth"] < 56)]
    line = judge("Z5", "stochastic-depth-digits", pd.DataFrame(lacking))
    assert (line.verdict, line.reason) == (Verdict.NOT_TESTED, "no rows with survival 0.5")
