import math

import numpy as np
import pandas as pd
import pytest

from resnet_cli.claims.turning_point import Course, TurningPoint, turning_points

CHANCE = 0.5
SEEDS = 8
FALLING = {2: 0.2, 4: 0.01, 6: 0.001, 8: 0.001, 10: 0.002}
RISING = {2: 0.2, 4: 0.001, 6: 0.03, 8: 0.1, 10: 0.5}


def frame(
    losses: dict[int, float], model: str = "plain-mlp", seeds: int = SEEDS, chance: float = CHANCE
) -> pd.DataFrame:
    """One row per run: the loss of its depth, times a factor of up to two that depends on the seed."""
    rows = [
        {"model": model, "depth": depth, "seed": seed, "train_loss": min(loss * (1 + seed / seeds), 1.1 * chance)}
        for depth, loss in losses.items()
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows).assign(status="done", chance_loss=chance)


def only(table: pd.DataFrame) -> TurningPoint:
    ((point,),) = turning_points([table])
    return point


def test_a_rise_by_more_than_a_tenth_of_chance_is_a_turning_point() -> None:
    point = only(frame(RISING))
    assert (point.course, point.best_depth, point.worse_from, point.seeds) == (Course.WORSE, 4, 8, SEEDS)
    assert point.trend.p_value == 1 / 2**SEEDS
    assert point.sentence() == (
        "plain-mlp: it degrades: from depth 8 on, training loss stays more than 10 % of chance above its level at the "
        "best depth; at depth 10 it is higher by 100 % of chance (95 % interval 100 % to 100 %, 8 seeds, p = 0.0039)."
    )


def test_a_rise_by_less_is_none_though_it_is_manifold() -> None:
    """From 2.2e-4 to 2.9e-4, or even a hundredfold, is nothing beside the loss at chance level."""
    point = only(frame({2: 0.2, 4: 1e-4, 6: 1e-4, 8: 1e-2}))
    assert (point.course, point.worse_from) == (Course.STEADY, None)
    assert point.sentence() == (
        "plain-mlp: no turning point up to depth 8: from the best depth to depth 8 training loss rises by 2.8 % of "
        "chance (95 % interval 2.4 % to 3.2 %, 8 seeds, p = 0.0039)."
    )


@pytest.mark.parametrize(("loss", "course"), [(0.049, "steady"), (0.05, "unclear"), (0.051, "worse")])
def test_the_margin_itself_is_unclear(loss: float, course: str) -> None:
    table = frame({2: 0.0, 4: 0.0, 6: 0.0}).assign(train_loss=lambda rows: (rows["depth"] == 6) * loss)
    assert only(table).course is Course[course.upper()]


def test_seeds_that_differ_leave_it_unclear() -> None:
    table = frame({2: 0.1, 4: 0.001, 6: 0.001})
    table.loc[(table["depth"] == 6) & (table["seed"] < 3), "train_loss"] = CHANCE
    point = only(table)
    assert (point.course, point.worse_from) == (Course.UNCLEAR, None)
    assert point.sentence().startswith(
        "plain-mlp: unclear whether there is a turning point up to depth 6: from the best depth to depth 6 training "
        "loss rises by 37 % of chance (95 % interval "
    )


def test_fewer_than_five_seeds_give_no_verdict() -> None:
    assert only(frame(RISING, seeds=5)).course is Course.WORSE
    four = only(frame(RISING, seeds=4))
    assert (four.course, four.trend.p_value, four.worse_from) == (Course.NO_VERDICT, None, None)
    assert four.sentence() == (
        "plain-mlp: no verdict from 4 seeds with a run at every depth (it takes 5); "
        "median training loss is lowest at depth 4 (0.0014), and 0.55 at depth 10."
    )
    assert only(frame(FALLING, seeds=1)).sentence() == (
        "plain-mlp: no verdict from 1 seed with a run at every depth (it takes 5); "
        "training loss is lowest at depth 8 (0.001), and 0.002 at depth 10."
    )


def test_only_seeds_with_a_run_at_every_depth_count() -> None:
    table = frame(RISING)
    ragged = table[(table["depth"] < 10) | (table["seed"] < 2)]
    assert only(ragged).sentence().startswith("plain-mlp: no verdict from 2 seeds with a run at every depth")
    assert only(table.drop(index=0)).seeds == SEEDS - 1
    first = table["seed"] < 2
    none = table[~((table["depth"] == 2) & first) & ~((table["depth"] == 4) & ~first)]
    assert "no verdict from 0 seeds with a run at every depth (it takes 5); median" in only(none).sentence()


