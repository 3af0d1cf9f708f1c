"""The five orderings of He et al. 2016 (arXiv 1603.05027, Fig. 4), block sizes, bottlenecks and 1×1 projections."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.models import build_net, count_parameters, describe_net
from resnet_cli.models.resnet import ConvBlock
from resnet_cli.models.settings import Ordering
from tests.conftest import MakeRun
from tests.models.gradients import check_gradients

ORDERINGS = get_args(Ordering)
AS_THE_IDENTITY = ("relu-before-addition", "relu-only-preactivation", "full-preactivation")
each_ordering = pytest.mark.parametrize("ordering", ORDERINGS)
Weights = Mapping[str, Tensor]


def random_images(batch: int, channels: int, side: int) -> Tensor:
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(0)).double()


def normalised(weights: Weights, name: str, x: Tensor) -> Tensor:
    if f"{name}.weight" not in weights:
        return x
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = x.var((0, 2, 3), keepdim=True, unbiased=False)
    x = (x - mean) / (variance + 1e-5).sqrt()
    return x * weights[f"{name}.weight"][:, None, None] + weights[f"{name}.bias"][:, None, None]


def convolved(weights: Weights, name: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = weights[f"{name}.weight"]
    return F.conv2d(x, weight, weights.get(f"{name}.bias"), stride, weight.shape[2] // 2)


def by_hand(weights: Weights, images: Tensor, ordering: str, strides: Sequence[int], convs: int) -> Tensor:
    """The forward pass in training mode, block by block as the columns of Fig. 4, with option B shortcuts."""

    def branch(name: str, x: Tensor, first: bool, stride: int) -> Tensor:
        for number in range(1, convs + 1):
            is_last = number == convs
            conv, norm = f"{name}.conv{number}", f"{name}.norm{number}"
            enters = not (first and number == 1)
            if ordering == "full-preactivation" and enters:
                x = F.relu(normalised(weights, norm, x))
            if ordering == "relu-only-preactivation" and enters:
                x = F.relu(x)
            x = convolved(weights, conv, x, stride if number == 1 else 1)
            if ordering == "relu-only-preactivation":
                x = normalised(weights, norm, x)
            if ordering in ("original", "relu-before-addition"):
                x = normalised(weights, norm, x)
            if ordering == "norm-after-addition" and not is_last:
                x = normalised(weights, norm, x)
            if ordering in ("original", "norm-after-addition") and not is_last:
                x = F.relu(x)
            if ordering == "relu-before-addition":
                x = F.relu(x)
        return x

    x = F.relu(normalised(weights, "norm", convolved(weights, "conv", images)))
    for index, stride in enumerate(strides):
        name = f"blocks.{index}"
        projected = x
        if f"{name}.shortcut.0.weight" in weights or f"{name}.shortcut.weight" in weights:
            has_norm = f"{name}.shortcut.0.weight" in weights
            read = x
            if ordering == "full-preactivation" and index > 0:
                read = F.relu(normalised(weights, f"{name}.norm1", x))
            if ordering == "relu-only-preactivation" and index > 0:
                read = F.relu(x)
            conv = f"{name}.shortcut.0" if has_norm else f"{name}.shortcut"
            projected = normalised(weights, f"{name}.shortcut.1", convolved(weights, conv, read, stride))
        x = projected + branch(name, x, index == 0, stride)
        if ordering == "norm-after-addition":
            x = normalised(weights, f"{name}.norm{convs}", x)
        if ordering in ("original", "norm-after-addition"):
            x = F.relu(x)
    if ordering == "full-preactivation":
        x = F.relu(normalised(weights, "last_norm", x))
    if ordering == "relu-only-preactivation":
        x = F.relu(x)
    return x.mean((2, 3)) @ weights["output.weight"].T + weights["output.bias"]


@each_ordering
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize(("model", "depth", "convs"), [("resnet", 14, 2), ("bottleneck-resnet", 11, 3)])
def test_a_net_computes_its_ordering_as_in_the_figure(
    ordering: str, batch_norm: bool, model: str, depth: int, convs: int, make_run: MakeRun
) -> None:
    settings = {"ordering": ordering, "batch_norm": batch_norm, "shortcut": "B"}
    run = make_run(task="digits", models=model, depths=depth, width=4, init="default", **settings)
    net = build_net(run, (1, 8, 8), 10).double()
    generator = torch.Generator().manual_seed(1)
    for name, parameter in net.named_parameters():  # norms that are not the identity
        if "norm" in name:
            nn.init.normal_(parameter, 1.0, 0.3, generator=generator)
    per_stage = len(net.get_submodule("blocks")._modules) // 3
    strides = [2 if index in (per_stage, 2 * per_stage) else 1 for index in range(3 * per_stage)]
    images = random_images(5, 1, 8)
    expected = by_hand(net.state_dict(), images, ordering, strides, convs)
    torch.testing.assert_close(net(images), expected, rtol=1e-9, atol=1e-9)


def block(ordering: str, batch_norm: bool, make_run: MakeRun, prepare: Callable[[Tensor], Any]) -> ConvBlock:
    """A block of two convolutions with an identity shortcut, its convolutions' parameters set by `prepare`."""
    run = make_run(task="digits", models="resnet", depths=8, width=3, batch_norm=batch_norm)
    convolutions = [nn.Conv2d(3, 3, 3, padding=1, bias=not batch_norm) for _ in range(2)]
    for convolution in convolutions:
        for parameter in convolution.parameters():
            prepare(parameter.data)
    return ConvBlock(run, convolutions, nn.Identity(), ordering=ordering).double()  # type: ignore[arg-type]


