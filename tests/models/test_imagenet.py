from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.models import build_net, count_parameters, describe_net, get_model
from resnet_cli.models.base import Dropout
from resnet_cli.models.count import count_multiply_adds, layer_table
from resnet_cli.models.settings import DROPOUT
from tests.conftest import MakeRun
from tests.models.gradients import check_gradients

IMAGENET = (3, 224, 224)
RESNETS = ("imagenet-resnet", "imagenet-plain")
DEPTHS = [
    (model, depth) for model in ("vgg", *RESNETS, "imagenet-densenet") for depth in get_model(model).depth_rule.listed
]
each_form = pytest.mark.parametrize(
    ("model", "depth"),
    [("vgg", 11), ("imagenet-resnet", 18), ("imagenet-resnet", 50), ("imagenet-plain", 18), ("imagenet-densenet", 121)],
)


def random_images(batch: int, channels: int, side: int) -> Tensor:
    """Images (B, C, H, W) from a fixed seed."""
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(0))


def described(
    make_run: MakeRun, model: str, depth: int, shape: tuple[int, ...] = IMAGENET, outputs: int = 1000, **settings: Any
) -> nn.Module:
    return describe_net(
        make_run(task="cifar10", models=model, depths=depth, **{"width": 64} | settings), shape, outputs
    )


@pytest.mark.parametrize(
    ("model", "depth", "parameters", "billions"),
    [
        ("vgg", 16, 138_357_544, "15.5"),
        ("vgg", 19, 143_667_240, "19.6"),
        ("imagenet-resnet", 18, 11_689_512, "1.8"),
        ("imagenet-resnet", 34, 21_797_672, "3.7"),
        ("imagenet-resnet", 50, 25_557_032, "4.1"),
        ("imagenet-resnet", 101, 44_549_160, "7.8"),
        ("imagenet-resnet", 152, 60_192_808, "11.5"),
        ("imagenet-plain", 34, 21_797_672 - 172_032 - 1_792, "3.6"),  # without three projections and their norms
        ("imagenet-densenet", 121, 7_978_856, "2.8"),
        ("imagenet-densenet", 169, 14_149_480, "3.4"),
        ("imagenet-densenet", 201, 20_013_928, "4.3"),
        ("imagenet-densenet", 264, 33_337_704, "5.8"),
    ],
)
def test_parameters_and_multiply_adds_are_the_published_ones(
    model: str, depth: int, parameters: int, billions: str, make_run: MakeRun
) -> None:
    net = described(make_run, model, depth)
    assert count_parameters(net) == parameters
    assert f"{count_multiply_adds(net, IMAGENET) / 1e9:.1f}" == billions


@pytest.mark.parametrize(("depth", "millions"), [(11, 133), (13, 133), (16, 138), (19, 144)])
def test_vgg_has_the_parameter_counts_of_table_2(depth: int, millions: int, make_run: MakeRun) -> None:
    assert round(count_parameters(described(make_run, "vgg", depth)) / 1e6) == millions


def test_a_stride_on_the_first_convolution_gives_published_multiply_adds(make_run: MakeRun) -> None:
    net = described(make_run, "imagenet-resnet", 50)
    for block in net.get_submodule("blocks").children():
        first, second = block.get_submodule("conv1"), block.get_submodule("conv2")
        assert isinstance(first, nn.Conv2d)
        assert isinstance(second, nn.Conv2d)
        first.stride, second.stride = second.stride, first.stride
    assert f"{count_multiply_adds(net, IMAGENET) / 1e9:.2f}" == "3.86"  # the paper rounds down


@pytest.mark.parametrize(("model", "depth"), DEPTHS)
def test_depth_counts_the_weight_layers_without_projections(model: str, depth: int, make_run: MakeRun) -> None:
    names = [
        name
        for name, module in described(make_run, model, depth).named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear)) and ".shortcut" not in name
    ]
    assert len(names) == (265 if depth == 264 else depth), "(6 + 12 + 64 + 48) × 2 + 5 = 265"


