from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from resnet_cli.models import build_net, count_parameters, describe_net
from resnet_cli.models.activations import ACTIVATIONS
from resnet_cli.models.base import Dropout
from resnet_cli.settings.errors import UserError
from tests.conftest import MakeRun
from tests.models.gradients import check_gradients

CIFAR = (3, 32, 32)
FORMS = ("a", "b", "c")
each_form = pytest.mark.parametrize("form", FORMS)
with_and_without_norm = pytest.mark.parametrize("batch_norm", [True, False])
Build = Callable[..., nn.Module]


def random_images(batch: int, channels: int, side: int) -> Tensor:
    """Images (B, C, H, W) from a fixed seed."""
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def build(make_run: MakeRun) -> Build:
    """A net for 8×8 images of one channel: `build(form="a")`; its norms are not the identity."""

    def make(**settings: Any) -> nn.Module:
        small = {"task": "digits", "models": "resnext", "depths": 11, "width": 4}
        net = build_net(make_run(**small | settings), (1, 8, 8), 10)
        generator = torch.Generator().manual_seed(1)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5, generator)
                nn.init.uniform_(module.bias, -0.5, 0.5, generator)
        return net

    return make


def describe(make_run: MakeRun, depth: int = 11, **settings: Any) -> nn.Module:
    return describe_net(make_run(task="cifar10", models="resnext", depths=depth, **settings), CIFAR, 10)


def formula(depth: int, width: int, cardinality: int, group_width: int, shortcut: str, batch_norm: bool) -> int:
    """Parameters of a net for CIFAR-10, branch by branch as in Fig. 3 (a); a block has one bias or norm per channel."""
    per_map = 2 if batch_norm else 1
    total, n_in = 27 * width + per_map * width, width
    for stage in range(3):
        d, n_out = group_width * 2**stage, 4 * width * 2**stage
        for index in range((depth - 2) // 9):
            total += cardinality * (n_in * d + 9 * d * d + d * n_out)
            total += per_map * (2 * cardinality * d + n_out)
            if shortcut == "C" or (shortcut == "B" and index == 0):
                total += n_in * n_out + per_map * n_out
            n_in = n_out
    return total + 10 * n_in + 10


@pytest.mark.parametrize(
    ("cardinality", "published", "with_norms"), [(8, "34.4", 34_426_698), (16, "68.1", 68_155_210)]
)
def test_resnext_29_has_the_parameter_counts_of_table_7(
    cardinality: int, published: str, with_norms: int, make_run: MakeRun
) -> None:
    net = describe(make_run, 29, width=64, cardinality=cardinality, group_width=64)
    assert count_parameters(net) == with_norms == formula(29, 64, cardinality, 64, "B", True)
    norms = sum(count_parameters(module) for module in net.modules() if isinstance(module, nn.BatchNorm2d))
    # The table seems to leave out the norms: 68.155 M with them, 68.055 M without, and it says 68.1.
    assert f"{(with_norms - norms) / 1e6:.1f}" == published


@pytest.mark.parametrize(
    ("depth", "width", "cardinality", "group_width", "shortcut"),
    [(20, 1, 1, 1, "A"), (11, 8, 8, 2, "B"), (29, 4, 3, 5, "C")],
)
@with_and_without_norm
def test_every_form_has_exactly_the_parameters_of_its_branches(
    depth: int, width: int, cardinality: int, group_width: int, shortcut: str, batch_norm: bool, make_run: MakeRun
) -> None:
    expected = formula(depth, width, cardinality, group_width, shortcut, batch_norm)
    for form in FORMS:
        net = describe(
            make_run,
            depth,
            width=width,
            cardinality=cardinality,
            group_width=group_width,
            shortcut=shortcut,
            batch_norm=batch_norm,
            form=form,
        )
        assert count_parameters(net) == expected


@each_form
@pytest.mark.parametrize("depth", [11, 29])
def test_depth_does_not_count_shortcuts(form: str, depth: int, make_run: MakeRun) -> None:
    modules = describe(make_run, depth, form=form, shortcut="A").modules()
    assert sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in modules) == depth


@pytest.mark.parametrize(
    ("width", "cardinality", "group_width"),
    [(64, 32, 4), (16, 8, 4), (8, 8, 2), (8, 5, 3), (4, 8, 1), (4, 32, 1)],  # the first is ImageNet's 32×4d
)
def test_the_default_group_width_divides_twice_the_width(
    width: int, cardinality: int, group_width: int, make_run: MakeRun
) -> None:
    net = describe(make_run, width=width, cardinality=cardinality)
    for stage in range(3):
        conv = net.get_submodule(f"blocks.{stage}.conv2")
        assert isinstance(conv, nn.Conv2d)
        assert conv.groups == cardinality
        assert conv.in_channels == conv.out_channels == cardinality * group_width * 2**stage