@each_ordering
@pytest.mark.parametrize("batch_norm", [True, False])
def test_zero_branches_are_identities_where_the_ordering_allows_it(
    ordering: str, batch_norm: bool, make_run: MakeRun
) -> None:
    x = random_images(4, 3, 4)
    given = block(ordering, batch_norm, make_run, Tensor.zero_)(x)
    if ordering in AS_THE_IDENTITY:
        assert torch.equal(given, x)
    elif ordering == "original" or not batch_norm:
        assert torch.equal(given, x.relu())
    else:
        assert not torch.allclose(given, x.relu())


def test_original_and_full_preactivation_agree_without_active_nonlinearities(make_run: MakeRun) -> None:
    # Without norms, and with positive inputs and weights, every ReLU is the identity: (a) and (e) are x + W₂W₁x.
    x = random_images(4, 3, 4).abs()
    seeded = torch.Generator()

    def positive(values: Tensor) -> None:
        nn.init.uniform_(values, 0, 0.3, generator=seeded.manual_seed(values.numel()))

    def both_signs(values: Tensor) -> None:
        nn.init.uniform_(values, -0.3, 0.3, generator=seeded.manual_seed(values.numel()))

    for prepare, agree in ((positive, True), (both_signs, False)):
        original, full = (block(name, False, make_run, prepare) for name in ("original", "full-preactivation"))
        assert torch.equal(original(x), full(x)) == agree


def test_orderings_share_initial_values_but_compute_different_functions(make_run: MakeRun) -> None:
    images = random_images(4, 1, 8).float()
    nets = [
        build_net(make_run(task="digits", models="resnet", depths=14, width=4, ordering=ordering), (1, 8, 8), 10)
        for ordering in ORDERINGS
    ]
    first = {name: value for name, value in nets[0].named_parameters() if "norm" not in name}
    for net in nets[1:]:
        others = dict(net.named_parameters())
        assert all(torch.equal(value, others[name]) for name, value in first.items())
    outputs = [net(images) for net in nets]
    assert not any(torch.allclose(outputs[i], outputs[j]) for i in range(5) for j in range(i))


