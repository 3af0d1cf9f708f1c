import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_cli.claims import all_claims
from resnet_cli.claims.catalogue.depth import IMAGES
from resnet_cli.claims.claim import Scale, Verdict
from resnet_cli.claims.measures import select
from resnet_cli.evidence.tables import StoredTables, reference_results
from tests.claims.made_up import CHANCE_LOSS, Case, Row, Rule, diverged, judge, runs, trial_of, verdict

DEPTHS = range(8, 57, 6)


def turning_at(depth: int) -> Rule:
    """Learns best at a depth, little with two layers, and nothing beyond 24."""

    def rule(row: Row) -> Row:
        away = abs(row["depth"] - depth)
        return {"train_loss": 0.01 * (1 + away) if 2 < row["depth"] <= 24 else CHANCE_LOSS}

    return rule


def from_depth(depth: int, **values: float) -> Rule:
    """Other values from a depth on."""
    return lambda row: values if row["depth"] >= depth else {}


def up_to(depth: int, **values: float) -> Rule:
    """Other values up to a depth."""
    return lambda row: values if row["depth"] <= depth else {}


def unchanged(row: Row) -> Row:
    return {}


PLAIN = {"role": ["plain"], "depth": DEPTHS}
RESIDUAL = {"role": ["residual"], "depth": DEPTHS}

CASES = [
    Case("K1", "sine", {"role": ["plain"], "depth": range(2, 41)}, turning_at(8), turning_at(12)),
    Case("K2", "sine", RESIDUAL, unchanged, from_depth(44, train_loss=0.3)),
    Case(
        "K3",
        "digits",
        PLAIN,
        from_depth(32, train_error=20, test_error=22),
        from_depth(32, test_error=22),
    ),
    Case("K10", "digits", RESIDUAL, up_to(14, train_error=20, test_error=22), up_to(14, train_error=20)),
    Case(
        "K10",
        "sine",
        {"role": ["residual"], "depth": range(2, 41)},
        up_to(2, train_loss=0.3, test_loss=0.3),
        up_to(2, train_loss=0.3, test_loss=0.1),
    ),
    Case("G1", "digits", PLAIN, from_depth(32, train_loss=0.3), from_depth(32, train_loss=0.15)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_trial_decides_both_ways_and_not_without_evidence(case: Case) -> None:
    case.check()


@pytest.mark.parametrize(("claim", "sweeps"), [("K3", 4), ("K10", 6), ("G1", 6)])
def test_images_are_judged_alike_at_every_scale(claim: str, sweeps: int) -> None:
    trials = all_claims()[claim].trials
    assert len({trial.where for trial in trials}) == len(trials) == sweeps
    assert len({trial.effect for trial in trials if trial.scale != Scale.SINE}) == 1
    for config, scale in IMAGES.items():
        assert trial_of(claim, config).scale == scale


def test_a_plain_mlp_without_a_rise_does_not_turn() -> None:
    frame = runs(
        lambda row: {"train_loss": CHANCE_LOSS if row["depth"] == 2 else 0.01 * (1 + abs(row["depth"] - 7) / 40)},
        role=["plain"],
        depth=range(2, 41),
    )
    line = judge("K1", "sine", frame)
    assert line.verdict == Verdict.NOT_SUPPORTED
    assert line.reason == "it does not hold that the plain net's training loss rises from its best depth to its deepest"


def test_what_is_remarked_about_the_turn_is_so() -> None:
    tables = StoredTables(reference_results())
    frame = select(pd.concat([tables.runs("sine"), tables.runs("sine-again")]), role="plain")
    for column in ("train_loss", "test_loss"):
        best = frame.sort_values(column).groupby("seed")["depth"].first()
        assert (len(best), best.min(), best.max()) == (20, 7, 21)
    shares = (frame["train_loss"] / frame["chance_loss"]).groupby(frame["depth"]).median()
    assert shares.loc[4:16].max() < 0.003


def test_the_first_of_equally_good_depths_is_the_best() -> None:
    frame = runs(from_depth(30, train_loss=CHANCE_LOSS), role=["plain"], depth=range(2, 41))
    fall, rise, not_later, not_earlier = judge("K1", "sine", frame).tested
    assert fall.mean == pytest.approx(0, abs=1e-6)
    assert rise.mean == pytest.approx(1, abs=0.01)
    assert not_later.comparison.differences == not_earlier.comparison.differences == dict.fromkeys(range(8), -5)
    assert (not_later.p_for, not_earlier.p_against) == (1 / 256, 1 / 256)


def test_the_best_depths_of_seeds_may_scatter_around_seven() -> None:
    def rule(row: Row) -> Row:
        return turning_at(6 + row["seed"] % 3)(row)

    assert verdict("K1", "sine", runs(rule, role=["plain"], depth=range(2, 41))) == Verdict.SUPPORTED


def test_diverged_runs_count_as_chance() -> None:
    frame = runs(role=["plain", "residual"], depth=DEPTHS)
    frame = diverged(frame, frame["depth"] >= 44)
    assert verdict("K2", "digits", frame) == Verdict.NOT_SUPPORTED
    assert verdict("K3", "digits", frame) == Verdict.SUPPORTED
    assert verdict("G1", "digits", frame) == Verdict.SUPPORTED
    rise = judge("K2", "digits", frame).tested[0]
    assert rise.mean == pytest.approx(1 - 0.005, abs=0.001)
    assert rise.comparison.numbers["median training loss at 56 layers"] == float("inf")


def test_a_gain_of_exactly_the_margin_decides_nothing() -> None:
    frame = runs(up_to(8, train_error=1, test_error=3), depth=[8, 20], seed=range(8))
    frame[["train_error", "test_error"]] = frame[["train_error", "test_error"]].round()
    assert verdict("K10", "digits", frame) == Verdict.UNDECIDED


def test_nets_between_20_and_30_layers_are_neither_easy_nor_hard() -> None:
    def rule(row: Row) -> Row:
        return {"train_loss": CHANCE_LOSS} if row["depth"] in (21, 30) else {}

    frame = runs(rule, role=["plain"], depth=[20, 21, 30, 31])
    assert verdict("G1", "digits", frame) == Verdict.NOT_SUPPORTED
    assert judge("G1", "digits", frame).tested[0].mean == pytest.approx(0)
    assert verdict("G1", "digits", frame[frame["depth"] < 31]) == Verdict.NOT_TESTED


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 80), min_size=8, max_size=8), st.booleans())
def test_all_seeds_beyond_the_margin_decide(gains: list[float], better: bool) -> None:
    """Eight seeds on one side of the margin have a p-value of 1/256, however far they are from it."""

    def rule(row: Row) -> Row:
        gain = 1.5 + gains[row["seed"]] if better else 0.5 - gains[row["seed"]]
        shallow = {"train_error": max(0.0, gain), "test_error": max(0.0, gain)}
        return shallow if row["depth"] == 8 else {"train_error": max(0.0, -gain), "test_error": max(0.0, -gain)}

    line = judge("K10", "digits", runs(rule, depth=[8, 20]))
    assert line.verdict == (Verdict.SUPPORTED if better else Verdict.NOT_SUPPORTED)


def test_a_remark_stands_where_the_claim_is_not_confirmed() -> None:
    case = next(case for case in CASES if (case.claim, case.config) == ("K10", "digits"))
    assert judge("K10", "digits", runs(case.false, **case.lists)).remark.startswith("By the median, nets of 8 layers")
    assert judge("K10", "digits", runs(case.true, **case.lists)).remark == ""
