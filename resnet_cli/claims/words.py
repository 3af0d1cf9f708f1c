"""Verdicts in words, for the terminal and for pages."""

import math
from collections.abc import Mapping

from resnet_cli.claims.claim import Fact, Verdict
from resnet_cli.claims.ledger import Tested
from resnet_cli.claims.statistics import BOOTSTRAP, CONFIDENCE, FALSE_DISCOVERY_RATE, FEWEST_PAIRS, SIGN_FLIP_TEST

METHOD = (
    f"Each difference is taken seed by seed and tested against its margin ({SIGN_FLIP_TEST}); intervals are "
    f"{CONFIDENCE:.0%} intervals of the mean ({BOOTSTRAP}). p-values are corrected for the number of lines "
    f"(Benjamini-Hochberg, false discovery rate {FALSE_DISCOVERY_RATE:.0%})."
)

SYMBOLS = {
    Verdict.SUPPORTED: "✓",
    Verdict.NOT_SUPPORTED: "✗",
    Verdict.UNDECIDED: "?",
    Verdict.NOT_TESTED: "–",
}


def number(value: float) -> str:
    """Three significant digits, such as 0.997, 1.55e-4 or −2.6; whole numbers from 1000 on with all of them."""
    if not math.isfinite(value):
        return "none" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{abs(value):.3g}".replace("e-0", "e-").replace("e+0", "e")
    return f"−{text}" if value < 0 else text


def p_text(p_value: float | None) -> str:
    """A p-value, such as 0.031; nothing where chance has no part."""
    if p_value is None:
        return ""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}" if p_value < 0.1 else f"{p_value:.2f}"


def p_relation(p_value: float | None) -> str:
    """A p-value after the letter p, such as `= 0.031` or `< 0.001`."""
    text = p_text(p_value)
    return text if text.startswith("<") else f"= {text}"


def comparison_text(tested: Tested) -> str:
    """What was found of a comparison: the mean with its interval, the margin, the number of seeds and the p-value.

    The p-value is that of the direction in which the seeds point, and says so if that is against the comparison.
    """
    one = tested.comparison
    interval = f" ({number(tested.low)} to {number(tested.high)})" if tested.pairs >= FEWEST_PAIRS else ""
    line = "above" if one.side == "above" else "below"
    seeds = "1 seed" if tested.pairs == 1 else f"{tested.pairs} seeds"
    holds = tested.p_for <= tested.p_against
    p_value = f"p {p_relation(tested.p_for)}" if holds else f"against it p {p_relation(tested.p_against)}"
    return (
        f"mean {number(tested.mean)} {one.effect.unit}{interval}, must lie {line} {number(one.effect.margin)}; "
        f"{seeds}, {p_value}"
    )


def numbers_text(numbers: Mapping[str, float]) -> str:
    """The numbers that were compared, such as `at 9 layers 1.55e-4, at 40 layers 0.505`."""
    return ", ".join(f"{name} {number(value)}" for name, value in numbers.items())


def fact_text(fact: Fact) -> str:
    """Whether a fact holds."""
    return f"{fact.what}: {'holds' if fact.holds else 'does not hold'}"
