import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_cli.claims.claim import MissingEvidence
from resnet_cli.claims.measures import (
    best_depths,
    by_seed,
    by_seed_and_depth,
    deepest,
    difference,
    ends,
    error,
    fall,
    medians,
    relative_loss,
    rise,
    select,
    split,
)
from tests.claims.made_up import runs


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
        with pytest.raises(MissingEvidence, match="it takes two seeds and two depths"):
            rise(short)


def test_shown_medians_are_as_stored() -> None:
    frame = table({2: [1.0, 3.0, 2.0], 4: [5.0, 5.0, 5.0]})
    frame.loc[[3, 4], "status"] = "diverged"
    assert medians(frame, "train_loss", [2, 4, 6], "of plain nets") == {
        "median training loss of plain nets at 2 layers": 2.0,
        "median training loss of plain nets at 4 layers": math.inf,
    }
    frame["seconds"] = 3.0
    assert medians(frame, "seconds", [2]) == {"median seconds at 2 layers": 3.0}


def test_a_fall_ends_at_the_best_depth_of_the_other_seeds() -> None:
    """Of the means of the other two seeds, that at 4 layers is the least for each; chance is 2."""
    frame = table({2: [1.0, 0.8, 0.6], 4: [0.2, 0.1, 0.0], 8: [0.3, 0.3, 0.01]})
    assert fall(frame) == pytest.approx({0: 0.4, 1: 0.35, 2: 0.3})


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


def test_only_seeds_of_both_sides_are_paired() -> None:
    first, second = pd.Series({0: 1.0, 1: 5.0, 2: math.nan}), pd.Series({1: 2.0, 2: 3.0, 3: 4.0})
    assert difference(first, second) == {1: 3}
    assert difference(first, 0.5) == {0: 0.5, 1: 4.5}


def test_seeds_that_lack_a_depth_are_left_out() -> None:
    frame = runs(depth=[2, 4], seed=[0, 1])
    frame = frame[(frame["seed"] == 0) | (frame["depth"] == 2)]
    assert by_seed_and_depth(frame).shape == (1, 2)
    assert list(by_seed(frame).index) == [0]
    assert list(by_seed(select(frame, depth=2)).index) == [0, 1]


def test_ends_are_the_least_depth_and_the_deepest_sixth() -> None:
    shallow, deep = ends(runs(depth=range(2, 41)))
    assert (set(shallow["depth"]), set(deep["depth"])) == ({2}, set(range(35, 41)))
    with pytest.raises(MissingEvidence, match="two depths, and the runs have one"):
        ends(runs(depth=[8]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.001, 1.9), min_size=12, max_size=12), st.floats(1.0, 10.0))
def test_shares_of_chance_do_not_depend_on_the_unit_of_the_loss(losses: list[float], factor: float) -> None:
    frame = runs(lambda row: {"train_loss": losses[row["seed"] * 3 + row["depth"]]}, seed=range(4), depth=range(3))
    other = frame.assign(train_loss=factor * frame["train_loss"], chance_loss=factor * frame["chance_loss"])
    assert rise(frame) == pytest.approx(rise(other), abs=1e-9)