@pytest.mark.parametrize(
    ("model", "depth", "maps"),
    [
        ("vgg", 16, {224: 1, 112: 2, 56: 3, 28: 3, 14: 3}),
        ("vgg", 19, {224: 1, 112: 2, 56: 4, 28: 4, 14: 4}),
        ("imagenet-resnet", 34, {56: 3, 28: 4, 14: 6, 7: 3}),
        ("imagenet-resnet", 152, {56: 3, 28: 8, 14: 36, 7: 3}),
        ("imagenet-plain", 34, {56: 3, 28: 4, 14: 6, 7: 3}),
        ("imagenet-densenet", 121, {56: 6, 28: 1 + 12, 14: 1 + 24, 7: 1 + 16}),
        ("imagenet-densenet", 264, {56: 6, 28: 1 + 12, 14: 1 + 64, 7: 1 + 48}),
    ],
)
def test_blocks_have_the_resolutions_of_the_papers_tables(
    model: str, depth: int, maps: dict[int, int], make_run: MakeRun
) -> None:
    net = described(make_run, model, depth)
    sides: list[int] = []
    for block in net.get_submodule("blocks").children():
        block.register_forward_hook(lambda *call: sides.append(call[2].shape[-1]))
    net.eval()(torch.empty(1, *IMAGENET, device="meta"))
    assert Counter(sides) == maps


@each_form
def test_all_sizes_are_proportional_to_the_width(model: str, depth: int, make_run: MakeRun) -> None:
    def sizes(width: int) -> Any:
        settings: dict[str, Any] = {"width": width}
        if model == "imagenet-densenet":
            settings["growth_rate"] = width // 2
        return dict(described(make_run, model, depth, **settings).named_parameters()).items()

    narrow, wide = sizes(4), sizes(64)
    for (name, small), (_, large) in zip(narrow, wide, strict=True):
        ratios = {big / little for little, big in zip(small.shape, large.shape, strict=True)}
        assert ratios <= {1, 16}, name
        assert 16 in ratios or name == "output.bias"


@each_form
def test_a_narrow_net_computes_1000_outputs_for_an_imagenet_image(model: str, depth: int, make_run: MakeRun) -> None:
    net = build_net(make_run(task="cifar10", models=model, depths=depth, width=4), IMAGENET, 1000)
    with torch.no_grad():
        outputs = net.eval()(random_images(1, 3, 224))
    assert outputs.shape == (1, 1000)
    assert outputs.isfinite().all()


@each_form
@pytest.mark.parametrize("side", [8, 32])
def test_for_small_images_only_vggs_first_linear_layer_is_smaller(
    model: str, depth: int, side: int, make_run: MakeRun
) -> None:
    table = layer_table(described(make_run, model, depth, (3, side, side), 10), (3, side, side))
    usual = layer_table(described(make_run, model, depth, IMAGENET, 10), IMAGENET)
    for row, other in zip(table, usual, strict=True):
        assert row.parameters == (2**9 * 2**12 + 2**12 if row.name == "hidden.0" else other.parameters)


@pytest.mark.parametrize(("side", "pooled"), [(32, 1), (36, 2), (64, 2), (192, 6), (224, 7), (448, 7)])
def test_vggs_first_linear_layer_has_at_most_7x7_pixels(side: int, pooled: int, make_run: MakeRun) -> None:
    shape = (3, side, side)
    net = described(make_run, "vgg", 11, shape, width=1)
    assert net.get_submodule("hidden.0").in_features == 8 * pooled**2
    assert net(torch.empty(2, *shape, device="meta")).shape == (2, 1000)


