from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.models import build_net, count_parameters, describe_net
from resnet_cli.models.base import Dropout
from resnet_cli.models.resnet import ZeroPaddingShortcut
from tests.conftest import MakeRun
from tests.models.gradients import check_gradients

CIFAR = (3, 32, 32)


def random_images(batch: int, channels: int, side: int) -> Tensor:
    """Images (B, C, H, W) from a fixed seed."""
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(0))


def count(make_run: MakeRun, model: str, depth: int, **settings: Any) -> int:
    return count_parameters(describe_net(make_run(task="cifar10", models=model, depths=depth, **settings), CIFAR, 10))


def formula(depth: int, width: int = 16, batch_norm: bool = True) -> int:
    """Parameters of the net without projections, layer by layer as the paper's table lists them."""
    n = (depth - 2) // 6
    one, two, four = width, 2 * width, 4 * width
    weights = 9 * 3 * one
    weights += 9 * 2 * n * one * one
    weights += 9 * (one * two + (2 * n - 1) * two * two)
    weights += 9 * (two * four + (2 * n - 1) * four * four)
    filters = one + 2 * n * (one + two + four)
    return weights + filters * (2 if batch_norm else 1) + four * 10 + 10


@pytest.mark.parametrize(
    ("depth", "published"),
    [(20, "0.27"), (32, "0.46"), (44, "0.66"), (56, "0.85"), (110, "1.7"), (1202, "19.4")],
)
def test_parameters_in_millions_are_the_published_ones(depth: int, published: str, make_run: MakeRun) -> None:
    decimals = len(published.split(".")[1])
    assert f"{count(make_run, 'resnet', depth) / 1e6:.{decimals}f}" == published


@pytest.mark.parametrize(("depth", "width"), [(8, 16), (56, 4)])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_plain_and_residual_nets_have_their_layers_parameters(
    depth: int, width: int, batch_norm: bool, make_run: MakeRun
) -> None:
    settings = {"width": width, "batch_norm": batch_norm}
    expected = formula(depth, width, batch_norm)
    assert count(make_run, "resnet", depth, **settings) == expected
    assert count(make_run, "plain-cnn", depth, **settings) == expected


@pytest.mark.parametrize(("depth", "n"), [(8, 1), (20, 3)])
@pytest.mark.parametrize(("batch_norm", "per_filter"), [(True, 2), (False, 1)])
def test_options_b_and_c_only_add_projections(
    depth: int, n: int, batch_norm: bool, per_filter: int, make_run: MakeRun
) -> None:
    def projection(n_in: int, n_out: int) -> int:
        return n_in * n_out + per_filter * n_out

    base = formula(depth, batch_norm=batch_norm)
    where_shapes_change = projection(16, 32) + projection(32, 64)
    elsewhere = n * projection(16, 16) + (n - 1) * projection(32, 32) + (n - 1) * projection(64, 64)
    assert count(make_run, "resnet", depth, shortcut="B", batch_norm=batch_norm) == base + where_shapes_change
    assert (
        count(make_run, "resnet", depth, shortcut="C", batch_norm=batch_norm) == base + where_shapes_change + elsewhere
    )


@pytest.mark.parametrize("depth", [8, 20, 56])
def test_depth_counts_the_weight_layers(depth: int, make_run: MakeRun) -> None:
    net = describe_net(make_run(task="cifar10", models="resnet", depths=depth), CIFAR, 10)
    layers = [module for module in net.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert len(layers) == depth


@pytest.mark.parametrize("model", ["plain-cnn", "resnet"])
@pytest.mark.parametrize(("channels", "side"), [(3, 32), (1, 8)])
def test_the_resolution_is_halved_twice_for_every_image_size(
    model: str, channels: int, side: int, make_run: MakeRun
) -> None:
    net = build_net(make_run(task="cifar10", models=model, depths=14, width=4), (channels, side, side), 10)
    shapes: list[tuple[int, ...]] = []
    blocks = net.get_submodule("blocks")
    for block in blocks.children():
        block.register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape[1:])))
    assert net(random_images(2, channels, side)).shape == (2, 10)
    assert shapes == [(4 * 2**stage, side >> stage, side >> stage) for stage in (0, 0, 1, 1, 2, 2)]


@pytest.mark.parametrize(("stride", "extra", "side"), [(2, 3, 8), (2, 4, 7), (1, 2, 4), (2, 0, 4)])
def test_zero_padding_takes_every_second_pixel_and_appends_zeros(stride: int, extra: int, side: int) -> None:
    inputs = random_images(2, 3, side)
    rows = range(0, side, stride)
    expected = torch.zeros(2, 3 + extra, len(rows), len(rows))
    for image in range(2):
        for channel in range(3):
            for i, row in enumerate(rows):
                for j, column in enumerate(rows):
                    expected[image, channel, i, j] = inputs[image, channel, row, column]
    shortcut = ZeroPaddingShortcut(stride, extra)
    assert torch.equal(shortcut(inputs), expected)
    assert not list(shortcut.parameters())


