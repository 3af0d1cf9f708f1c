from collections.abc import Callable, Iterable
from math import inf, nan

import pytest

from resnet_cli.claims.claim import Scale, Verdict
from tests.claims.made_up import MadeUp, Row, diverged
from tests.claims.made_up_analyses import Evidence, check, jitter, judged, nets

LEVELS = (1.0, 0.2, 0.02)
PLAIN_STEPS = 100.0


def racing(share: float, reached: Callable[[Row, float], bool] = lambda run, level: True) -> Evidence:
    """Residual nets that take this share of the 100 steps of plain ones, of 200 in all, where the level is reached."""

    def measure(run: Row) -> Iterable[Row]:
        for level in LEVELS:
            step = PLAIN_STEPS * (share * jitter(run["seed"]) if run["role"] == "residual" else 1)
            yield {"level": level, "step": step if reached(run, level) else nan}

    return Evidence("digits", "convergence", nets(depth=[8, 20]), measure)


def test_b2_residual_nets_need_fewer_steps() -> None:
    check("B2", Scale.DIGITS, racing(0.5), racing(0.95), racing(1.0), racing(1.5))


def test_b2_counts_in_shares_of_the_plain_nets_steps() -> None:
    (tested,) = judged("B2", Scale.DIGITS, racing(0.5).tables()).tested
    assert tested.mean == pytest.approx(1 - 0.5 * 1.0035, abs=1e-5)
    assert tested.comparison.numbers["steps to a loss of 0.02, residual over plain"] == pytest.approx(
        0.5 * 1.0035, abs=1e-5
    )


def test_b2_depths_at_which_most_plain_nets_never_arrive_do_not_count() -> None:
    evidence = racing(1.5, lambda run, level: run["role"] == "residual" or run["depth"] == 8 or run["seed"] < 4)
    (tested,) = judged("B2", Scale.DIGITS, evidence.tables()).tested
    assert tested.mean == pytest.approx(-0.505, abs=0.01)


def test_b2_a_single_net_that_never_arrives_took_the_longest_training() -> None:
    """The geometric mean of 1/2 at one depth and 50 of 200 steps at the other."""
    evidence = racing(0.5, lambda run, level: run["role"] == "residual" or run["depth"] == 8 or run["seed"] > 0)
    (tested,) = judged("B2", Scale.DIGITS, evidence.tables()).tested
    assert tested.comparison.differences[0] == pytest.approx(1 - (0.5 * 0.25) ** 0.5)
    assert tested.comparison.differences[1] == pytest.approx(1 - 0.5005)


@pytest.mark.parametrize("role", ["plain", "residual"])
def test_b2_without_a_level_that_both_reach_nothing_is_compared(role: str) -> None:
    line = judged("B2", Scale.DIGITS, racing(0.5, lambda run, level: run["role"] == role).tables())
    assert (line.verdict, line.reason) == (Verdict.NOT_TESTED, "there is no loss that both nets of some depth reach")
    evidence = racing(0.5)
    alone = judged("B2", Scale.DIGITS, evidence.tables(lambda table: table["model"] == f"{role}-net"))
    assert alone.verdict == Verdict.NOT_TESTED


def generalising(plain: float, residual: float, plain_train: float = 0.0) -> MadeUp:
    """Test errors of nets of 8 and 20 layers; at 56 the plain net learns nothing and the residual one everything."""

    def rule(row: Row) -> Row:
        if row["role"] == "residual":
            return {"train_error": 0.0, "test_error": residual}
        if row["depth"] == 56:
            return {"train_error": 90.0, "test_error": 90.0}
        return {"train_error": plain_train, "test_error": plain}

    return MadeUp({"digits": nets(rule, depth=[8, 20, 56])})


def test_b5_compares_test_errors_of_twins_without_training_error() -> None:
    def found(plain: float, residual: float) -> Verdict:
        return judged("B5", Scale.DIGITS, generalising(plain, residual)).verdict

    assert found(4.0, 2.0) == Verdict.SUPPORTED
    assert found(2.5, 2.0) == Verdict.NOT_SUPPORTED
    assert found(2.0, 2.0) == Verdict.NOT_SUPPORTED
    assert found(2.0, 4.0) == Verdict.NOT_SUPPORTED