@pytest.mark.parametrize("batch_norm", [True, False])
@each_form
def test_convolutions_have_biases_only_without_batch_norm(
    model: str, depth: int, batch_norm: bool, make_run: MakeRun
) -> None:
    modules = list(described(make_run, model, depth, batch_norm=batch_norm).modules())
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
    assert {conv.bias is None for conv in convolutions} == {batch_norm}
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    before_pooling = model == "imagenet-densenet"  # one more, since its layers begin with norms
    assert len(norms) == (len(convolutions) + before_pooling if batch_norm else 0)


def test_vgg_drops_hidden_units_only_in_training_mode(make_run: MakeRun) -> None:
    settings = {"task": "digits", "models": "vgg", "depths": 11, "width": 1}
    assert make_run(**settings)[DROPOUT] == 0.5
    net = build_net(make_run(**settings), (1, 8, 8), 10)
    dropped: list[float] = []
    for module in net.modules():
        if isinstance(module, Dropout):
            module.generator = torch.Generator().manual_seed(0)
            module.register_forward_hook(
                lambda _, inputs, output: dropped.append(((output == 0) & (inputs[0] != 0)).sum().item())
            )
    images = random_images(64, 1, 8)
    net(images)
    assert len(dropped) == 2
    assert all(dropped)
    without = build_net(make_run(dropout=0, **settings), (1, 8, 8), 10)
    assert torch.equal(net.eval()(images), without(images))


def vgg_by_hand(weights: dict[str, Tensor], images: Tensor) -> Tensor:
    """The forward pass of depth 11 without batch norm and dropout, written out."""
    names = ["first", *(f"blocks.{index}" for index in range(7))]
    x = images
    for index, name in enumerate(names):
        x = F.relu(F.conv2d(x, weights[f"{name}.conv.weight"], weights[f"{name}.conv.bias"], padding=1))
        if index in (0, 1, 3, 5, 7) and x.shape[-1] > 1:
            x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
    x = x.flatten(1)
    for name in ("hidden.0", "hidden.1"):
        x = F.relu(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])
    return x @ weights["output.weight"].T + weights["output.bias"]


def resnet_by_hand(weights: dict[str, Tensor], images: Tensor, stages: list[int], strides: list[list[int]]) -> Tensor:
    """The forward pass in training mode, written out; `strides` are those of a block's convolutions where maps halve.

    A projection stands wherever there are weights for one, so these must be where shapes change, or addition fails.
    """

    def convolve(x: Tensor, conv: str, norm: str, stride: int) -> Tensor:
        kernel = weights[f"{conv}.weight"]
        return normalise(F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2))

    x = F.relu(convolve(images, "conv", "norm", 2))
    x = F.pad(x, (1, 1, 1, 1), value=0).unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))
    names = iter(f"blocks.{index}" for index in range(sum(stages)))
    for stage, blocks in enumerate(stages):
        for index in range(blocks):
            block_input, name = x, next(names)
            halves = stage > 0 and index == 0
            for number, stride in enumerate(strides[0] if halves else strides[1], start=1):
                x = convolve(x, f"{name}.conv{number}", f"{name}.norm{number}", stride)
                x = F.relu(x) if number < len(strides[0]) else x
            if f"{name}.shortcut.0.weight" in weights:
                block_input = convolve(block_input, f"{name}.shortcut.0", f"{name}.shortcut.1", 2 if halves else 1)
            x = F.relu(x + block_input)
    return x.mean((2, 3)) @ weights["output.weight"].T + weights["output.bias"]


def normalise(x: Tensor) -> Tensor:
    """Batch norm in training mode, whose scale and shift begin as 1 and 0."""
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = x.var((0, 2, 3), keepdim=True, unbiased=False)
    return (x - mean) / (variance + 1e-5).sqrt()


