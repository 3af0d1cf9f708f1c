"""Residual branches with a learnt scalar that starts at 0 (De & Smith 2020, arXiv 2002.10444)."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from resnet_cli.models import build_net, count_parameters, describe_net
from resnet_cli.models.base import BranchScale
from resnet_cli.models.count import LayerRow, layer_table
from resnet_cli.settings.run import Run
from tests.conftest import MakeRun
from tests.models.gradients import check_gradients

IMAGES: dict[str, Any] = {"task": "digits", "models": "resnet", "depths": 14, "width": 2, "batch_norm": False}
NETS: dict[str, tuple[dict[str, Any], int]] = {
    "residual-mlp": ({"models": "residual-mlp", "depths": 9, "block_size": 3, "width": 4}, (9 - 1) // 3),
    "resnet": (IMAGES, 6),
    "full-preactivation": (IMAGES | {"ordering": "full-preactivation"}, 6),
    "batch norm": (IMAGES | {"batch_norm": True, "shortcut": "B"}, 6),
    "an incomplete block in each stage": (IMAGES | {"block_size": 3}, 3),
}
"""Nets with their numbers of residual blocks."""

each_net = pytest.mark.parametrize(("settings", "blocks"), NETS.values(), ids=NETS)


def shape_of(run: Run) -> tuple[int, ...]:
    return (1, 8, 8) if run.task == "digits" else (1,)


def nets(make_run: MakeRun, settings: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
    """A net without scales, and with them."""
    runs = [make_run(**settings, branch_scale=scaling) for scaling in ("none", "skipinit")]
    without, scaled = (build_net(run, shape_of(run), 3) for run in runs)
    return without, scaled


def inputs_for(settings: dict[str, Any], count: int = 5) -> Tensor:
    shape = (1, 8, 8) if "task" in settings else (1,)
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))


def scales(net: nn.Module) -> list[BranchScale]:
    return [layer for layer in net.modules() if isinstance(layer, BranchScale)]


@each_net
def test_every_residual_block_has_one_more_parameter(settings: dict[str, Any], blocks: int, make_run: MakeRun) -> None:
    without, scaled = nets(make_run, settings)
    assert len(scales(scaled)) == count_parameters(scaled) - count_parameters(without) == blocks
    assert all(scale.weight.item() == 0 for scale in scales(scaled))


@each_net
def test_all_other_parameters_start_as_without_scales(settings: dict[str, Any], blocks: int, make_run: MakeRun) -> None:
    without, scaled = nets(make_run, settings)
    values = scaled.state_dict()
    assert all(torch.equal(value, values[name]) for name, value in without.state_dict().items())


@each_net
def test_scales_of_one_give_the_net_without_them(settings: dict[str, Any], blocks: int, make_run: MakeRun) -> None:
    without, scaled = nets(make_run, settings)
    inputs = inputs_for(settings)
    assert not torch.equal(scaled(inputs), without(inputs))
    for scale in scales(scaled):
        nn.init.ones_(scale.weight)
    assert torch.equal(scaled(inputs), without(inputs))


@pytest.mark.parametrize("depth", [4, 40])
def test_a_scaled_mlp_starts_as_its_first_layer_and_output(depth: int, make_run: MakeRun) -> None:
    deep = build_net(make_run(models="residual-mlp", depths=depth, branch_scale="skipinit"), (1,), 1)
    shallow = build_net(make_run(depths=1), (1,), 1)
    points = torch.linspace(-3, 3, 9)[:, None]
    assert torch.equal(deep(points), shallow(points))


@pytest.mark.parametrize("ordering", ["original", "full-preactivation"])
def test_a_scaled_resnet_starts_as_the_chain_of_its_shortcuts(ordering: str, make_run: MakeRun) -> None:
    """Option A only takes every second pixel and appends zeros, and no activation changes what a ReLU returned."""
    settings = IMAGES | {"ordering": ordering, "depths": 20}
    _, net = nets(make_run, settings)
    images = inputs_for(settings)
    first: Any = net.conv
    output: Any = net.output
    begun = first(images).relu()  # (B, 2, 8, 8)
    pooled = torch.cat([begun[:, :, ::4, ::4], torch.zeros(len(images), 6, 2, 2)], dim=1).mean(dim=(2, 3))
    torch.testing.assert_close(net(images), output(pooled))


def test_a_scale_first_learns_by_what_its_branch_would_add(make_run: MakeRun) -> None:
    """At 0, with one block, its gradient is the mean over examples of the output's weights times branch and ReLU'."""
    net: Any = build_net(make_run(models="residual-mlp", depths=3, block_size=2, branch_scale="skipinit"), (1,), 1)
    points = torch.linspace(-3, 3, 9)[:, None]
    net(points).mean().backward()
    (block,) = net.blocks
    entered = net.entry(points).relu()
    branch = block.layers[1](block.layers[0](entered).relu())
    expected = ((entered > 0) * branch @ net.output.weight[0]).mean()
    torch.testing.assert_close(block.branch_scale.weight.grad, expected)
    assert all(not parameter.grad.any() for parameter in block.layers.parameters())


@each_net
def test_gradients_agree_with_finite_differences(
    settings: dict[str, Any], blocks: int, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BranchScale, "reset_parameters", lambda layer: nn.init.constant_(layer.weight, -0.7))
    run = make_run(
        **settings | {"depths": min(settings["depths"], 8), "activation": "tanh", "branch_scale": "skipinit"}
    )
    assert check_gradients(run, inputs_for(settings, 3), fast_mode=True)


def test_scales_are_rows_among_the_layers_without_multiply_adds(make_run: MakeRun) -> None:
    rows = layer_table(describe_net(make_run(**IMAGES, branch_scale="skipinit"), (1, 8, 8), 10), (1, 8, 8))
    of_scales = [row for row in rows if row.kind == "learnt scalar"]
    assert len(of_scales) == 6
    assert of_scales[0] == LayerRow("blocks.0.branch_scale", "learnt scalar", (2, 8, 8), 1, 0)