def test_fewer_than_three_depths_give_no_verdict() -> None:
    assert only(frame({20: 0.1, 56: 0.5})).sentence() == (
        "plain-mlp: no verdict from 2 depths (it takes 3); "
        "median training loss is lowest at depth 20 (0.14), and 0.55 at depth 56."
    )
    assert "no verdict from 1 depth (it takes 3);" in only(frame({20: 0.1})).sentence()


def test_an_unknown_level_of_chance_gives_no_verdict() -> None:
    point = only(frame(RISING).assign(chance_loss=None))
    assert point.sentence().startswith("plain-mlp: no verdict without the loss at chance level, which is not known; ")


def test_nets_at_chance_level_cannot_rise() -> None:
    point = only(frame({2: 0.48, 4: 0.49, 6: 0.5}))
    assert "no verdict where training loss is near chance level at every depth; median" in point.sentence()
    assert only(frame({2: 0.2, 4: 0.5, 6: 0.5})).course is Course.WORSE


def test_diverged_runs_count_as_chance() -> None:
    table = frame(FALLING)
    table.loc[table["depth"] >= 8, "status"] = "diverged"
    point = only(table)
    assert (point.course, point.worse_from, point.deepest_loss) == (Course.WORSE, 8, math.inf)
    few = only(table[table["seed"] < 3])
    assert few.sentence().endswith("median training loss is lowest at depth 6 (0.0011), and infinite at depth 10.")


def test_only_diverged_runs_give_no_verdict() -> None:
    point = only(frame(FALLING).assign(status="diverged"))
    assert point.sentence() == (
        "plain-mlp: no verdict where training loss is near chance level at every depth; "
        "median training loss is infinite at every depth, since runs diverged."
    )


def test_failed_runs_do_not_count() -> None:
    table = frame({**FALLING, 12: CHANCE})
    table.loc[table["depth"] >= 10, "status"] = "failed"
    point = only(table)
    assert (point.depths, point.course) == ((2, 4, 6, 8), Course.STEADY)
    assert turning_points([table.assign(status="failed")]) == [[]]


def test_a_lucky_run_is_not_its_own_baseline() -> None:
    """Every seed has one depth at which it is lucky; measured from there, every seed would rise."""
    table = frame(dict.fromkeys(range(2, 14), 0.1), seeds=10)
    table["train_loss"] = np.where(table["depth"] == 3 + table["seed"], 0.0, 0.1)
    assert only(table).course is Course.STEADY


def test_a_single_deep_outlier_is_no_turning_point() -> None:
    losses = dict.fromkeys(range(1, 25), 0.001)
    assert only(frame({**losses, 20: 0.4})).course is Course.STEADY
    assert only(frame({**losses, 22: 0.4})).course is Course.UNCLEAR
    assert only(frame({**losses, 22: 0.4, 23: 0.4, 24: 0.4})).worse_from == 22


def test_a_rise_that_most_seeds_lack_is_unclear() -> None:
    """Nine of twenty seeds at chance level are a significant mean, but no depth is worse for the median seed."""
    table = frame({2: 0.2, 4: 0.0, 6: 0.0}, seeds=20)
    table["train_loss"] = np.where((table["depth"] == 6) & (table["seed"] < 9), CHANCE, table["train_loss"])
    point = only(table)
    assert point.trend.p_value is not None
    assert point.trend.p_value < 0.05
    assert (point.course, point.worse_from) == (Course.UNCLEAR, None)


def test_models_are_corrected_for_together() -> None:
    """With five seeds the least p is 1/32: enough for two models of two, too much for one of two."""
    worse, steady = frame(RISING, seeds=5), frame(FALLING, "residual-mlp", seeds=5)
    ((first, second),) = turning_points([pd.concat([worse, steady])])
    assert (first.course, second.course) == (Course.WORSE, Course.STEADY)
    assert first.trend.p_value == second.trend.p_value == 1 / 32
    between = frame({2: 0.2, 4: 0.0, 6: 0.0}, "residual-mlp", seeds=5)
    between.loc[(between["depth"] == 6) & (between["seed"] < 2), "train_loss"] = CHANCE
    ((first,), (second,)) = turning_points([worse, between])
    assert (first.course, first.trend.p_value, first.worse_from) == (Course.UNCLEAR, 2 / 32, None)
    assert second.course is Course.UNCLEAR


def test_a_loss_of_zero_and_a_single_level_are_valid() -> None:
    point = only(frame({2: 0.0, 4: 0.0, 6: 0.0}))
    assert (point.course, point.best_depth, point.deepest_loss) == (Course.STEADY, 6, 0.0)
    assert "rises by 0 % of chance (95 % interval 0 % to 0 %, " in point.sentence()


def test_a_loss_that_falls_to_the_end_has_no_turning_point() -> None:
    point = only(frame({depth: 0.4 / depth**2 for depth in range(1, 10)}))
    assert (point.course, point.best_depth) == (Course.STEADY, 9)
