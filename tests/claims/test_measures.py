import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_cli.claims.claim import MissingEvidence
from resnet_cli.claims.measures import (
    by_seed,
    by_seed_and_depth,
    deepest,
    difference,
    ends,
    error,
    medians,
    relative_loss,
    rise,
    select,
    split,
)
from tests.claims.made_up import CHANCE_ERROR, CHANCE_LOSS, diverged, runs


def test_select_takes_single_values_and_lists_of_them() -> None:
    frame = runs(depth=[2, 4, 6], init=["he", "default"])
    assert set(select(frame, depth=4)["depth"]) == {4}
    assert set(select(frame, depth=range(3, 7), init="he")["depth"]) == {4, 6}
    assert set(select(frame, depth=[2, 6])["depth"]) == {2, 6}


def test_select_says_what_is_missing() -> None:
    frame = runs(depth=[2])
    with pytest.raises(MissingEvidence, match=r"^no rows with depth 3, seed 0$"):
        select(frame, depth=3, seed=0)
    with pytest.raises(MissingEvidence, match=r"^the runs do not differ in learning rate$"):
        select(frame, learning_rate=0.1)


def test_split_puts_the_usual_values_first() -> None:
    frame = runs(depth=[2], dropout=[0.2, 0.0], weight_decay=[0.0, 0.001])
    groups = split(frame, dropout=0.0, weight_decay=0.0)
    assert {label: len(rows) for label, rows in groups.items()} == {
        "dropout 0 and weight decay 0": 8,
        "dropout 0 and weight decay 0.001": 8,
        "dropout 0.2 and weight decay 0": 8,
        "dropout 0.2 and weight decay 0.001": 8,
    }
    assert next(iter(groups)) == "dropout 0 and weight decay 0"
    assert set(groups["dropout 0.2 and weight decay 0"]["dropout"]) == {0.2}


def test_split_takes_the_usual_value_and_another() -> None:
    frame = runs(depth=[2], init=["he"])
    with pytest.raises(MissingEvidence, match="no rows with init default"):
        split(frame, init="default")
    with pytest.raises(MissingEvidence, match="all runs have init he, so there is nothing to compare them with"):
        split(frame, init="he")


def test_losses_and_errors_end_at_chance() -> None:
    frame = runs(depth=[2], seed=[0, 1, 2]).assign(train_loss=[0.5, 7.0, 0.1], test_error=[3.0, 95.0, 1.0])
    frame = diverged(frame, frame["seed"] == 2)
    assert list(relative_loss(frame)) == [0.5 / CHANCE_LOSS, 1, 1]
    assert list(error(frame)) == [3, CHANCE_ERROR, CHANCE_ERROR]


def test_seeds_that_lack_a_depth_are_left_out() -> None:
    frame = runs(depth=[2, 4], seed=[0, 1])
    frame = frame[(frame["seed"] == 0) | (frame["depth"] == 2)]
    assert by_seed_and_depth(frame).shape == (1, 2)
    assert list(by_seed(frame).index) == [0]
    assert list(by_seed(select(frame, depth=2)).index) == [0, 1]


def test_only_seeds_of_both_sides_are_paired() -> None:
    first, second = pd.Series({0: 1.0, 1: 5.0, 2: math.nan}), pd.Series({1: 2.0, 2: 3.0, 3: 4.0})
    assert difference(first, second) == {1: 3}
    assert difference(first, 0.5) == {0: 0.5, 1: 4.5}


def test_a_rise_is_measured_from_the_best_depth_of_the_other_seeds() -> None:
    """Seed 2 has a lucky run at 2 layers; its own best depth is nevertheless the one of the others, 4 layers."""
    losses = {0: [1.8, 0.2, 1.0], 1: [1.8, 0.2, 1.2], 2: [0.0, 0.4, 1.0]}
    frame = runs(lambda row: {"train_loss": losses[row["seed"]][row["depth"] // 2 - 1]}, seed=range(3), depth=[2, 4, 6])
    found = rise(frame)
    assert found == pytest.approx({0: 0.4, 1: 0.5, 2: 0.3}, rel=0.01)


@pytest.mark.parametrize(("depths", "wanted"), [([5], [5]), (range(2, 8), [7]), (range(2, 41), range(35, 41))])
def test_the_deepest_sixth_has_one_depth_at_least(depths: range, wanted: range) -> None:
    assert deepest(depths) == list(wanted)
    assert deepest(depths[::-1]) == list(wanted)


def test_ends_are_the_least_depth_and_the_deepest_sixth() -> None:
    shallow, deep = ends(runs(depth=range(2, 41)))
    assert (set(shallow["depth"]), set(deep["depth"])) == ({2}, set(range(35, 41)))
    with pytest.raises(MissingEvidence, match="two depths, and the runs have one"):
        ends(runs(depth=[8]))


def test_medians_are_infinite_where_most_runs_diverged() -> None:
    frame = runs(depth=[2, 4], seed=range(3))
    frame = diverged(frame, (frame["depth"] == 4) & (frame["seed"] > 0))
    assert medians(frame, "test_error", [2, 4, 6], "plain") == {
        "plain at 2 layers": pytest.approx(2, abs=0.1),
        "plain at 4 layers": math.inf,
    }


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.001, 1.9), min_size=12, max_size=12), st.floats(1.0, 10.0))
def test_shares_of_chance_do_not_depend_on_the_unit_of_the_loss(losses: list[float], factor: float) -> None:
    frame = runs(lambda row: {"train_loss": losses[row["seed"] * 3 + row["depth"]]}, seed=range(4), depth=range(3))
    other = frame.assign(train_loss=factor * frame["train_loss"], chance_loss=factor * frame["chance_loss"])
    assert rise(frame) == pytest.approx(rise(other), abs=1e-9)