@each_ordering
@pytest.mark.parametrize("model", ["resnet", "bottleneck-resnet"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_gradients_agree_with_finite_differences(
    ordering: str, model: str, batch_norm: bool, make_run: MakeRun
) -> None:
    run = make_run(
        task="digits",
        models=model,
        depths=8 if model == "resnet" else 11,
        width=1,
        activation="tanh",
        batch_norm=batch_norm,
        init="glorot",
        shortcut="B",
        ordering=ordering,
    )
    assert check_gradients(run, random_images(3, 1, 4), fast_mode=True)


def bottleneck_formula(depth: int, width: int = 16) -> int:
    """Parameters of the net with projections where shapes change, layer by layer."""
    per_stage = (depth - 2) // 9
    total, n_in = 3 * 9 * width + 2 * width, width
    for inner in (width, 2 * width, 4 * width):
        n_out = 4 * inner
        total += n_in * n_out + 2 * n_out  # the projection
        for _ in range(per_stage):
            total += n_in * inner + 9 * inner * inner + inner * n_out + 2 * (inner + inner + n_out)
            n_in = n_out
    return total + n_in * 10 + 10


@pytest.mark.parametrize(("depth", "published"), [(164, 1.7e6), (1001, 10.2e6)])
def test_bottleneck_nets_have_the_parameters_of_their_layers(depth: int, published: float, make_run: MakeRun) -> None:
    run = make_run(task="cifar10", models="bottleneck-resnet", depths=depth)
    count = count_parameters(describe_net(run, (3, 32, 32), 10))
    assert count == bottleneck_formula(depth)
    # He16, Table 4. For 1001 layers it says 10.2 M, where the layers that it describes have 10.33 M.
    assert count == pytest.approx(published, rel=0.015)


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("depth", [11, 29])
def test_bottleneck_depth_does_not_count_projections(shortcut: str, depth: int, make_run: MakeRun) -> None:
    run = make_run(task="digits", models="bottleneck-resnet", depths=depth, width=2, shortcut=shortcut)
    net = describe_net(run, (1, 8, 8), 10)
    layers = [name for name, module in net.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    projections = [name for name in layers if "shortcut" in name]
    assert len(layers) - len(projections) == depth
    assert len(projections) == {"A": 0, "B": 3, "C": (depth - 2) // 3}[shortcut]


def plain_and_residual(make_run: MakeRun, depth: int, block_size: int, **settings: Any) -> tuple[nn.Module, nn.Module]:
    common = {"task": "digits", "depths": depth, "width": 4} | settings
    plain = build_net(make_run(models="plain", **common), (1, 8, 8), 10)
    residual = build_net(make_run(models="residual", block_size=block_size, **common), (1, 8, 8), 10)
    return plain, residual


@pytest.mark.parametrize("block_size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_all_block_sizes_start_from_the_plain_nets_values(block_size: int, batch_norm: bool, make_run: MakeRun) -> None:
    nets = plain_and_residual(make_run, 20, block_size, init="default", batch_norm=batch_norm)
    plain, residual = (
        [layer for layer in net.modules() if isinstance(layer, (nn.Conv2d, nn.Linear, nn.BatchNorm2d))] for net in nets
    )
    assert len(plain) == len(residual)
    for one, other in zip(plain, residual, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("depth", "block_size", "is_plain"), [(8, 3, True), (8, 2, False), (14, 5, True), (14, 4, False)]
)
def test_incomplete_blocks_have_no_shortcut(depth: int, block_size: int, is_plain: bool, make_run: MakeRun) -> None:
    plain, residual = plain_and_residual(make_run, depth, block_size)
    images = random_images(4, 1, 8).float()
    assert torch.equal(plain(images), residual(images)) == is_plain


@pytest.mark.parametrize("block_size", [1, 2, 3])
def test_a_shortcut_spans_block_size_layers_of_a_stage(block_size: int, make_run: MakeRun) -> None:
    _, net = plain_and_residual(make_run, 26, block_size)
    lengths = [
        (sum(isinstance(step, nn.Conv2d) for step in block.branch), block.shortcut is not None)
        for block in net.get_submodule("blocks").children()
        if isinstance(block, ConvBlock)
    ]
    stage = [(block_size, True)] * (8 // block_size) + [(2, False)] * (block_size == 3)
    assert lengths == 3 * stage
