"""Shattered gradients: against finite differences, sequences with a known autocorrelation, and random products."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from resnet_cli.analysis.shattered import (
    KINDS,
    LAGS,
    POINTS,
    Kind,
    autocorrelation,
    input_gradients,
    make_net,
    make_run,
    mean_over_pairs,
    measure,
    predicted,
    reach,
    shared_activity,
    summarise,
)
from resnet_cli.models.mlp import layer_names

NETS = [(kind, batch_norm) for kind in KINDS for batch_norm in (False, True)]
GRID = torch.linspace(-6, 6, 200, dtype=torch.float64)[:, None]


@pytest.mark.parametrize(("kind", "batch_norm"), NETS)
def test_gradients_equal_finite_differences(kind: Kind, batch_norm: bool) -> None:
    net = make_net(kind, make_run(kind, 7, batch_norm=batch_norm, width=8))
    gradients, _ = input_gradients(net, GRID)
    step = 1e-7  # few of the inputs have a kink that near
    with torch.no_grad():
        differences = (net(GRID + step) - net(GRID - step))[:, 0] / (2 * step)
    assert gradients.abs().max() > 1e-3
    assert torch.isclose(gradients, differences, rtol=1e-4, atol=1e-7).double().mean() > 0.98


def test_the_gradient_of_a_plain_net_is_the_product_of_its_layers() -> None:
    run = make_run("plain", 3, batch_norm=False, width=5)
    net = make_net("plain", run)
    layers = [net.get_submodule(name) for name in [*layer_names(3, None), "output"]]
    weights = [layer.weight.detach().numpy() for layer in layers]  # type: ignore[operator]
    biases = [layer.bias.detach().numpy() for layer in layers]  # type: ignore[operator]
    expected, masks = [], []
    for x in GRID.numpy():
        values, slope, active = x, np.ones((1, 1)), []
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            before = weight @ values + bias
            slope, values = (weight @ slope) * (before > 0)[:, None], np.maximum(before, 0)
            active.append(before > 0)
        expected.append((weights[-1] @ slope).item())
        masks.append(np.concatenate(active))
    gradients, active_units = input_gradients(net, GRID)
    np.testing.assert_allclose(gradients, expected, rtol=1e-12)
    np.testing.assert_array_equal(active_units, masks)


def test_the_gradient_of_a_linear_net_is_the_same_everywhere() -> None:
    gradients, _ = input_gradients(nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 1)).double(), GRID)
    np.testing.assert_allclose(autocorrelation(gradients.numpy()), 1)
    assert mean_over_pairs(gradients.numpy()) == pytest.approx(1)
    assert math.isnan(reach(autocorrelation(gradients.numpy())))


def test_white_noise_has_no_autocorrelation_and_a_random_walk_forgets_slowly() -> None:
    noise = np.random.default_rng(0).normal(size=4000)
    assert np.abs(autocorrelation(noise)[1:100]).max() < 0.07
    assert abs(mean_over_pairs(noise)) < 0.002
    assert reach(autocorrelation(noise)) == pytest.approx(0.5, abs=0.02)
    averages = np.convolve(noise, np.ones(10), "valid")  # of ten neighbours each: 1 - k/10 at shift k
    np.testing.assert_allclose(autocorrelation(averages)[:11], 1 - np.arange(11) / 10, atol=0.1)
    assert reach(autocorrelation(averages)) == pytest.approx(5, abs=0.6)


def test_zeros_have_no_autocorrelation() -> None:
    assert np.isnan(autocorrelation(np.zeros(4))).all()
    found = autocorrelation(np.array([0.0, 0.0, 1.0, 1.0]))
    assert found[0] == 1
    assert found[1] == pytest.approx(1 / np.sqrt(2))  # (0, 0, 1) with (0, 1, 1)
    assert np.isnan(found[2:]).all()  # (0, 0) with (1, 1)


def test_pairs_and_shared_activity_equal_a_loop_over_all_pairs() -> None:
    draws = np.random.default_rng(1)
    values, active = draws.normal(size=9), draws.random((9, 6)) < 0.4
    pairs = [(i, j) for i in range(9) for j in range(9) if i != j]
    products = np.mean([values[i] * values[j] for i, j in pairs]) / np.mean(values**2)
    assert mean_over_pairs(values) == pytest.approx(products)
    both = sum((active[i] & active[j]).sum() for i, j in pairs) / sum(active[i].sum() for i, j in pairs)
    assert shared_activity(active) == pytest.approx(both)
    assert math.isnan(mean_over_pairs(np.zeros(3)))
    assert math.isnan(shared_activity(np.zeros((3, 2), bool)))


@pytest.mark.parametrize("kind", ["plain", "pre-activation"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("gain", [1.0, 1 / 6])
def test_the_theory_equals_random_products_under_its_assumptions(kind: Kind, batch_norm: bool, gain: float) -> None:
    """Gaussian weights; units are active at random, with a half at each input and a quarter at both."""
    depth, width, nets = 4, 30, 4000
    draws = np.random.default_rng(2)

    def weights() -> np.ndarray:
        return draws.normal(0, math.sqrt(2 * gain / width), (nets, width, width))

    def passed(slopes: np.ndarray) -> np.ndarray:
        return slopes * (draws.random((nets, width, 2)) < 0.5)

    slopes = np.repeat(draws.normal(size=(nets, width, 1)), 2, axis=2)  # at two inputs, after the first layer
    for block in range(depth - 1):
        if kind == "plain":
            slopes = weights() @ passed(slopes)
        else:
            slopes = slopes + weights() @ passed(slopes) / math.sqrt(1 + gain * block if batch_norm else 1)
    first, second = (draws.normal(size=(nets, 1, width)) @ passed(slopes))[:, 0].T
    measured = (first * second).mean() / math.sqrt((first**2).mean() * (second**2).mean())
    assert measured == pytest.approx(predicted(kind, depth, batch_norm=batch_norm, gain=gain), abs=0.04)


def test_the_theory_has_the_rates_of_the_papers_theorems() -> None:
    assert predicted("plain", 5, batch_norm=True) == 2**-5
    without = [predicted("pre-activation", depth, batch_norm=False) for depth in range(1, 6)]
    assert [after / before for before, after in pairwise(without)] == pytest.approx([3 / 4] * 4)
    many, more = (predicted("pre-activation", depth, batch_norm=True) for depth in (1001, 4001))
    assert many / more == pytest.approx(2, rel=1e-3)  # 1/√L
    assert math.isnan(predicted("residual", 4, batch_norm=True))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_kinds_of_nets_share_their_initial_values(batch_norm: bool) -> None:
    nets = [make_net(kind, make_run(kind, 4, batch_norm=batch_norm, width=6)) for kind in KINDS]
    linear = [[module for module in net.modules() if isinstance(module, nn.Linear)] for net in nets]
    assert [len(layers) for layers in linear] == [5, 5, 5]
    for plain, *others in list(zip(*linear, strict=True))[:-1]:
        assert all(torch.equal(plain.weight, other.weight) for other in others)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.concat(measure([1, 4], [3, 5], width=6), ignore_index=True)


def test_every_net_has_its_rows(frame: pd.DataFrame) -> None:
    counts = frame[frame["quantity"] != "gradient"].groupby(["kind", "batch_norm", "depth", "seed"]).size()
    assert len(counts) == 3 * 2 * 2 * 2
    assert set(counts) == {len(LAGS) + 4}
    curves = frame[frame["quantity"] == "gradient"]
    assert set(zip(curves["depth"], curves["seed"], strict=True)) == {(4, 3)}
    assert len(curves) == 3 * 2 * POINTS
    assert curves.groupby(["kind", "batch_norm"])["value"].apply(lambda values: (values**2).mean()).to_numpy() == (
        pytest.approx(1)
    )


def test_nets_without_skips_are_the_same(frame: pd.DataFrame) -> None:
    """A residual net of one layer is the plain one."""
    first = frame[(frame["depth"] == 1) & (frame["quantity"] == "correlation")].pivot_table(
        "value", ["batch_norm", "seed"], "kind"
    )
    pd.testing.assert_series_equal(first["plain"], first["residual"], check_names=False)


def test_the_summary_has_means_over_seeds(frame: pd.DataFrame) -> None:
    found = summarise(frame)
    assert len(found) == 12
    cell = frame[(frame["kind"] == "plain") & frame["batch_norm"] & (frame["depth"] == 4)]
    ((_, row),) = found[(found["kind"] == "plain") & found["batch_norm"] & (found["depth"] == 4)].iterrows()
    by_name = cell[cell["at"].isna()].groupby("quantity")["value"]
    assert row["correlation"] == pytest.approx(by_name.mean()["correlation"])
    assert row["reach"] == pytest.approx(by_name.median()["reach"])
    assert row["predicted"] == pytest.approx(2**-4)
    nearest = cell[(cell["quantity"] == "autocorrelation") & (cell["at"] < 0.013)]["value"]
    assert row["neighbours"] == pytest.approx(nearest.mean())
