from collections.abc import Callable, Iterable, Sequence
from math import comb

import pytest

from resnet_cli.claims.claim import Scale, Verdict
from tests.claims.made_up import CHANCE_ERROR, Row
from tests.claims.made_up_analyses import Evidence, check, jitter, judged, nets

OWN = 2.0
"""The test error of a net that nothing was done to."""


def responding(plain: float, shallow: float, deep: float) -> Evidence:
    """Deviations of the layers that are added to a shortcut, or that their twin's would be; others respond with 5."""

    def measure(run: Row) -> Iterable[Row]:
        residual = run["role"] == "residual"
        value = (shallow if run["depth"] == 8 else deep) if residual else plain
        for layer in range(1, run["depth"]):
            added = layer % 2 == 1
            yield {
                "layer": layer,
                "is_added": added and residual,
                "deviation": value * jitter(run["seed"]) if added else 5.0,
            }

    return Evidence("analysis-digits", "responses", nets(depth=[8, 20, 32]), measure)


def test_k12_branches_respond_less_than_plain_layers_and_less_in_deeper_nets() -> None:
    check(
        "K12",
        Scale.DIGITS,
        responding(1.0, 0.8, 0.5),
        responding(1.0, 0.8, 0.79),
        responding(0.5, 0.8, 0.5),
        responding(0.5, 0.5, 0.8),
    )


def test_k12_shows_means_over_the_same_layers_of_twins() -> None:
    line = judged("K12", Scale.DIGITS, responding(1.0, 0.8, 0.5).tables())
    assert [one.mean for one in line.tested] == pytest.approx([0.5, 0.375])
    assert line.tested[0].comparison.numbers == pytest.approx(
        {"plain at 32 layers": 1.0035, "residual at 32 layers": 0.50175, "residual at 8 layers": 0.8028}
    )


def test_k12_takes_two_depths_and_plain_twins() -> None:
    evidence = responding(1.0, 0.8, 0.5)
    one = judged("K12", Scale.DIGITS, evidence.tables(lambda table: table["depth"] == 32))
    assert (one.verdict, one.reason) == (Verdict.NOT_TESTED, "it takes residual nets of two depths")
    alone = judged("K12", Scale.DIGITS, evidence.tables(lambda table: table["model"] == "residual-net"))
    assert alone.verdict == Verdict.NOT_TESTED


def removing(way: Callable[[Row, int], float], depth: int = 20, own: float = OWN) -> Evidence:
    """A net's error without so many of its nine blocks, as a share of the way to chance."""

    def measure(run: Row) -> Iterable[Row]:
        intact = own + 0.01 * run["seed"]
        yield {"change": "intact", "removed": 0, "test_error": intact}
        yield {"change": "chance", "removed": None, "test_error": CHANCE_ERROR}
        yield {"change": "order", "removed": 0, "test_error": 70.0}
        for removed in (*[1] * 9, *range(2, 10)):
            yield {
                "change": "single" if removed == 1 else "several",
                "removed": removed,
                "test_error": intact + way(run, removed) * (CHANCE_ERROR - intact),
            }

    return Evidence("analysis-digits", "remove", nets(depth=[depth]), measure)


def without_one(plain: float, residual: float) -> Evidence:
    return removing(lambda run, removed: plain if run["role"] == "plain" else residual)


def test_z6_hardly_matters_to_residual_nets_and_is_fatal_to_plain_ones() -> None:
    check("Z6", Scale.DIGITS, without_one(0.9, 0.03), without_one(0.9, 0.2), without_one(0.3, 0.03))


