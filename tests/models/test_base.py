"""Tests of the layers that several models share."""

import pytest
import torch

from resnet_cli.models.base import Dropout


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_dropout_is_the_identity_in_evaluation_mode() -> None:
    inputs = torch.randn(50, generator=seeded())
    assert torch.equal(Dropout(0.5).eval()(inputs), inputs)


def test_dropout_with_probability_zero_draws_nothing() -> None:
    layer = Dropout(0.0)
    layer.generator = seeded()
    before = layer.generator.get_state()
    inputs = torch.randn(50, generator=seeded())
    assert torch.equal(layer(inputs), inputs)
    assert torch.equal(layer.generator.get_state(), before)


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_preserves_the_mean(probability: float) -> None:
    layer = Dropout(probability)
    layer.generator = seeded()
    outputs = layer(torch.ones(200_000))
    assert outputs.unique().tolist() == pytest.approx([0.0, 1 / (1 - probability)])
    assert (outputs == 0).float().mean().item() == pytest.approx(probability, abs=0.005)
    assert outputs.mean().item() == pytest.approx(1.0, abs=0.03)


def test_dropout_draws_only_from_its_own_generator() -> None:
    layer = Dropout(0.5)
    inputs = torch.ones(1000)
    layer.generator = seeded(1)
    state = torch.get_rng_state()
    first, second = layer(inputs), layer(inputs)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, second)
    layer.generator = seeded(1)
    assert torch.equal(layer(inputs), first)
    layer.generator = seeded(2)
    assert not torch.equal(layer(inputs), first)


def test_gradients_flow_only_through_kept_elements() -> None:
    layer = Dropout(0.5)
    layer.generator = seeded()
    inputs = torch.ones(100, requires_grad=True)
    outputs = layer(inputs)
    outputs.sum().backward()
    assert inputs.grad is not None
    assert torch.equal(inputs.grad, outputs)
