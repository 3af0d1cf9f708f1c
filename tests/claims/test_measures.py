import math

import pandas as pd
import pytest

from resnet_cli.claims.claim import MissingEvidence
from resnet_cli.claims.measures import (
    best_depths,
    by_seed,
    by_seed_and_depth,
    deepest,
    difference,
    error,
    medians,
    relative_loss,
    rise,
    select,
)


def table(losses: dict[int, list[float]]) -> pd.DataFrame:
    """One row per run, the losses of a depth by seed; chance level 2 and 90 %."""
    rows = [
        {"depth": depth, "seed": seed, "status": "done", "train_loss": loss, "test_error": 10 * loss}
        for depth, of_depth in losses.items()
        for seed, loss in enumerate(of_depth)
    ]
    return pd.DataFrame(rows).assign(chance_loss=2.0, chance_error=90.0)


def test_losses_are_shares_of_chance_and_never_above_it() -> None:
    frame = table({2: [0.5, 2.0, 7.0, 0.1, math.nan]})
    frame.loc[3, "status"] = "diverged"
    assert relative_loss(frame).tolist() == [0.25, 1.0, 1.0, 1.0, 1.0]


def test_errors_are_never_above_chance() -> None:
    frame = table({2: [0.5, 9.5, 1.0]})
    frame.loc[2, "status"] = "diverged"
    assert error(frame).tolist() == [5.0, 90.0, 90.0]


def test_rows_are_selected_by_value_and_by_list() -> None:
    frame = table({2: [1.0, 1.0], 4: [1.0, 1.0], 6: [1.0, 1.0]})
    assert select(frame, depth=[2, 6], seed=1)["depth"].tolist() == [2, 6]
    assert len(select(frame, depth=range(4, 7))) == 4
    with pytest.raises(MissingEvidence, match="no rows with depth 8, seed 1"):
        select(frame, depth=8, seed=1)


def test_differences_are_of_seeds_that_both_have() -> None:
    first, second = by_seed(table({2: [1.0, 2.0, 1.0]})), by_seed(table({2: [0.5, 0.0]}))
    assert difference(first, second) == {0: 0.25, 1: 1.0}


def test_the_best_depth_of_a_seed_is_that_of_the_others() -> None:
    """Seed 0 is lucky at depth 4; the others are best at depth 2, so depth 2 is what it is measured from."""
    frame = table({2: [1.0, 0.2, 0.2], 4: [0.0, 1.0, 1.0], 6: [1.2, 1.2, 1.2]})
    assert best_depths(by_seed_and_depth(frame)) == {0: 2, 1: 4, 2: 4}
    assert rise(frame) == pytest.approx({0: 0.1, 1: 0.1, 2: 0.1})


def test_a_depth_where_a_seed_fails_is_not_the_best() -> None:
    frame = table({2: [0.2] * 5, 4: [0.1] * 4 + [2.0], 6: [0.3] * 5})
    assert [best_depths(by_seed_and_depth(frame))[seed] for seed in range(4)] == [2, 2, 2, 2]
    assert best_depths(by_seed_and_depth(frame))[4] == 4, "the others do not fail there"


def test_a_rise_is_measured_at_the_deepest_sixth() -> None:
    frame = table({depth: [0.0, 0.0] if depth < 11 else [1.0, 0.5 * depth - 5] for depth in range(1, 13)})
    assert deepest(list(range(1, 13))) == [11, 12]
    assert deepest([8, 2, 4]) == [8]
    assert rise(frame) == pytest.approx({0: 0.5, 1: (0.25 + 0.5) / 2})


def test_a_rise_of_errors_is_in_percentage_points() -> None:
    frame = table({2: [1.0, 1.0], 4: [2.0, 2.5], 6: [3.0, 20.0]})
    assert rise(frame, "test_error") == pytest.approx({0: 20.0, 1: 80.0})


def test_seeds_without_all_depths_have_no_rise() -> None:
    frame = table({2: [1.0, 1.0, 1.0], 4: [1.0, 1.0]})
    assert rise(frame) == {0: 0.0, 1: 0.0}
    for short in (frame[frame["seed"] == 0], frame[frame["depth"] == 2], frame[frame["seed"] > 0]):
        with pytest.raises(MissingEvidence, match="a rise takes two seeds and two depths"):
            rise(short)


def test_shown_medians_are_as_stored() -> None:
    frame = table({2: [1.0, 3.0, 2.0], 4: [5.0, 5.0, 5.0]})
    frame.loc[[3, 4], "status"] = "diverged"
    assert medians(frame, "train_loss", [2, 4, 6], "plain") == {"plain at 2 layers": 2.0, "plain at 4 layers": math.inf}
