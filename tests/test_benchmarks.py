"""What benchmarks/ computes from what it measures."""

import pytest

from benchmarks import engines
from tests.conftest import MakeRun


def test_useful_operations_match_a_count_by_hand(make_run: MakeRun) -> None:
    run = make_run(depths=2, width=3, batch_size=10, steps=4, eval_every=2)
    forward = 2 * (1 * 3 + 3 * 3 + 3 * 1)  # an example through 1→3, 3→3, 3→1
    backward = 2 * (1 * 3 + 2 * 3 * 3 + 2 * 3 * 1)  # the first layer passes nothing on
    assert engines.useful_flops(run) == 4 * 10 * (forward + backward) + 3 * 2000 * forward


def test_a_sweep_is_scaled_along_depth(make_run: MakeRun) -> None:
    seconds = {make_run(depths=depth): 1.0 + 0.5 * depth for depth in (2, 6, 10)}
    assert engines.scaled(seconds, [make_run(depths=depth) for depth in (3, 40)]) == pytest.approx(2.5 + 21.0)
