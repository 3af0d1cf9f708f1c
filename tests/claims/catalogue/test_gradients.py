from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest

from resnet_cli.claims.claim import Scale, Verdict
from tests.claims.made_up import CHANCE_LOSS, Row
from tests.claims.made_up_analyses import Evidence, check, jitter, judged, nets

LAYERS = 5


def falling(power: Callable[[Row], float], *, later: float = 0.0) -> Callable[[Row], Iterable[Row]]:
    """Gradients that are 10^power times the last layer's in the second layer and before, and `later` powers more at the
    end of training."""

    def measure(run: Row) -> Iterable[Row]:
        for step in (0, 100):
            for layer in range(1, LAYERS + 1):
                towards_input = power(run) + (later if step else 0.0) if layer < LAYERS else 0.0
                yield {"step": step, "layer": layer, "gradient_norm": 3.0 * 10**towards_input * jitter(run["seed"])}

    return measure


def sine(power: Callable[[Row], float], later: float = 0.0) -> Evidence:
    """Nets of 30 layers with and without batch norm, with ReLUs and with sigmoids."""
    frame = nets(depth=[30], batch_norm=[False, True], activation=["relu", "sigmoid"])
    return Evidence("gradients-sine", "gradients", frame, falling(power, later=later))


def spread(row: Row) -> float:
    return 0.01 * float(row["seed"])


def only(**where: object) -> Callable[[Row], bool]:
    return lambda run: all(run[name] == value for name, value in where.items())


def test_k11_gradients_reach_further_through_skips() -> None:
    def apart(powers: float, **where: object) -> Evidence:
        here = only(role="plain", **where)
        return sine(lambda run: spread(run) - (powers if here(run) else 0.0))

    check(
        "K11",
        Scale.SINE,
        apart(4.0, activation="relu", batch_norm=False),
        apart(0.9, activation="relu", batch_norm=False),
        apart(-4.0, activation="relu", batch_norm=False),
        apart(4.0, activation="sigmoid"),
        apart(4.0, batch_norm=True),
    )


def test_k11_looks_at_the_start_of_training_only() -> None:
    evidence = sine(lambda run: -3.0 - spread(run) if run["role"] == "plain" else 0.0, later=50.0)
    line = judged("K11", Scale.SINE, evidence.tables())
    assert line.verdict == Verdict.SUPPORTED
    (tested,) = line.tested
    assert tested.mean == pytest.approx(3.035)
    assert tested.comparison.numbers == pytest.approx(
        {"first over last layer, plain": 10**-3.035, "first over last layer, residual": 1.0}
    )


def test_k11_a_gradient_of_zero_is_the_smallest_there_is() -> None:
    evidence = sine(lambda run: 0.0)
    table = evidence.table()
    plain = table["run_id"].isin(evidence.frame["run_id"][evidence.frame["role"] == "plain"])
    table.loc[plain & (table["layer"] < LAYERS), "gradient_norm"] = 0.0
    tables = replace(evidence, measure=lambda run: table[table["run_id"] == run["run_id"]].to_dict("records"))
    line = judged("K11", Scale.SINE, tables.tables())
    assert line.verdict == Verdict.SUPPORTED
    assert line.tested[0].mean == pytest.approx(45 + np.log10(3), abs=0.01)


def test_b1_batch_norm_is_judged_by_sigmoids_in_plain_nets() -> None:
    def vanishing(without: float, with_norm: float) -> Evidence:
        here = only(role="plain", activation="sigmoid")
        powers = {False: without, True: with_norm}
        return sine(lambda run: powers[run["batch_norm"]] + spread(run) if here(run) else 0.0)

    check("B1", Scale.SINE, vanishing(-20, -1.5), vanishing(-2, -1.5), vanishing(-3, -20), vanishing(0, 0))
    assert judged("B1", Scale.SINE, vanishing(-20, -3).tables()).verdict == Verdict.NOT_SUPPORTED


def test_b1_exploding_gradients_are_no_better_than_vanishing_ones() -> None:
    def evidence(with_norm: float) -> Evidence:
        here = only(role="plain", activation="sigmoid")
        return sine(lambda run: (with_norm if run["batch_norm"] else -3.0) + spread(run) if here(run) else 0.0)

    assert judged("B1", Scale.SINE, evidence(3.0).tables()).verdict == Verdict.NOT_SUPPORTED
    assert judged("B1", Scale.SINE, evidence(1.5).tables()).verdict == Verdict.SUPPORTED


def test_z9_sigmoids_are_compared_with_relus_without_batch_norm() -> None:
    def apart(powers: float, **where: object) -> Evidence:
        here = only(role="plain", activation="sigmoid", **where)
        return sine(lambda run: spread(run) - (powers if here(run) else 0.0))

    check(
        "Z9",
        Scale.SINE,
        apart(10.0, batch_norm=False),
        apart(0.5, batch_norm=False),
        apart(-10.0, batch_norm=False),
        apart(10.0, batch_norm=True),
    )


def degrading(loss: float, power: float, later: float = 0.0) -> Evidence:
    """Plain nets with batch norm: the loss of 32 layers as a share of chance, and their gradients."""
    depths, norms = [8, 32], [True]
    frame = nets(
        lambda run: {"train_loss": loss * CHANCE_LOSS} if run["depth"] == 32 else {}, depth=depths, batch_norm=norms
    )
    measure = falling(lambda run: power + spread(run) * np.sign(power), later=later)
    return Evidence("gradients-digits", "gradients", frame, measure)


def test_k4_takes_degradation_and_healthy_gradients() -> None:
    check(
        "K4",
        Scale.DIGITS,
        degrading(0.8, 0.5),
        degrading(0.05, 0.5),
        degrading(0.8, -3.0),
        degrading(0.8, 3.0),
        degrading(0.8, 0.0, later=-2.5),
    )


def test_k4_names_the_half_that_fails() -> None:
    assert judged("K4", Scale.DIGITS, degrading(0.05, 0.5).tables()).reason == (
        "it does not hold that the training loss of 32 plain layers with batch norm is above that of 8"
    )
    line = judged("K4", Scale.DIGITS, degrading(0.8, 0.0, later=3.0).tables())
    assert line.reason == "it does not hold that in 32 plain layers with batch norm, gradients never vanish or explode"
    assert line.tested[1].comparison.numbers == pytest.approx(
        {"second over last layer, least": 1.0, "second over last layer, greatest": 1000.0}
    )


def test_k4_a_gradient_that_is_no_number_has_exploded() -> None:
    evidence = degrading(0.8, 0.0)

    def measure(run: Row) -> Iterable[Row]:
        for row in evidence.measure(run):
            yield row | ({"gradient_norm": np.nan} if row["step"] and row["layer"] < LAYERS else {})

    assert judged("K4", Scale.DIGITS, replace(evidence, measure=measure).tables()).verdict == Verdict.NOT_SUPPORTED


def test_k4_takes_runs_of_both_depths() -> None:
    evidence = degrading(0.8, 0.0)
    line = judged("K4", Scale.DIGITS, replace(evidence, frame=evidence.frame.query("depth == 8")).tables())
    assert line.verdict == Verdict.NOT_TESTED
    assert line.reason.endswith("depth 32")
