"""Statistics against independent computations: signs enumerated by hand, definitions followed literally."""

import itertools
import math

import numpy as np
import pytest

from resnet_cli.claims.statistics import adjusted, mean_interval, sign_flip_p, two_sided_p

GENERATOR = np.random.default_rng(7)
SAMPLES = [GENERATOR.normal(0.3, 1.0, size).round(3).tolist() for size in (2, 3, 5, 8)]


def enumerated(values: list[float], margin: float = 0.0) -> float:
    """The share of all choices of signs whose sum is at least the observed one."""
    above = [value - margin for value in values]
    sums = [math.fsum(s * v for s, v in zip(signs, above, strict=True)) for signs in _signs(len(above))]
    return sum(one >= math.fsum(above) - 1e-12 for one in sums) / len(sums)


def _signs(count: int) -> list[tuple[int, ...]]:
    return list(itertools.product((1, -1), repeat=count))


@pytest.mark.parametrize("values", SAMPLES)
@pytest.mark.parametrize("margin", [0.0, 0.1, -0.5])
def test_the_sign_flip_test_counts_signs(values: list[float], margin: float) -> None:
    assert sign_flip_p(values, margin) == pytest.approx(enumerated(values, margin))


def test_the_least_p_is_one_in_all_choices_of_signs() -> None:
    for pairs in (1, 2, 5, 10):
        assert sign_flip_p([1.0 + pair for pair in range(pairs)]) == 1 / 2**pairs
        assert sign_flip_p([-1.0 - pair for pair in range(pairs)]) == 1.0


def test_the_sign_flip_test_has_edges() -> None:
    assert sign_flip_p([]) == 1.0
    assert (sign_flip_p([0.2]), sign_flip_p([0.0]), sign_flip_p([-0.2])) == (0.5, 1.0, 1.0)
    assert sign_flip_p([0.1] * 6, margin=0.1) == 1.0, "ties with the margin are no evidence"
    assert sign_flip_p([1.0, 1.0, 1.0, 0.0, 0.0]) == pytest.approx(1 / 8), "nor are ties beside others"


def test_many_pairs_are_drawn_and_repeat() -> None:
    values = np.random.default_rng(1).normal(0.4, 1.0, 30).tolist()
    first = sign_flip_p(values)
    assert first == sign_flip_p(values)
    normal = 0.5 * math.erfc(np.sum(values) / math.sqrt(2 * np.sum(np.square(values))))
    assert first == pytest.approx(normal, rel=0.3)


@pytest.mark.parametrize("values", SAMPLES)
def test_two_sided_p_counts_signs_of_either_direction(values: list[float]) -> None:
    sums = [abs(math.fsum(s * v for s, v in zip(signs, values, strict=True))) for signs in _signs(len(values))]
    expected = sum(one >= abs(math.fsum(values)) - 1e-12 for one in sums) / len(sums)
    assert two_sided_p(values) == pytest.approx(expected)
    assert two_sided_p([-value for value in values]) == pytest.approx(expected)


def test_two_sided_p_takes_infinite_differences() -> None:
    assert two_sided_p([math.inf, 1.0, 2.0, 3.0]) == 2 / 2**4
    assert two_sided_p([math.inf, -1.0, -2.0, -3.0]) == 1.0
    assert two_sided_p([math.inf, -math.inf]) == 1.0
    assert two_sided_p([1e308, 1e308, 1e308]) == 2 / 2**3
    assert two_sided_p([0.0, 0.0]) == two_sided_p([]) == 1.0


def test_the_interval_is_that_of_a_plain_bootstrap() -> None:
    values = np.random.default_rng(2).normal(1.0, 2.0, 10)
    generator = np.random.default_rng(3)
    means = sorted(generator.choice(values, len(values)).mean() for _ in range(20_000))
    low, high = mean_interval(values.tolist())
    assert low == pytest.approx(means[500], abs=0.06)
    assert high == pytest.approx(means[-501], abs=0.06)
    assert low < values.mean() < high
    assert mean_interval(values.tolist()) == (low, high)


def test_an_interval_takes_two_values() -> None:
    assert all(map(math.isnan, [*mean_interval([]), *mean_interval([1.0])]))
    assert mean_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


def test_the_correction_is_that_of_benjamini_and_hochberg() -> None:
    """By the definition: rejected are all up to the largest k with p(k) ≤ k/m · rate."""
    p_values = np.random.default_rng(4).uniform(0, 0.2, 30).tolist()
    corrected = adjusted(p_values)
    for rate in (0.01, 0.05, 0.1, 0.2):
        ordered = sorted(p_values)
        passing = [p for k, p in enumerate(ordered, 1) if p <= k / len(ordered) * rate]
        rejected = {p for p in p_values if passing and p <= passing[-1]}
        assert {p for p, q in zip(p_values, corrected, strict=True) if q <= rate} == rejected
    assert adjusted([]) == []
    assert adjusted([0.03]) == [0.03]
    assert adjusted([0.01, 0.5, 0.02, 0.9]) == pytest.approx([0.04, 2 / 3, 0.04, 0.9])


def test_the_bound_on_memory_changes_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(0.2, 1.0, 30).tolist()
    at_once = sign_flip_p(differences), mean_interval(differences)
    monkeypatch.setattr("resnet_cli.claims.statistics.MOST_NUMBERS", 7000)
    assert (sign_flip_p(differences), mean_interval(differences)) == at_once