def densenet_by_hand(weights: dict[str, Tensor], images: Tensor) -> Tensor:
    """The forward pass of depth 121 in training mode, written out."""

    def convolve(x: Tensor, name: str) -> Tensor:
        kernel = weights[f"blocks.{name}.conv.weight"]
        return F.conv2d(F.relu(normalise(x)), kernel, padding=kernel.shape[-1] // 2)

    x = F.relu(normalise(F.conv2d(images, weights["conv.weight"], stride=2, padding=3)))
    x = F.pad(x, (1, 1, 1, 1), value=0).unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))
    number = 0
    for stage, layers in enumerate([6, 12, 24, 16]):
        if stage > 0:
            x = convolve(x, f"{number}.0").unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
            number += 1
        for _ in range(layers):
            x = torch.cat([x, convolve(convolve(x, f"{number}.0"), f"{number}.1")], dim=1)
            number += 1
    return F.relu(normalise(x)).mean((2, 3)) @ weights["output.weight"].T + weights["output.bias"]


def test_the_dense_nets_forward_pass_matches_the_paper(make_run: MakeRun) -> None:
    run = make_run(task="digits", models="imagenet-densenet", depths=121, width=4, growth_rate=2)
    net = build_net(run, (1, 64, 64), 10).double()
    images = random_images(3, 1, 64).double()
    torch.testing.assert_close(net(images), densenet_by_hand(net.state_dict(), images), rtol=1e-7, atol=1e-7)


def test_the_plain_twin_is_the_residual_net_without_shortcuts(make_run: MakeRun) -> None:
    settings = {"task": "digits", "depths": 34, "width": 2, "batch_norm": True}
    plain = build_net(make_run(models="imagenet-plain", **settings), (1, 32, 32), 10)
    residual = build_net(make_run(models="imagenet-resnet", **settings), (1, 32, 32), 10)
    own, others = dict(plain.named_parameters()), dict(residual.named_parameters())
    assert sorted(others.keys() - own.keys()) == sorted(name for name in others if ".shortcut." in name)
    assert all(torch.equal(values, others[name]) for name, values in own.items())
    images = random_images(3, 1, 32)
    x = plain.begin(images)  # type: ignore[operator]
    for block in plain.get_submodule("blocks").children():
        for number in (1, 2):
            conv, norm = block.get_submodule(f"conv{number}"), block.get_submodule(f"norm{number}")
            x = F.relu(norm(conv(x)))
    expected = plain.get_submodule("output")(x.mean((2, 3)))
    torch.testing.assert_close(plain(images), expected)


def test_vggs_forward_pass_matches_the_paper(make_run: MakeRun) -> None:
    run = make_run(task="digits", models="vgg", depths=11, width=2, dropout=0, init="default")
    net = build_net(run, (1, 32, 32), 10).double()
    images = random_images(3, 1, 32).double()
    torch.testing.assert_close(net(images), vgg_by_hand(net.state_dict(), images), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("depth", "stages", "strides"),
    [(18, [2, 2, 2, 2], [[2, 1], [1, 1]]), (50, [3, 4, 6, 3], [[1, 2, 1], [1, 1, 1]])],
)
def test_the_residual_nets_forward_pass_matches_the_paper(
    depth: int, stages: list[int], strides: list[list[int]], make_run: MakeRun
) -> None:
    run = make_run(task="digits", models="imagenet-resnet", depths=depth, width=2)
    net = build_net(run, (1, 64, 64), 10).double()
    images = random_images(3, 1, 64).double()
    expected = resnet_by_hand(net.state_dict(), images, stages, strides)
    torch.testing.assert_close(net(images), expected, rtol=1e-7, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "depth", "batch_norm"),
    [("vgg", 11, True), ("vgg", 11, False), ("imagenet-resnet", 18, True), ("imagenet-resnet", 50, False)],
)
def test_gradients_agree_with_finite_differences(model: str, depth: int, batch_norm: bool, make_run: MakeRun) -> None:
    run = make_run(
        task="digits",
        models=model,
        depths=depth,
        width=1,
        activation="tanh",
        batch_norm=batch_norm,
        dropout=0,
        init="glorot",
    )
    assert check_gradients(run, random_images(3, 1, 8), fast_mode=True)