def test_z6_goes_by_the_median_block() -> None:
    """The removal of four of nine blocks is fatal to the residual net, that of the median one is not."""
    evidence = without_one(0.9, 0.03)

    def measure(run: Row) -> Iterable[Row]:
        fatal = 0
        for row in evidence.measure(run):
            fatal += row["change"] == "single"
            yield row | ({"test_error": 90.0} if row["change"] == "single" and fatal <= 4 else {})

    line = judged("Z6", Scale.DIGITS, Evidence("analysis-digits", "remove", evidence.frame, measure).tables())
    assert line.verdict == Verdict.SUPPORTED
    assert line.tested[0].comparison.numbers == pytest.approx({"plain, median": 0.9, "residual, median": 0.03})


def test_z6_cannot_be_tried_on_nets_that_learned_nothing() -> None:
    line = judged("Z6", Scale.DIGITS, removing(lambda run, removed: 0.9, own=90.0).tables())
    assert line.verdict == Verdict.NOT_TESTED


def rising(ways: Sequence[float]) -> Evidence:
    """Ways to chance of residual nets without 0, 1, … blocks."""
    return removing(lambda run, removed: ways[min(removed, len(ways) - 1)] if run["role"] == "residual" else 1.0)


def test_z7_grows_smoothly() -> None:
    check(
        "Z7",
        Scale.DIGITS,
        rising([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
        rising([0, 0.01, 0.02, 0.03, 0.9, 0.91, 0.92, 0.93, 0.94, 0.95]),
        rising([0, 0.5, 0.3, 0.6, 0.2, 0.7, 0.1, 0.8, 0.2, 0.9]),
        rising([0, 0.9]),
        rising([0]),
    )


def test_z7_measures_ranks_and_the_largest_step() -> None:
    """One error that falls by one rank, out of ten: a correlation of 1 - 6 × 2 / (10 × 99)."""
    line = judged("Z7", Scale.DIGITS, rising([0, 0.2, 0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0]).tables())
    assert [one.mean for one in line.tested] == pytest.approx([1 - 12 / 990, 0.2])
    assert line.tested[0].comparison.numbers["way to chance without 9 blocks"] == pytest.approx(1.0)


def test_z7_takes_two_numbers_of_removed_blocks() -> None:
    evidence = rising([0, 0.1, 0.2])
    line = judged("Z7", Scale.DIGITS, evidence.tables(lambda table: table["change"] != "several"))
    assert (line.verdict, line.reason) == (
        Verdict.NOT_TESTED,
        "it takes nets from which two numbers of blocks were removed",
    )


def along_paths(factor: float) -> Evidence:
    """Gradients that each further block multiplies by `factor`, more or less."""

    def measure(run: Row) -> Iterable[Row]:
        blocks = (run["depth"] - 2) // 2
        ways = [comb(blocks, length) for length in range(blocks + 1)]
        gradients = [(factor * jitter(run["seed"])) ** length for length in range(blocks + 1)]
        total = sum(way * gradient for way, gradient in zip(ways, gradients, strict=True))
        for length, (way, gradient) in enumerate(zip(ways, gradients, strict=True)):
            yield {
                "blocks": blocks,
                "length": length,
                "path_share": way / sum(ways),
                "gradient": gradient,
                "gradient_share": way * gradient / total,
            }

    return Evidence("analysis-digits", "paths", nets(role=["residual"], depth=[8, 32]), measure)


def test_z8_short_paths_carry_the_gradient() -> None:
    check(
        "Z8",
        Scale.DIGITS,
        along_paths(0.5),
        along_paths(0.95),
        along_paths(1.5),
    )


def test_z8_weighted_length_and_fall_are_those_of_the_binomial_law() -> None:
    """With a factor q for each of n blocks the weighted mean length is n q / (1 + q), and q⁰ / qⁿ falls by n powers."""
    line = judged("Z8", Scale.DIGITS, along_paths(0.1).tables())
    assert [one.mean for one in line.tested] == pytest.approx([15, 1 - 2 * 0.1 / 1.1], rel=0.01)
    assert line.tested[1].comparison.numbers == pytest.approx(
        {"mean length": 7.5, "weighted with the gradient": 15 * 0.1 / 1.1}, rel=0.01
    )