def test_b5_shows_means_over_the_pairs_that_count() -> None:
    line = judged("B5", Scale.DIGITS, generalising(4.0, 2.0))
    assert [one.mean for one in line.tested] == pytest.approx([2.0, 2.0], abs=0.02)
    assert line.tested[0].comparison.numbers["pairs of nets"] == 16


def test_b5_where_training_errors_differ_nothing_is_compared() -> None:
    line = judged("B5", Scale.DIGITS, generalising(4.0, 2.0, plain_train=0.5))
    assert (line.verdict, line.reason) == (Verdict.NOT_TESTED, "no pair of nets has a training error below 0.5 %")


def test_b5_takes_seeds_and_both_nets() -> None:
    frame = generalising(4.0, 2.0).runs("digits")
    for few, expected in ((4, Verdict.UNDECIDED), (1, Verdict.UNDECIDED), (0, Verdict.NOT_TESTED)):
        assert judged("B5", Scale.DIGITS, MadeUp({"digits": frame[frame["seed"] < few]})).verdict == expected
    for role in ("plain", "residual"):
        alone = frame[frame["role"] == role]
        assert judged("B5", Scale.DIGITS, MadeUp({"digits": alone})).verdict == Verdict.NOT_TESTED
    lost = diverged(frame, frame["role"] == "residual")
    assert judged("B5", Scale.DIGITS, MadeUp({"digits": lost})).verdict == Verdict.NOT_TESTED


def transferring(plain: float, residual: float, scratch: float) -> Evidence:
    """Test errors on new classes after training; at its start all are at chance."""

    def measure(run: Row) -> Iterable[Row]:
        for examples in (10, 50):
            for start in ("transferred", "scratch"):
                error = scratch if start == "scratch" else residual if run["role"] == "residual" else plain
                for step in (0, 100):
                    yield {
                        **{"examples": examples, "start": start, "step": step, "train_loss": 0.1, "test_loss": 0.1},
                        "test_error": (error + (0.01 * run["seed"] if start == "scratch" else 0)) if step else 90.0,
                    }

    return Evidence("transfer-digits", "transfer", nets(depth=[8, 20]), measure)


def test_b6_beats_transferred_plain_nets_and_training_from_scratch() -> None:
    check(
        "B6",
        Scale.DIGITS,
        transferring(10, 5, 15),
        transferring(5.5, 5, 15),
        transferring(10, 5, 5.5),
        transferring(5, 10, 15),
        transferring(10, 5, 3),
    )


def test_b6_shows_means_over_depths_and_numbers_of_examples() -> None:
    line = judged("B6", Scale.DIGITS, transferring(10, 5, 15).tables())
    assert [one.mean for one in line.tested] == pytest.approx([5, 10], abs=0.05)
    assert line.tested[0].comparison.numbers == pytest.approx(
        {"residual, transferred": 5, "plain, transferred": 10, "residual, from scratch": 15}, abs=0.05
    )


@pytest.mark.parametrize("loss", [nan, inf])
def test_b6_a_training_that_diverges_ends_at_chance(loss: float) -> None:
    evidence = transferring(10, 5, 15)

    def measure(run: Row) -> Iterable[Row]:
        for row in evidence.measure(run):
            lost = run["role"] == "plain" and row["start"] == "transferred" and row["step"]
            yield row | ({"train_loss": loss} if lost else {})

    lost = Evidence("transfer-digits", "transfer", evidence.frame, measure)
    (of_plain, _) = judged("B6", Scale.DIGITS, lost.tables()).tested
    assert of_plain.mean == pytest.approx(85)


def test_b6_takes_nets_from_scratch() -> None:
    evidence = transferring(10, 5, 15)
    line = judged("B6", Scale.DIGITS, evidence.tables(lambda table: table["start"] == "transferred"))
    assert (line.verdict, line.reason) == (Verdict.NOT_TESTED, "there is no net scratch residual")