def forward_by_hand(net: nn.Module, images: Tensor, option: str | None) -> Tensor:
    """The forward pass of a net of depth 8 in training mode, written out."""
    weights: dict[str, Tensor] = net.state_dict()

    def convolve(x: Tensor, conv: str, norm: str, stride: int, padding: int) -> Tensor:
        x = F.conv2d(x, weights[f"{conv}.weight"], weights.get(f"{conv}.bias"), stride, padding)
        if f"{norm}.weight" not in weights:
            return x
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = x.var((0, 2, 3), keepdim=True, unbiased=False)
        x = (x - mean) / (variance + 1e-5).sqrt()
        return x * weights[f"{norm}.weight"][:, None, None] + weights[f"{norm}.bias"][:, None, None]

    x = F.relu(convolve(images, "conv", "norm", 1, 1))
    for index, stride in enumerate([1, 2, 2]):
        block_input, name = x, f"blocks.{index}"
        x = F.relu(convolve(x, f"{name}.conv1", f"{name}.norm1", stride, 1))
        x = convolve(x, f"{name}.conv2", f"{name}.norm2", 1, 1)
        changes = index > 0
        if option == "C" or (option == "B" and changes):
            has_norm = f"{name}.shortcut.0.weight" in weights
            conv = f"{name}.shortcut.0" if has_norm else f"{name}.shortcut"
            x = x + convolve(block_input, conv, f"{name}.shortcut.1", stride, 0)
        elif option == "A" and changes:
            sampled = block_input[:, :, ::2, ::2]
            x = x + torch.cat([sampled, torch.zeros_like(sampled)], dim=1)
        elif option is not None:
            x = x + block_input
        x = F.relu(x)
    return x.mean((2, 3)) @ weights["output.weight"].T + weights["output.bias"]


@pytest.mark.parametrize("option", [None, "A", "B", "C"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_forward_pass_matches_the_paper(option: str | None, batch_norm: bool, make_run: MakeRun) -> None:
    settings = {"models": "resnet", "shortcut": option} if option else {"models": "plain"}
    run = make_run(task="digits", depths=8, width=4, batch_norm=batch_norm, init="default", **settings)
    net = build_net(run, (1, 8, 8), 10).double()
    images = random_images(5, 1, 8).double()
    torch.testing.assert_close(net(images), forward_by_hand(net, images, option), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("init", ["default", "he"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_twins_share_every_initial_value(shortcut: str, init: str, batch_norm: bool, make_run: MakeRun) -> None:
    settings = {"task": "digits", "depths": 14, "width": 4, "init": init, "batch_norm": batch_norm}
    plain = dict(build_net(make_run(models="plain", **settings), (1, 8, 8), 10).named_parameters())
    residual = dict(
        build_net(make_run(models="resnet", shortcut=shortcut, **settings), (1, 8, 8), 10).named_parameters()
    )
    assert all(torch.equal(plain[name], residual[name]) for name in plain)
    extra = residual.keys() - plain.keys()
    assert all(".shortcut" in name for name in extra)
    assert bool(extra) == (shortcut != "A")


def test_twins_compute_different_functions(make_run: MakeRun) -> None:
    images = random_images(4, 1, 8)
    outputs = [
        build_net(make_run(task="digits", models=model, depths=8, width=4), (1, 8, 8), 10)(images)
        for model in ("plain", "resnet")
    ]
    assert not torch.allclose(*outputs)


@pytest.mark.parametrize(("batch_norm", "norms"), [(True, 1 + 6), (False, 0)])
def test_convolutions_have_biases_only_without_batch_norm(batch_norm: bool, norms: int, make_run: MakeRun) -> None:
    net = describe_net(make_run(task="digits", models="resnet", depths=8, batch_norm=batch_norm), (1, 8, 8), 10)
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert [conv.bias is None for conv in convolutions] == [batch_norm] * 7
    assert sum(isinstance(module, nn.BatchNorm2d) for module in net.modules()) == norms


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_chosen_activation_is_used_everywhere(activation: str, make_run: MakeRun) -> None:
    run = make_run(task="digits", models="resnet", depths=8, width=4, activation=activation)
    net = build_net(run, (1, 8, 8), 10)
    ranges: list[tuple[float, float]] = []
    for block in net.get_submodule("blocks").children():
        block.register_forward_hook(lambda *call: ranges.append((call[2].min().item(), call[2].max().item())))
    net(random_images(4, 1, 8))
    lowest = {"tanh": -1, "sigmoid": 0}[activation]
    assert all(lowest <= low < high <= 1 for low, high in ranges)
    assert all((low < 0) == (activation == "tanh") for low, _ in ranges)


def test_dropout_acts_inside_blocks_only_in_training_mode(make_run: MakeRun) -> None:
    settings = {"task": "digits", "models": "resnet", "depths": 8, "width": 4}
    net = build_net(make_run(dropout=0.5, **settings), (1, 8, 8), 10)
    without = build_net(make_run(**settings), (1, 8, 8), 10)
    images = random_images(4, 1, 8)
    for module in net.modules():
        if isinstance(module, Dropout):
            module.generator = torch.Generator().manual_seed(0)
    assert sum(isinstance(module, Dropout) for module in net.modules()) == 3
    assert not torch.equal(net(images), net(images))
    fresh = build_net(make_run(dropout=0.5, **settings), (1, 8, 8), 10)
    assert torch.equal(fresh.eval()(images), without.eval()(images))


@pytest.mark.parametrize(
    ("model", "shortcut"), [("plain-cnn", None), ("resnet", "A"), ("resnet", "B"), ("resnet", "C")]
)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_gradients_agree_with_finite_differences(
    model: str, shortcut: str | None, batch_norm: bool, make_run: MakeRun
) -> None:
    settings = {"shortcut": shortcut} if shortcut else {}
    run = make_run(
        task="digits",
        models=model,
        depths=8,
        width=1,
        activation="tanh",
        batch_norm=batch_norm,
        init="glorot",
        **settings,
    )
    assert check_gradients(run, random_images(3, 1, 4), fast_mode=True)
