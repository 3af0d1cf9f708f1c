"""Verdicts in words."""

import math

import pytest

from resnet_cli.claims.claim import LOSS, Comparison, Fact
from resnet_cli.claims.ledger import examine
from resnet_cli.claims.words import comparison_text, fact_text, number, numbers_text, p_relation, p_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.99678, "0.997"),
        (1.5504e-4, "0.000155"),
        (1.5504e-5, "1.55e-5"),
        (-2.6, "−2.6"),
        (-1e-12, "−1e-12"),
        (138_357_544.0, "138,357,544"),
        (12.0, "12"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "none"),
    ],
)
def test_a_number_has_three_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("p_value", "text", "relation"),
    [
        (1 / 1024, "< 0.001", "< 0.001"),
        (1 / 256, "0.004", "= 0.004"),
        (0.0999, "0.100", "= 0.100"),
        (1.0, "1.00", "= 1.00"),
        (None, "", "= "),
    ],
)
def test_a_p_value_is_short(p_value: float | None, text: str, relation: str) -> None:
    assert (p_text(p_value), p_relation(p_value)) == (text, relation)


def test_a_comparison_says_its_mean_interval_margin_and_seeds() -> None:
    tested = examine(Comparison("it rises", LOSS, dict.fromkeys(range(8), 0.5), {"at 9 layers": 1e-4}))
    assert comparison_text(tested) == (
        "mean 0.5 of the chance level (0.5 to 0.5), must lie above 0.1; 8 seeds, p = 0.004"
    )
    assert numbers_text(tested.comparison.numbers) == "at 9 layers 0.0001"
    one = examine(Comparison("it rises", LOSS, {0: 0.5}, side="below"))
    assert comparison_text(one) == "mean 0.5 of the chance level, must lie below 0.1; 1 seed, against it p = 0.50"


def test_four_seeds_have_no_interval() -> None:
    four, five = (examine(Comparison("it rises", LOSS, dict.fromkeys(range(n), 0.5))) for n in (4, 5))
    assert " to " not in comparison_text(four)
    assert "(0.5 to 0.5)" in comparison_text(five)


def test_a_fact_holds_or_does_not() -> None:
    assert fact_text(Fact("one is one", True)) == "one is one: holds"
    assert fact_text(Fact("one is two", False)) == "one is two: does not hold"
