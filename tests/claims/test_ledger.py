"""Verdicts on made-up tables with a known answer, both ways and at the edge."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from resnet_cli.claims.claim import (
    ERROR,
    LOSS,
    Analysis,
    Claim,
    Comparison,
    Fact,
    MissingEvidence,
    Scale,
    Sweep,
    Trial,
    Verdict,
)
from resnet_cli.claims.ledger import Line, by_verdict, examine, make_ledger
from resnet_cli.claims.statistics import FEWEST_PAIRS


class NoTables:
    """The claims of this file bring their own numbers."""

    def runs(self, config: str) -> pd.DataFrame:
        raise MissingEvidence(f"there are no runs of {config}")

    def analysis(self, kind: str, config: str | None = None) -> pd.DataFrame:
        raise MissingEvidence(f"there is no {kind}")


def claim(*found: Comparison | Fact, name: str = "K1") -> Claim:
    return claim_of(lambda tables: found, name)


def claim_of(compare: Callable[[Any], Sequence[Comparison | Fact]], name: str = "K1") -> Claim:
    return Claim(name, "It is so.", "made up", (Trial(Scale.SINE, (Sweep("sine"),), "more than nothing", compare),))


def compared(value: float, seeds: int = 10, **options: Any) -> Comparison:
    """Differences around a value, each another."""
    return Comparison("it is larger", LOSS, {seed: value + 0.001 * seed for seed in range(seeds)}, **options)


def judged(*claims: Claim) -> list[Line]:
    return make_ledger(claims, NoTables())


def verdict(*found: Comparison | Fact) -> Verdict:
    (line,) = judged(claim(*found))
    return line.verdict


def test_an_effect_beyond_the_margin_decides_either_way() -> None:
    assert verdict(compared(0.5)) is Verdict.SUPPORTED
    assert verdict(compared(0.05)) is Verdict.NOT_SUPPORTED, "there is a difference, but it does not count"
    assert verdict(compared(-0.5)) is Verdict.NOT_SUPPORTED
    assert verdict(compared(0.05, side="below")) is Verdict.SUPPORTED
    assert verdict(compared(0.5, side="below")) is Verdict.NOT_SUPPORTED


def test_an_effect_on_the_margin_is_undecided() -> None:
    (line,) = judged(claim(Comparison("it is larger", LOSS, dict.fromkeys(range(10), LOSS.margin))))
    assert (line.verdict, line.p_value, line.reason) == (
        Verdict.UNDECIDED,
        1.0,
        "the seeds do not tell the claim from its opposite",
    )


@pytest.mark.parametrize("seeds", [0, 1, 2, 4])
def test_few_seeds_decide_nothing(seeds: int) -> None:
    (line,) = judged(claim(compared(0.9, seeds)))
    assert line.verdict is Verdict.UNDECIDED
    assert line.reason == f"too few seeds: {seeds}, and it takes {FEWEST_PAIRS} or more"


def test_all_comparisons_must_hold() -> None:
    """The weakest decides for the claim; one that fails is enough against it, corrected for the choice."""
    assert verdict(compared(0.5), compared(0.3)) is Verdict.SUPPORTED
    assert verdict(compared(0.5), compared(0.0)) is Verdict.NOT_SUPPORTED
    assert verdict(compared(0.5), compared(0.5, 3)) is Verdict.UNDECIDED
    (line,) = judged(claim(compared(0.5), Comparison("it is larger too", ERROR, dict.fromkeys(range(10), 0.2))))
    assert line.reason == "it does not hold that it is larger too"
    assert line.p_value == 2 / 2**10


def test_facts_hold_or_do_not() -> None:
    true, false = Fact("one is one", True), Fact("one is two", False)
    (line,) = judged(claim(true))
    assert (line.verdict, line.p_value, line.reason) == (Verdict.SUPPORTED, None, "it holds exactly")
    (line,) = judged(claim(true, false, compared(0.9)))
    assert (line.verdict, line.reason) == (Verdict.NOT_SUPPORTED, "it does not hold that one is two")
    assert verdict(true, compared(0.9)) is Verdict.SUPPORTED


def test_what_lacks_evidence_is_not_tested() -> None:
    (line,) = judged(claim_of(lambda tables: [compared(tables.runs("sine")["train_loss"])]))
    assert (line.verdict, line.reason, line.tested) == (Verdict.NOT_TESTED, "there are no runs of sine", ())


def test_many_claims_raise_the_bar() -> None:
    """What stands alone may not stand among twenty that say nothing."""
    assert judged(claim(compared(0.9, 7)))[0].adjusted == 1 / 2**7
    assert judged(claim(compared(0.9, 7)))[0].verdict is Verdict.SUPPORTED
    nothing = [
        claim(Comparison("it is larger", LOSS, dict.fromkeys(range(10), LOSS.margin)), name=f"K{number}")
        for number in range(2, 22)
    ]
    assert judged(claim(compared(0.9, 10)), *nothing)[0].verdict is Verdict.SUPPORTED
    line = judged(claim(compared(0.9, 7)), *nothing)[0]
    assert line.p_value == 1 / 2**7
    assert line.verdict is Verdict.UNDECIDED


def test_claims_that_say_nothing_are_rarely_decided() -> None:
    """Symmetric noise about the margin, two hundred times."""
    generator = np.random.default_rng(0)
    noise = [LOSS.margin + generator.normal(0, 0.1, 8) for _ in range(200)]
    counted = by_verdict(judged(*(claim(Comparison("it is so", LOSS, dict(enumerate(values)))) for values in noise)))
    assert counted[Verdict.SUPPORTED] + counted[Verdict.NOT_SUPPORTED] == 0
    assert counted[Verdict.UNDECIDED] == 200


def test_an_examined_comparison_carries_its_numbers() -> None:
    tested = examine(Comparison("it is larger", LOSS, {3: 0.4, 1: 0.2, 2: 0.3}))
    assert tested.pairs == 3
    assert tested.mean == pytest.approx(0.3)
    assert tested.low <= tested.mean <= tested.high
    assert (tested.p_for, tested.p_against) == (1 / 8, 1.0)
    below = examine(Comparison("it is lower", LOSS, {3: 0.4, 1: 0.2, 2: 0.3}, side="below"))
    assert (below.p_for, below.p_against) == (1.0, 1 / 8)


@pytest.mark.parametrize("error", [KeyError("train_loss"), TypeError("text"), ValueError("no number")])
def test_a_table_changed_by_hand_is_no_evidence(error: Exception) -> None:
    def compare(tables: Any) -> Sequence[Comparison | Fact]:
        raise error

    of_analysis = Trial(Scale.SINE, (Analysis("paths", Sweep("sine")),), "more than nothing", compare)
    (line,) = judged(Claim("K1", "It is so.", "made up", (of_analysis,)))
    assert line.verdict is Verdict.NOT_TESTED
    assert line.reason.startswith("the table of paths of sine is not as it was written (")
    with pytest.raises(type(error)):
        judged(claim_of(compare))
