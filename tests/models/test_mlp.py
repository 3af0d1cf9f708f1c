from typing import Any

import pytest
import torch
from torch import Tensor, nn

from resnet_cli.models import build_net, count_parameters, describe_net
from resnet_cli.models.base import Dropout
from tests.conftest import MakeRun
from tests.models.gradients import check_gradients

BLOCKS = [(1, 1), (2, 1), (9, 1), (2, 2), (3, 2), (4, 2), (7, 2), (3, 3), (4, 3), (6, 3), (12, 3)]
"""Depths and block sizes with no block, one or more, and with none to two layers left over."""


@pytest.fixture
def points() -> Tensor:
    """Inputs for the sine, from a fixed seed."""
    return 6 * torch.rand(16, 1, generator=torch.Generator().manual_seed(0)) - 3  # (B, 1)


def layers_of(net: nn.Module) -> list[nn.Linear]:
    """The hidden layers and the output layer, in order."""
    return [module for module in net.modules() if isinstance(module, nn.Linear)]


def apply_rule(net: nn.Module, inputs: Tensor, block_size: int, activation: Any) -> Tensor:
    """A residual net by definition: hidden layers 2 to `depth` in blocks, a block's input added to its last sum."""

    def affine(layer: nn.Linear, x: Tensor) -> Tensor:
        return x @ layer.weight.T + layer.bias

    first, *inner, output = layers_of(net)
    x = activation(affine(first, inputs))
    while inner:
        block, inner = inner[:block_size], inner[block_size:]
        block_input = x
        for layer in block[:-1]:
            x = activation(affine(layer, x))
        last = affine(block[-1], x)
        x = activation(last + block_input if len(block) == block_size else last)
    return affine(output, x)


@pytest.mark.parametrize(
    ("depth", "parameters"),
    [
        (1, 1 * 30 + 30 + 30 * 1 + 1),
        (2, 1 * 30 + 30 + (30 * 30 + 30) + 30 * 1 + 1),
        (3, 1 * 30 + 30 + 2 * (30 * 30 + 30) + 30 * 1 + 1),
    ],
)
@pytest.mark.parametrize("model", ["plain", "residual"])
def test_depth_counts_hidden_layers_before_a_linear_output(
    model: str, depth: int, parameters: int, make_run: MakeRun
) -> None:
    net = build_net(make_run(models=model, depths=depth, width=30), (1,), 1)
    assert count_parameters(net) == parameters
    assert sum(isinstance(module, nn.Linear) for module in net.modules()) == depth + 1


def test_images_are_flattened(make_run: MakeRun) -> None:
    net = build_net(make_run(task="digits", models="plain-mlp", depths=2, width=5), (3, 4, 4), 10)
    assert count_parameters(net) == 48 * 5 + 5 + 5 * 5 + 5 + 5 * 10 + 10
    images = torch.rand(7, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert net(images).shape == (7, 10)
    assert torch.equal(net(images), net(images.flatten(1)))
    assert torch.equal(net(images), net(images.to(memory_format=torch.channels_last)))


def test_batch_norm_replaces_hidden_biases(make_run: MakeRun) -> None:
    net = describe_net(make_run(depths=3, width=5, batch_norm=True), (1,), 1)
    assert count_parameters(net) == 5 + 2 * 25 + 3 * (5 + 5) + 5 + 1
    assert [layer.bias is None for layer in layers_of(net)] == [True, True, True, False]


@pytest.mark.parametrize(("depth", "block_size"), BLOCKS)
def test_a_residual_net_adds_block_inputs_to_last_sums(
    depth: int, block_size: int, make_run: MakeRun, points: Tensor
) -> None:
    run = make_run(models="residual", depths=depth, block_size=block_size, activation="tanh", width=8)
    net = build_net(run, (1,), 1).double()
    expected = apply_rule(net, points.double(), block_size, torch.tanh)
    torch.testing.assert_close(net(points.double()), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_a_plain_net_is_a_chain_of_layers(activation: str, make_run: MakeRun, points: Tensor) -> None:
    net = build_net(make_run(depths=5, activation=activation, width=8), (1,), 1).double()
    expected = apply_rule(net, points.double(), 99, getattr(torch, activation))
    torch.testing.assert_close(net(points.double()), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("depth", "block_size"), BLOCKS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_without_a_complete_block_residual_nets_are_plain_nets(
    depth: int, block_size: int, batch_norm: bool, make_run: MakeRun, points: Tensor
) -> None:
    plain = build_net(make_run(depths=depth, batch_norm=batch_norm), (1,), 1)
    run = make_run(models="residual", depths=depth, block_size=block_size, batch_norm=batch_norm)
    residual = build_net(run, (1,), 1)
    assert torch.equal(plain(points), residual(points)) == (depth <= block_size)


@pytest.mark.parametrize("init", ["default", "he"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("block_size", [1, 3])
def test_twins_share_every_initial_value(init: str, batch_norm: bool, block_size: int, make_run: MakeRun) -> None:
    settings = {"depths": 8, "init": init, "batch_norm": batch_norm}
    plain = list(build_net(make_run(**settings), (1,), 1).parameters())
    residual = list(build_net(make_run(models="residual", block_size=block_size, **settings), (1,), 1).parameters())
    assert len(plain) == len(residual)
    assert all(torch.equal(one, other) for one, other in zip(plain, residual, strict=True))


def test_a_block_of_zero_layers_returns_positive_inputs_unchanged(make_run: MakeRun, points: Tensor) -> None:
    net = build_net(make_run(models="residual", depths=4, block_size=3), (1,), 1)
    shallow = build_net(make_run(depths=1), (1,), 1)
    with torch.no_grad():
        for layer in layers_of(net)[1:-1]:
            layer.weight.zero_()
            layer.bias.zero_()
    assert torch.equal(net(points), shallow(points))


def test_dropout_acts_on_hidden_layers_only_in_training_mode(make_run: MakeRun, points: Tensor) -> None:
    net = build_net(make_run(depths=3, dropout=0.5), (1,), 1)
    without = build_net(make_run(depths=3), (1,), 1)
    for module in net.modules():
        if isinstance(module, Dropout):
            module.generator = torch.Generator().manual_seed(0)
    assert not torch.equal(net(points), net(points))
    assert torch.equal(net.eval()(points), without(points))


@pytest.mark.parametrize("model", ["plain", "residual"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradients_agree_with_finite_differences(
    model: str, activation: str, batch_norm: bool, make_run: MakeRun, points: Tensor
) -> None:
    settings = {"block_size": 2} if model == "residual" else {}
    run = make_run(models=model, depths=5, width=3, activation=activation, batch_norm=batch_norm, **settings)
    assert check_gradients(run, points[:4])
