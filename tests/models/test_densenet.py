from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.models import build_net, count_parameters, describe_net
from resnet_cli.models.activations import ACTIVATIONS
from resnet_cli.models.base import Dropout
from resnet_cli.models.densenet import DenseLayer
from resnet_cli.settings.errors import UserError
from tests.conftest import MakeRun
from tests.models.gradients import check_gradients

CIFAR = (3, 32, 32)
each_model = pytest.mark.parametrize("model", ["densenet", "densenet-bc"])
with_and_without_norm = pytest.mark.parametrize("batch_norm", [True, False])


def random_images(batch: int, channels: int, side: int) -> Tensor:
    """Images (B, C, H, W) from a fixed seed."""
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(0))


def describe(make_run: MakeRun, model: str, depth: int, outputs: int = 10, **settings: Any) -> nn.Module:
    return describe_net(make_run(task="cifar10", models=model, depths=depth, **settings), CIFAR, outputs)


@torch.no_grad()
def shift_norms(net: nn.Module) -> None:
    """Give the norms of a net weights and biases that are not one and zero."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5, generator=generator)
            module.bias.uniform_(-0.5, 0.5, generator=generator)


def seed_dropout(net: nn.Module) -> None:
    """Make all dropout layers of a net draw from one generator, as in training."""
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, Dropout):
            module.generator = generator


@pytest.mark.parametrize(
    ("model", "depth", "growth_rate", "width", "published"),
    [
        ("densenet", 40, 12, 16, "1.0"),
        ("densenet", 100, 12, 16, "7.0"),
        ("densenet", 100, 24, 16, "27.2"),
        ("densenet-bc", 100, 12, 24, "0.8"),
        ("densenet-bc", 250, 24, 48, "15.3"),
        ("densenet-bc", 190, 40, 80, "25.6"),
    ],
)
def test_parameter_counts_match_table_2(
    model: str, depth: int, growth_rate: int, width: int, published: str, make_run: MakeRun
) -> None:
    net = describe(make_run, model, depth, growth_rate=growth_rate, width=width)
    assert f"{count_parameters(net) / 1e6:.1f}" == published


def formula(depth: int, width: int, growth: int, batch_norm: bool, theta: float | None) -> int:
    """Parameters of a net with one image channel and ten outputs, layer by layer; `theta` is None without BC."""

    def composite(n_in: int, n_out: int, kernel: int) -> int:
        return n_in * n_out * kernel**2 + (2 * n_in if batch_norm else n_out)

    layers = (depth - 4) // (3 if theta is None else 6)
    total, maps = 9 * width + (0 if batch_norm else width), width
    for block in range(3):
        for _ in range(layers):
            if theta is None:
                total += composite(maps, growth, 3)
            else:
                total += composite(maps, 4 * growth, 1) + composite(4 * growth, growth, 3)
            maps += growth
        if block < 2:
            kept = int(maps * (theta or 1))
            total += composite(maps, kept, 1)
            maps = kept
    return total + (2 * maps if batch_norm else 0) + 10 * maps + 10


@pytest.mark.parametrize(("depth", "width", "growth"), [(40, 16, 12), (16, 1, 5)])
@with_and_without_norm
def test_nets_have_exactly_the_parameters_of_their_layers(
    depth: int, width: int, growth: int, batch_norm: bool, make_run: MakeRun
) -> None:
    settings = {"task": "digits", "depths": depth, "width": width, "growth_rate": growth, "batch_norm": batch_norm}
    plain = describe_net(make_run(models="densenet", **settings), (1, 8, 8), 10)
    assert count_parameters(plain) == formula(depth, width, growth, batch_norm, None)
    for theta in (0.5, 0.75, 1.0):
        compressed = describe_net(make_run(models="densenet-bc", compression=theta, **settings), (1, 8, 8), 10)
        assert count_parameters(compressed) == formula(depth, width, growth, batch_norm, theta)


@pytest.mark.parametrize(("model", "depths"), [("densenet", [7, 10, 40]), ("densenet-bc", [10, 16, 100])])
def test_depth_counts_the_weight_layers(model: str, depths: list[int], make_run: MakeRun) -> None:
    for depth in depths:
        modules = describe(make_run, model, depth).modules()
        assert sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in modules) == depth


@each_model
@pytest.mark.parametrize(("width", "growth"), [(16, 12), (5, 3)])
def test_input_channels_grow_by_k_from_layer_to_layer(model: str, width: int, growth: int, make_run: MakeRun) -> None:
    net = describe(make_run, model, 40, width=width, growth_rate=growth)
    k0, number, blocks = width, 0, 1
    for block in net.get_submodule("blocks").children():
        convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
        n_in, n_out = convolutions[0].in_channels, convolutions[-1].out_channels
        if isinstance(block, DenseLayer):
            number += 1
            assert (n_in, n_out) == (k0 + growth * (number - 1), growth)
        else:
            assert number == (12 if model == "densenet" else 6)
            assert n_in == k0 + growth * number
            k0, number, blocks = n_out, 0, blocks + 1
    assert blocks == 3


@pytest.mark.parametrize(
    ("width", "growth", "theta", "kept"),
    [
        (24, 12, 0.5, [18, 15]),  # 36 / 2, then 30 / 2
        (5, 2, 0.5, [3, 2]),  # rounded down
        (88, 12, 0.29, [29, 11]),  # 0.29 · 100 is 28.99... in floating point
        (2, 1, 0.001, [1, 1]),  # at least one channel
        (7, 3, 1.0, [10, 13]),
    ],
)
def test_bc_transitions_keep_a_share_theta_of_the_channels(
    width: int, growth: int, theta: float, kept: list[int], make_run: MakeRun
) -> None:
    net = describe(make_run, "densenet-bc", 10, width=width, growth_rate=growth, compression=theta)
    blocks = net.get_submodule("blocks")
    transitions = [block for block in blocks.children() if not isinstance(block, DenseLayer)]
    convolutions = [module for block in transitions for module in block.modules() if isinstance(module, nn.Conv2d)]
    assert [conv.out_channels for conv in convolutions] == kept
    assert all(conv.kernel_size == (1, 1) for conv in convolutions)


def test_bottlenecks_have_four_times_the_growth_rate(make_run: MakeRun) -> None:
    for block in describe(make_run, "densenet-bc", 22, growth_rate=5).get_submodule("blocks").children():
        convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
        if isinstance(block, DenseLayer):
            assert [(conv.kernel_size[0], conv.out_channels) for conv in convolutions] == [(1, 20), (3, 5)]


@each_model
@pytest.mark.parametrize(("channels", "side"), [(3, 32), (3, 16), (1, 8)])
def test_layers_append_channels_and_transitions_halve_the_resolution(
    model: str, channels: int, side: int, make_run: MakeRun
) -> None:
    run = make_run(task="cifar10", models=model, depths=16, width=4, growth_rate=2)
    net = build_net(run, (channels, side, side), 10)
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []
    for block in net.get_submodule("blocks").children():
        block.register_forward_hook(lambda module, inputs, output: calls.append((module, inputs[0], output)))
    assert net(random_images(2, channels, side)).shape == (2, 10)
    for module, inputs, output in calls:
        if isinstance(module, DenseLayer):
            assert torch.equal(output[:, :-2], inputs)
            assert output.shape[1] == inputs.shape[1] + 2
        else:
            assert output.shape[2] == inputs.shape[2] // 2
    assert calls[-1][2].shape[2:] == (side // 4, side // 4)


def forward_by_hand(net: nn.Module, images: Tensor, model: str, layers: int, activation: str) -> Tensor:
    """The forward pass in training mode with `layers` layers a block, written out."""
    weights: dict[str, Tensor] = net.state_dict()
    act = ACTIVATIONS[activation].function

    def normalise(x: Tensor, norm: str) -> Tensor:
        if f"{norm}.weight" not in weights:
            return x
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = x.var((0, 2, 3), keepdim=True, unbiased=False)
        x = (x - mean) / (variance + 1e-5).sqrt()
        return x * weights[f"{norm}.weight"][:, None, None] + weights[f"{norm}.bias"][:, None, None]

    def step(x: Tensor, name: str, padding: int) -> Tensor:
        x = act(normalise(x, f"{name}.norm"))
        return F.conv2d(x, weights[f"{name}.conv.weight"], weights.get(f"{name}.conv.bias"), padding=padding)

    maps = [F.conv2d(images, weights["conv.weight"], weights.get("conv.bias"), padding=1)]
    index = 0
    for block in range(3):
        for _ in range(layers):
            new = torch.cat(maps, 1)
            if model == "densenet-bc":
                new = step(new, f"blocks.{index}.0", 0)
            maps.append(step(new, f"blocks.{index}.{1 if model == 'densenet-bc' else 0}", 1))
            index += 1
        if block < 2:
            new = step(torch.cat(maps, 1), f"blocks.{index}.0", 0)
            corners = [new[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
            maps = [(corners[0] + corners[1] + corners[2] + corners[3]) / 4]
            index += 1
    x = act(normalise(torch.cat(maps, 1), "last_norm"))
    return x.mean((2, 3)) @ weights["output.weight"].T + weights["output.bias"]


@pytest.mark.parametrize(("model", "depth"), [("densenet", 10), ("densenet-bc", 16)])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@with_and_without_norm
def test_the_forward_pass_matches_the_paper(
    model: str, depth: int, activation: str, batch_norm: bool, make_run: MakeRun
) -> None:
    run = make_run(
        task="digits",
        models=model,
        depths=depth,
        width=3,
        growth_rate=2,
        activation=activation,
        batch_norm=batch_norm,
        init="default",
    )
    net = build_net(run, (1, 8, 8), 10).double()
    shift_norms(net)
    images = random_images(5, 1, 8).double()
    by_hand = forward_by_hand(net, images, model, 2, activation)
    torch.testing.assert_close(net(images), by_hand, rtol=1e-9, atol=1e-9)


@each_model
@pytest.mark.parametrize(("batch_norm", "norms"), [(True, 9), (False, 0)])
def test_convolutions_have_biases_only_without_batch_norm(
    model: str, batch_norm: bool, norms: int, make_run: MakeRun
) -> None:
    modules = list(describe(make_run, model, 10, batch_norm=batch_norm).modules())
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
    assert [conv.bias is None for conv in convolutions] == [batch_norm] * 9
    # One precedes each convolution except the first, and one the output.
    assert sum(isinstance(module, nn.BatchNorm2d) for module in modules) == norms


@each_model
def test_dropout_follows_every_convolution_except_the_first(model: str, make_run: MakeRun) -> None:
    settings = {"task": "digits", "models": model, "depths": 10, "width": 4}
    net, without = (build_net(make_run(dropout=p, **settings), (1, 8, 8), 10) for p in (0.5, 0.0))
    seed_dropout(net)
    images = random_images(4, 1, 8)
    convolved: list[Tensor] = []
    dropped: list[Tensor] = []
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *call: convolved.append(call[2]))
        if isinstance(module, Dropout):
            module.register_forward_hook(lambda *call: dropped.append(call[1][0]))
    assert not torch.equal(net(images), net(images))
    assert len(convolved) == 2 * 9
    kept = convolved[1:9] + convolved[10:]
    assert all(inputs is output for inputs, output in zip(dropped, kept, strict=True))
    fresh = build_net(make_run(dropout=0.5, **settings), (1, 8, 8), 10)
    assert torch.equal(fresh.eval()(images), without.eval()(images))


def test_dropout_acts_on_new_channels_never_on_inputs(make_run: MakeRun) -> None:
    net = build_net(make_run(task="digits", models="densenet", depths=10, width=4, dropout=0.5), (1, 8, 8), 10)
    seed_dropout(net)
    layer = net.get_submodule("blocks.0")
    inputs = random_images(4, 4, 8)
    output = layer(inputs)
    assert torch.equal(output[:, :4], inputs)
    assert (output[:, 4:] == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"models": "densenet", "growth_rate": 0}, "growth_rate"),
        ({"models": "densenet-bc", "compression": 0}, "compression"),
        ({"models": "densenet-bc", "compression": 1.5}, "compression"),
        ({"models": "densenet", "compression": 0.5}, "compression .* is not a setting of densenet"),
        ({"models": "densenet", "depths": 8}, "3m\\+4 from 7 on, the nearest are 7 and 10"),
        ({"models": "densenet-bc", "depths": 13}, "6m\\+4 from 10 on, the nearest are 10 and 16"),
    ],
)
def test_settings_that_the_papers_do_not_define_are_rejected(
    settings: dict[str, Any], text: str, make_run: MakeRun
) -> None:
    with pytest.raises(UserError, match=text):
        make_run(**{"task": "digits", "depths": 10} | settings)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "depth"), [("densenet", 7), ("densenet-bc", 10)])
@with_and_without_norm
def test_gradients_agree_with_finite_differences(model: str, depth: int, batch_norm: bool, make_run: MakeRun) -> None:
    run = make_run(
        task="digits",
        models=model,
        depths=depth,
        width=2,
        growth_rate=1,
        activation="tanh",
        batch_norm=batch_norm,
        init="glorot",
    )
    assert check_gradients(run, random_images(3, 1, 4))
