"""What benchmarks/ computes from what it measures."""

from pathlib import Path

import pytest

from benchmarks import engines, scale
from resnet_cli.store.reader import load_results
from tests.conftest import MakeRun


def test_useful_operations_match_a_count_by_hand(make_run: MakeRun) -> None:
    run = make_run(depths=2, width=3, batch_size=10, steps=4, eval_every=2)
    forward = 2 * (1 * 3 + 3 * 3 + 3 * 1)  # an example through 1→3, 3→3, 3→1
    backward = 2 * (1 * 3 + 2 * 3 * 3 + 2 * 3 * 1)  # the first layer passes nothing on
    assert engines.useful_flops(run) == 4 * 10 * (forward + backward) + 3 * 2000 * forward


def test_a_sweep_is_scaled_along_depth(make_run: MakeRun) -> None:
    seconds = {make_run(depths=depth): 1.0 + 0.5 * depth for depth in (2, 6, 10)}
    assert engines.scaled(seconds, [make_run(depths=depth) for depth in (3, 40)]) == pytest.approx(2.5 + 21.0)


def test_the_time_of_a_further_run_leaves_out_the_start() -> None:
    assert scale.a_further_run({10: 2.0, 110: 2.5, 1010: 7.0}) == pytest.approx({110: 0.005, 1010: 0.005})


def test_made_up_results_are_results(tmp_path: Path) -> None:
    scale.make_results(tmp_path, 20)
    results = load_results(tmp_path)
    assert (len(results.runs), results.problems, results.varying) == (20, [], ["init"])
    assert {len(stored.history) for stored in results.runs} == {scale.EVALUATIONS}


def test_costs_are_rows_of_a_table() -> None:
    costs = {"show": {size: scale.Cost(1.0, 1.0 + size / 1000, size * scale.MIB) for size in (100, 1000, 2000)}}
    header, _, row = scale.table(costs).splitlines()
    assert header.count("|") == row.count("|")
    assert row == "| show | 1.0 (1.1) | 1.0 (2.0) | 1.0 (3.0) | 1.00 | 1.00 | 1.00 | 100 | 2000 |"
