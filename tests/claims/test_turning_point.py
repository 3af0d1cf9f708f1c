import math

import pandas as pd
import pytest

from resnet_cli.claims.turning_point import TurningPoint, turning_points

# The first measurements of the sine, medians of five seeds.
DEPTHS = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 21, 25, 30, 40]
PLAIN = [0.123, 0.045, 0.011, 0.0029, 7e-4, 2e-4, 2e-4, 6e-4, 3e-4, 11e-4, 40e-4, 7e-4, 55e-4, 0.52, 0.52, 0.52]
RESIDUAL = [0.135, 0.049, 0.018, 34e-4, 3e-4, 4e-4, 9e-4, 3e-4, 2e-4, 2e-4, 1e-4, 5e-4, 1e-4, 2e-4, 3e-4, 2e-4]


def frame(losses: dict[int, list[float]], model: str = "plain-mlp", error: float = math.nan) -> pd.DataFrame:
    """One row per run; an infinite loss marks a diverged run, and an error a classification task."""
    rows = [
        {"model": model, "depth": depth, "seed": seed, "train_loss": loss, "test_loss": 2 * loss, "train_error": error}
        for depth, of_depth in losses.items()
        for seed, loss in enumerate(of_depth)
    ]
    summary = pd.DataFrame(rows)
    return summary.assign(status=summary["train_loss"].map(lambda loss: "diverged" if math.isinf(loss) else "done"))


def only(losses: dict[int, list[float]]) -> TurningPoint:
    (point,) = turning_points(frame(losses))
    return point


def test_measured_plain_nets_degrade_and_residual_nets_do_not() -> None:
    plain = frame({depth: [loss, loss] for depth, loss in zip(DEPTHS, PLAIN, strict=True)})
    residual = frame({depth: [loss, loss] for depth, loss in zip(DEPTHS, RESIDUAL, strict=True)}, "residual-mlp")
    first, second = turning_points(pd.concat([plain, residual]))
    assert (first.model, first.best_depth, first.worse_from) == ("plain-mlp", 7, 12)
    assert first.ratio == pytest.approx(2600)
    assert (second.model, second.worse_from) == ("residual-mlp", None)
    assert first.sentence() == (
        "plain-mlp: training loss is lowest at depth 7 (0.0002) and stays above twice its level there "
        "from depth 12 on (×2600 at depth 40): it degrades."
    )
    assert second.sentence() == (
        "residual-mlp: no turning point up to depth 40; training loss is lowest at depth 21 (0.0001), ×2 at depth 40."
    )


def test_one_seed_gives_no_verdict() -> None:
    worse = only({depth: [loss] for depth, loss in zip(DEPTHS, PLAIN, strict=True)})
    assert worse.worse_from == 12
    assert worse.sentence() == (
        "plain-mlp: with one seed, training loss is lowest at depth 7 (0.0002) and stays above twice its level there "
        "from depth 12 on (×2600 at depth 40)."
    )
    assert only({2: [0.1], 4: [0.05], 6: [0.06]}).sentence() == (
        "plain-mlp: with one seed, training loss is lowest at depth 4 (0.05), ×1.2 at depth 6."
    )


def test_digits_have_a_turning_point_with_four_depths() -> None:
    assert only({8: [0.10], 20: [0.70], 32: [1.41], 56: [2.30]}).worse_from == 20


def test_classification_needs_a_smaller_rise_than_regression() -> None:
    losses = {8: [1.27, 1.28], 20: [1.46, 1.47], 32: [1.69, 1.70]}
    (classification,) = turning_points(frame(losses, error=50.0))
    assert classification.worse_from == 32
    assert "stays above 1.2 times its level there from depth 32 on (×1.3 at depth 32)" in classification.sentence()
    assert only(losses).worse_from is None


def test_rises_within_the_spread_of_seeds_do_not_count() -> None:
    steady = {depth: [0.9, 1.0, 1.1] for depth in (20, 32, 44)}
    noisy = {depth: [0.1, 1.0, 10.0] for depth in (20, 32, 44)}
    assert only({**steady, 110: [2.9, 3.0, 3.1]}).worse_from == 110
    assert only({**noisy, 110: [0.3, 3.0, 30.0]}).worse_from is None


def test_lucky_minima_and_deep_outliers_do_not_count() -> None:
    losses = {depth: [1.0] for depth in range(1, 25)}
    assert only({**losses, 5: [0.01]}).worse_from is None
    assert only({**losses, 24: [100.0]}).worse_from is None


def test_losses_that_keep_falling_have_no_turning_point() -> None:
    point = only({depth: [1 / depth] for depth in range(1, 10)})
    assert (point.worse_from, point.best_depth, point.ratio) == (None, 9, 1.0)
    assert point.sentence().endswith("training loss is lowest at depth 9 (0.11).")


def test_a_collapse_after_the_shallowest_depth_is_a_turning_point() -> None:
    assert only({depth: [0.001 if depth == 20 else 0.5] for depth in range(20, 40)}).worse_from == 21


def test_diverged_runs_count_as_infinite_losses() -> None:
    point = only({2: [0.1, 0.1], 4: [0.1, 0.2], 6: [0.1, math.inf], 8: [math.inf, math.inf]})
    assert (point.worse_from, point.deepest_loss, point.ratio) == (6, math.inf, math.inf)
    assert "(diverged at depth 8)" in point.sentence()


def test_the_last_loss_of_a_diverged_run_is_ignored() -> None:
    summary = frame({2: [0.1], 4: [0.1], 6: [0.1]})
    summary.loc[summary["depth"] == 6, "status"] = "diverged"
    assert turning_points(summary)[0].deepest_loss == math.inf


def test_failed_runs_do_not_count() -> None:
    summary = frame({2: [0.1], 4: [0.1], 6: [0.1], 8: [5.0]})
    summary.loc[summary["depth"] == 8, "status"] = "failed"
    assert turning_points(summary)[0].deepest_depth == 6


def test_fewer_than_three_depths_give_no_turning_point() -> None:
    assert only({20: [0.1], 56: [5.0]}).worse_from is None
    assert only({20: [0.1], 56: [5.0]}).sentence() == (
        "plain-mlp: no turning point can be named from 2 depths; it takes 3."
    )
    assert "from 1 depth;" in only({20: [0.1]}).sentence()


def test_only_diverged_runs_give_no_turning_point() -> None:
    point = only({depth: [math.inf] for depth in (2, 4, 6)})
    assert (point.worse_from, point.ratio) == (None, 1.0)
    assert point.sentence() == "plain-mlp: every depth diverged, so no turning point can be named."


def test_a_loss_of_zero_is_a_valid_loss() -> None:
    point = only({2: [0.0], 4: [0.0], 6: [1.0]})
    assert (point.worse_from, point.best_depth, point.ratio) == (6, 4, math.inf)


def test_models_without_any_loss_have_no_turning_point() -> None:
    summary = frame({2: [0.1], 4: [0.1], 6: [0.3]})
    assert turning_points(summary.assign(status="failed")) == []


def test_impossible_negative_losses_are_no_turning_point() -> None:
    assert only({depth: [-1.0] for depth in range(2, 14)}).worse_from is None