@each_form
def test_the_first_3x3_convolutions_of_later_stages_have_stride_two(form: str, build: Build) -> None:
    net = build(form=form, depths=20, width=2, cardinality=2, group_width=3)
    shapes: list[tuple[int, ...]] = []
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d) and "shortcut" not in name:
            module.register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape[1:3])))
    net(random_images(2, 1, 8))
    first = [(6, 8), (6, 8), (8, 8)] * 2
    second = [(12, 8), (12, 4), (16, 4), (12, 4), (12, 4), (16, 4)]
    third = [(24, 4), (24, 2), (32, 2), (24, 2), (24, 2), (32, 2)]
    assert shapes == [(2, 8), *first, *second, *third]


def branches_by_hand(net: nn.Module, images: Tensor, cardinality: int, option: str, activation: str) -> Tensor:
    """The forward pass of depth 11 in training mode, each branch for itself to its end as in Fig. 3 (a)."""
    weights: Mapping[str, Tensor] = net.state_dict()
    act = ACTIVATIONS[activation].function

    def normalise(x: Tensor, norm: str, channels: slice) -> Tensor:
        if f"{norm}.weight" not in weights:
            return x
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = x.var((0, 2, 3), keepdim=True, unbiased=False)
        weight, bias = (weights[f"{norm}.{name}"][channels, None, None] for name in ("weight", "bias"))
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    def convolve(x: Tensor, conv: str, channels: slice, stride: int = 1) -> Tensor:
        weight, bias = weights[f"{conv}.weight"][channels], weights.get(f"{conv}.bias")
        return F.conv2d(x, weight, None if bias is None else bias[channels], stride, weight.shape[-1] // 2)

    everything = slice(None)
    x = act(normalise(convolve(images, "conv", everything), "norm", everything))
    for index, stride in enumerate([1, 2, 2]):
        name = f"blocks.{index}"
        last = weights[f"{name}.conv3.weight"]
        d = last.shape[1] // cardinality
        total: Tensor | float = 0.0
        for branch in range(cardinality):
            own = slice(branch * d, (branch + 1) * d)
            path = act(normalise(convolve(x, f"{name}.conv1", own), f"{name}.norm1", own))
            path = act(normalise(convolve(path, f"{name}.conv2", own, stride), f"{name}.norm2", own))
            total = total + F.conv2d(path, last[:, own])
        assert isinstance(total, Tensor)
        if f"{name}.conv3.bias" in weights:
            total = total + weights[f"{name}.conv3.bias"][:, None, None]
        total = normalise(total, f"{name}.norm3", everything)
        if option == "A":
            sampled = x[:, :, ::stride, ::stride]
            missing = total.shape[1] - sampled.shape[1]
            past = torch.cat([sampled, sampled.new_zeros(len(images), missing, *sampled.shape[2:])], 1)
        elif f"{name}.shortcut.weight" in weights:
            past = convolve(x, f"{name}.shortcut", everything, stride)
        else:
            past = convolve(x, f"{name}.shortcut.0", everything, stride)
            past = normalise(past, f"{name}.shortcut.1", everything)
        x = act(total + past)
    return x.mean((2, 3)) @ weights["output.weight"].T + weights["output.bias"]


@each_form
@pytest.mark.parametrize(("cardinality", "group_width", "shortcut"), [(1, 3, "A"), (4, 2, "B"), (3, 1, "C")])
@with_and_without_norm
def test_every_forms_forward_pass_matches_the_paper(
    form: str, cardinality: int, group_width: int, shortcut: str, batch_norm: bool, build: Build
) -> None:
    settings = {"cardinality": cardinality, "group_width": group_width, "shortcut": shortcut}
    net = build(form=form, batch_norm=batch_norm, init="default", activation="tanh", **settings).double()
    images = random_images(5, 1, 8).double()
    by_hand = branches_by_hand(net, images, cardinality, shortcut, "tanh")
    torch.testing.assert_close(net(images), by_hand, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("init", ["default", "he"])
@with_and_without_norm
def test_the_forms_have_the_same_parameters_and_initial_values(init: str, batch_norm: bool, build: Build) -> None:
    of_a, of_b, of_c = (
        build(form=form, cardinality=4, init=init, batch_norm=batch_norm).state_dict() for form in FORMS
    )
    assert of_a.keys() == of_b.keys() == of_c.keys()
    assert all(torch.equal(of_a[name], of_c[name]) and torch.equal(of_b[name], of_c[name]) for name in of_c)


def everything_computed(net: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Outputs in both modes, gradients of all parameters and of the images, and the statistics after a step."""
    images = images.clone().requires_grad_()
    outputs = net(images)
    outputs.square().sum().backward()
    found = {"training": outputs, "evaluation": net.eval()(images), **dict(net.named_buffers())}
    found |= {f"gradient of {name}": parameter.grad for name, parameter in net.named_parameters()}
    assert images.grad is not None
    return found | {"gradient of images": images.grad}


@pytest.mark.parametrize(
    ("dtype", "tolerance", "memory_format", "dropout"),
    [
        (torch.float64, 1e-10, torch.contiguous_format, 0.5),
        (torch.float64, 1e-10, torch.channels_last, 0.0),
        (torch.float32, 1e-4, torch.contiguous_format, 0.0),
        (torch.float32, 1e-4, torch.channels_last, 0.5),
    ],
)
@with_and_without_norm
def test_all_forms_compute_the_same_outputs_gradients_and_statistics(
    dtype: torch.dtype,
    tolerance: float,
    memory_format: torch.memory_format,
    dropout: float,
    batch_norm: bool,
    build: Build,
) -> None:
    images = random_images(16, 1, 8).to(dtype, memory_format=memory_format)
    results = []
    for form in FORMS:
        net = build(form=form, depths=20, cardinality=4, batch_norm=batch_norm, dropout=dropout)
        net = net.to(dtype).to(memory_format=memory_format)  # type: ignore[call-overload]
        generator = torch.Generator().manual_seed(0)
        for module in net.modules():
            if isinstance(module, Dropout):
                module.generator = generator
        results.append(everything_computed(net, images))
    for result in results[:2]:
        assert result.keys() == results[2].keys()
        for name, value in results[2].items():
            assert (result[name] - value).abs().max() <= tolerance * value.abs().max(), name


class CountConvolutions(TorchFunctionMode):
    """Counts the convolutions that are computed, by their numbers of groups."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[int] = []

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is F.conv2d:
            self.groups.append(args[6] if len(args) > 6 else (kwargs or {}).get("groups", 1))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("form", "groups_in_a_block"), [("a", [1] * 15), ("b", [1] * 11), ("c", [1, 5, 1])], ids=FORMS)
def test_each_form_computes_the_convolutions_of_its_figure(
    form: str, groups_in_a_block: list[int], build: Build
) -> None:
    net = build(form=form, cardinality=5, shortcut="A")
    with CountConvolutions() as counter:
        net(random_images(2, 1, 8))
    assert counter.groups == [1, *groups_in_a_block * 3]


@each_form
@with_and_without_norm
def test_one_full_width_branch_is_the_bottleneck_resnet(form: str, batch_norm: bool, build: Build) -> None:
    settings = {"depths": 20, "width": 3, "batch_norm": batch_norm, "init": "default"}
    resnext = build(cardinality=1, group_width=3, form=form, **settings)
    bottleneck = build(models="bottleneck-resnet", **settings)
    images = random_images(4, 1, 8)
    assert all(torch.equal(value, resnext.state_dict()[name]) for name, value in bottleneck.state_dict().items())
    assert resnext.state_dict().keys() == bottleneck.state_dict().keys()
    assert not torch.allclose(resnext(images), bottleneck(images))
    for index in (2, 4):
        conv1, conv2 = (resnext.get_submodule(f"blocks.{index}.conv{number}") for number in (1, 2))
        assert isinstance(conv1, nn.Conv2d)
        assert isinstance(conv2, nn.Conv2d)
        conv1.stride, conv2.stride = conv2.stride, conv1.stride
    torch.testing.assert_close(resnext(images), bottleneck(images))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"cardinality": 0}, "cardinality"),
        ({"group_width": 0}, "group_width"),
        ({"form": "d"}, "form"),
        ({"models": "resnet", "depths": 8, "cardinality": 8}, "cardinality .* is not a setting of resnet"),
        ({"depths": 12}, r"9n\+2 from 11 on, the nearest are 11 and 20"),
    ],
)
def test_settings_that_the_paper_does_not_define_are_rejected(
    settings: dict[str, Any], text: str, make_run: MakeRun
) -> None:
    with pytest.raises(UserError, match=text):
        make_run(**{"task": "digits", "models": "resnext", "depths": 11} | settings)


@each_form
@with_and_without_norm
def test_gradients_agree_with_finite_differences(form: str, batch_norm: bool, make_run: MakeRun) -> None:
    run = make_run(
        task="digits",
        models="resnext",
        depths=11,
        width=1,
        cardinality=2,
        form=form,
        activation="tanh",
        batch_norm=batch_norm,
        init="glorot",
    )
    assert check_gradients(run, random_images(3, 1, 4), fast_mode=True)
