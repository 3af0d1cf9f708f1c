import pytest

from resnet_cli.claims.claim import Verdict
from tests.claims.made_up import CHANCE_LOSS, Case, Lists, Row, Rule, diverged, judge, runs, verdict

DEEP: Lists = {"depth": [110, 1202], "ordering": ["original", "full-preactivation"]}
FEW: Lists = {"depth": [8, 20, 68], "train_size": [100, 1400]}


def over_1000(values: dict[str, Row]) -> Rule:
    """Other values with more than 1000 layers, by ordering."""
    return lambda row: values.get(row["ordering"], {}) if row["depth"] > 1000 else {}


def with_few(shallow: Row, deep: Row) -> Rule:
    """Other values with 100 examples, for nets of 8 and of 68 layers."""

    def rule(row: Row) -> Row:
        return {8: shallow, 68: deep}.get(row["depth"], {}) if row["train_size"] == 100 else {}

    return rule


CASES = [
    Case("K14", "deep-digits", DEEP, over_1000({}), over_1000({"full-preactivation": {"train_loss": 0.3}})),
    Case(
        "K15",
        "deep-digits",
        DEEP,
        over_1000({"original": {"test_error": 4.0}}),
        over_1000({"original": {"test_error": 4.0, "train_error": 4.0}}),
    ),
    Case("K15", "overfitting-digits", FEW, with_few({}, {"test_error": 4.0}), with_few({"test_error": 4.0}, {})),
    Case(
        "Z2",
        "deep-digits",
        DEEP,
        over_1000({"original": {"test_error": 4.0}, "full-preactivation": {"test_error": 0.5}}),
        over_1000({"original": {"test_error": 4.0}, "full-preactivation": {"test_error": 1.5}}),
    ),
    Case(
        "B4",
        "overfitting-digits",
        FEW,
        with_few({"test_error": 9.0}, {"test_error": 9.0}),
        with_few({"test_error": 3.0}, {"test_error": 3.0}),
    ),
]


@pytest.mark.parametrize("case", [case for case in CASES if case.claim != "B4"], ids=str)
def test_a_trial_decides_both_ways_and_not_without_evidence(case: Case) -> None:
    case.check()


def test_overfitting_shows_in_the_gap_between_the_errors() -> None:
    case = CASES[-1]
    true, false = runs(case.true, **FEW), runs(case.false, **FEW)
    assert verdict("B4", "overfitting-digits", true) == Verdict.SUPPORTED
    assert verdict("B4", "overfitting-digits", false) == Verdict.NOT_SUPPORTED
    assert verdict("B4", "overfitting-digits", true[true["seed"] == 0]) == Verdict.UNDECIDED
    assert verdict("B4", "overfitting-digits", true[true["train_size"] == 100]) == Verdict.NOT_TESTED
    assert judge("B4", "overfitting-digits", true).tested[0].mean == pytest.approx(2 / 3 * 7)


def test_nets_that_learn_nothing_do_not_overfit() -> None:
    frame = runs(with_few({"train_error": 90.0, "test_error": 90.0}, {}), **FEW)
    assert verdict("B4", "overfitting-digits", frame) == Verdict.NOT_SUPPORTED


def test_a_thousand_layers_that_diverge_are_not_trained() -> None:
    frame = runs(**DEEP)
    frame = diverged(frame, frame["depth"] > 1000)
    line = judge("K14", "deep-digits", frame)
    assert (line.verdict, line.tested[0].mean) == (Verdict.NOT_SUPPORTED, 1)
    frame = runs(over_1000({"original": {"train_loss": CHANCE_LOSS}}), **DEEP)
    assert verdict("K14", "deep-digits", frame) == Verdict.SUPPORTED


def test_without_runs_of_over_1000_layers_it_says_so() -> None:
    frame = runs(depth=[56, 110], ordering=["original", "full-preactivation"])
    for claim in ("K14", "K15", "Z2"):
        line = judge(claim, "deep-digits", frame)
        assert line.verdict == Verdict.NOT_TESTED
        assert line.reason.startswith("there are no runs of more than 1000 layers with the ordering ")


def test_worse_for_lack_of_training_is_not_overfitting() -> None:
    line = judge("K15", "overfitting-digits", runs(with_few({}, {"train_error": 5.0, "test_error": 9.0}), **FEW))
    assert line.verdict == Verdict.NOT_SUPPORTED
    assert line.reason == ("it does not hold that the training error of the deepest nets is below 1 %")
