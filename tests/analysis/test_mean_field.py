"""The mean-field recursion against closed forms, and against a wide net."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import erf

from resnet_cli.analysis.mean_field import MeanField, Nonlinearity, nonlinearity, residual_gradient_growth
from resnet_cli.models import build_net
from tests.conftest import MakeRun

RELU, TANH = nonlinearity("relu"), nonlinearity("tanh")
LINEAR = Nonlinearity(lambda x: x, np.ones_like)
ERF = Nonlinearity(erf, lambda x: 2 / math.sqrt(math.pi) * np.exp(-(x**2)))


@pytest.mark.parametrize("sigma_b", [0.0, 0.3])
@pytest.mark.parametrize("squared", [0.1, 1.0, 1.9, 2.1, 8.0])
def test_relu_nets_are_critical_where_the_variance_is_two(squared: float, sigma_b: float) -> None:
    field = MeanField(RELU, math.sqrt(squared), sigma_b)
    assert field.chi == pytest.approx(squared / 2)
    fixed = sigma_b**2 / (1 - squared / 2) if squared < 2 else math.inf
    assert field.length == pytest.approx(fixed, rel=1e-6)
    assert field.correlation == 1
    assert field.depth_scale == pytest.approx(1 / abs(math.log(squared / 2)))
    assert field.length_scale == pytest.approx(field.depth_scale, rel=1e-6)


def test_the_depth_scale_of_relu_nets_is_infinite_at_the_critical_point() -> None:
    assert MeanField(RELU, math.sqrt(2)).depth_scale == math.inf


@pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.4, 0.99])
def test_relu_correlations_follow_the_arc_cosine_kernel(correlation: float) -> None:
    """Cho & Saul 2009, of degree 1."""
    angle = math.acos(correlation)
    expected = 3.0 * 0.7 / (2 * math.pi) * (math.sin(angle) + (math.pi - angle) * correlation) + 0.04
    assert MeanField(RELU, math.sqrt(3), 0.2).next_product(0.7, correlation) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.8])
@pytest.mark.parametrize("length", [0.1, 4.0])
def test_error_functions_follow_the_arc_sine_kernel(length: float, correlation: float) -> None:
    """Williams 1997, "Computing with infinite networks"."""
    expected = 1.21 * 2 / math.pi * math.asin(2 * length * correlation / (1 + 2 * length)) + 0.09
    assert MeanField(ERF, 1.1, 0.3).next_product(length, correlation) == pytest.approx(expected, rel=1e-9)
    assert MeanField(ERF, 1.1, 0.3).next_length(length) == pytest.approx(
        1.21 * 2 / math.pi * math.asin(2 * length / (1 + 2 * length)) + 0.09, rel=1e-9
    )


def test_linear_nets_have_a_geometric_series_of_lengths() -> None:
    field = MeanField(LINEAR, 0.8, 0.5)
    assert field.length == pytest.approx(0.25 / (1 - 0.64))
    assert field.length_scale == pytest.approx(-1 / math.log(0.64))
    assert field.correlation_scale == pytest.approx(-1 / math.log(0.64))


@pytest.mark.parametrize("sigma_w", [0.5, 0.99])
def test_tanh_nets_without_biases_forget_below_one(sigma_w: float) -> None:
    field = MeanField(TANH, sigma_w)
    assert (field.length, field.correlation) == (0, 1)
    assert field.chi == pytest.approx(sigma_w**2, rel=1e-6)
    assert field.depth_scale == pytest.approx(-1 / math.log(sigma_w**2), rel=1e-4)


@pytest.mark.parametrize("sigma_w", [1.05, 2.0])
def test_tanh_nets_without_biases_are_chaotic_above_one(sigma_w: float) -> None:
    field = MeanField(TANH, sigma_w)
    assert 0 < field.length < sigma_w**2
    assert field.next_length(field.length) == pytest.approx(field.length)
    assert field.chi > 1
    assert field.correlation == 0  # inputs become orthogonal
    points = np.linspace(-8, 8, 20_001)
    density = np.exp(-(points**2) / 2) / math.sqrt(2 * math.pi)
    mean_slope = float(np.trapezoid(density / np.cosh(math.sqrt(field.length) * points) ** 2, points))
    assert field.correlation_scale == pytest.approx(-1 / math.log(sigma_w**2 * mean_slope**2), rel=1e-4)


def test_tanh_nets_with_biases_are_critical_where_the_paper_draws_it() -> None:
    """Schoenholz et al. 2017, Fig. 5: with σ_b² = 0.05 the critical σ_w² is 1.76."""
    below, above = (MeanField(TANH, math.sqrt(squared), math.sqrt(0.05)) for squared in (1.74, 1.78))
    assert below.chi < 1 < above.chi
    assert below.correlation == 1 > above.correlation > 0.5
    assert min(below.depth_scale, above.depth_scale) > 100


def test_a_wide_net_of_the_project_follows_the_recursion(make_run: MakeRun) -> None:
    width, std, bias = 1000, 1.3 / math.sqrt(1000), 0.4
    run = make_run(models="plain", depths=5, width=width, init="normal", init_std=std, init_bias_std=bias)
    net = build_net(run.but(activation="tanh"), (1,), 1)
    lengths: list[float] = []
    for module in net.modules():
        if isinstance(module, torch.nn.Linear) and module.out_features == width:
            module.register_forward_hook(lambda _m, _i, output: lengths.append(float(output.square().mean())))
    with torch.no_grad():
        net(torch.tensor([[30.0]]))
    field = MeanField(TANH, 1.3, bias)
    assert len(lengths) == 5
    for length, following in pairwise(lengths):
        assert following == pytest.approx(field.next_length(length), rel=0.12)


def test_gradients_of_residual_relu_nets_grow_exponentially() -> None:
    single = residual_gradient_growth(MeanField(RELU, 1.5), block=1, start=1.0, layers=30)
    assert single == pytest.approx(np.arange(1, 31) * math.log(1 + 1.5**2 / 2))
    triple = residual_gradient_growth(MeanField(RELU, 1.5, 0.2), block=3, start=1.0, layers=31)
    assert triple == pytest.approx(np.arange(1, 11) * math.log(1 + (1.5**2 / 2) ** 3))


def test_gradients_of_residual_tanh_nets_grow_less_than_exponentially() -> None:
    """Their logarithm grows with the square root of the depth (Yang & Schoenholz 2017): four times as deep, twice."""
    growth = residual_gradient_growth(MeanField(TANH, 1.5), block=1, start=1.0, layers=1600)
    assert growth[1599] / growth[399] == pytest.approx(2, rel=0.1)
    assert (np.diff(growth) > 0).all()
