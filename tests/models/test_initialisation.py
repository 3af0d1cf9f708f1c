import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from resnet_cli.models import build_net
from resnet_cli.models.initialisation import initialise, weight_std
from resnet_cli.models.settings import Independent, Initialisation
from tests.conftest import MakeRun

INDEPENDENT: tuple[Independent, ...] = ("default", "he", "glorot", "normal")
SCHEMES: tuple[Initialisation, ...] = (*INDEPENDENT, "orthogonal", "identity")
IMAGE = (3, 8, 8)


def initialised(layer: nn.Module, scheme: Initialisation, seed: int = 0, std: float | None = 0.1) -> nn.Module:
    """`layer`, filled with not-a-number before it is initialised, so that nothing forgotten goes unseen."""
    for tensor in [*layer.parameters(), *layer.buffers()]:
        if tensor.is_floating_point():
            tensor.detach().fill_(math.nan)
    initialise(layer, scheme, seed, std)
    return layer


def values(net: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in net.named_parameters()}


@pytest.mark.parametrize(
    ("layer", "fan_in", "fan_out"),
    [
        (nn.Linear(400, 300), 400, 300),
        (nn.Conv2d(30, 50, 3), 270, 450),
        (nn.Conv2d(40, 500, 1), 40, 500),
        (nn.Conv2d(7, 300, (5, 9)), 315, 13_500),
    ],
    ids=["linear", "conv3x3", "conv1x1", "conv5x9"],
)
@pytest.mark.parametrize("scheme", INDEPENDENT)
def test_weights_have_the_standard_deviation_of_their_scheme(
    scheme: Independent, layer: nn.Linear | nn.Conv2d, fan_in: int, fan_out: int
) -> None:
    expected = {
        "default": (1 / math.sqrt(fan_in)) / math.sqrt(3),
        "he": math.sqrt(2.0 / fan_in),
        "glorot": math.sqrt(2.0 / (fan_in + fan_out)),
        "normal": 0.1,
    }[scheme]
    initialised(layer, scheme)
    assert layer.weight.std().item() == pytest.approx(expected, rel=0.03)
    assert layer.weight.mean().item() == pytest.approx(0, abs=0.03 * expected)
    assert weight_std(scheme, fan_in, fan_out, 0.1) == pytest.approx(expected)


def test_default_weights_and_biases_are_uniform_like_torchs() -> None:
    torch.manual_seed(0)
    layer, own = nn.Linear(100, 5000), nn.Linear(100, 5000)
    initialised(layer, "default")
    for ours, of_torch in [(layer.weight, own.weight), (layer.bias, own.bias)]:
        for drawn in (ours.detach(), of_torch.detach()):
            assert drawn.abs().max().item() == pytest.approx(0.1, rel=1e-2)
        assert ours.abs().max() <= 0.1
        quarters = torch.histc(ours.detach(), bins=4, min=-0.1, max=0.1) / ours.numel()
        assert quarters.tolist() == pytest.approx([0.25] * 4, abs=0.025)


@pytest.mark.parametrize("scheme", ["he", "glorot", "normal"])
def test_other_schemes_are_normal_with_zero_biases(scheme: Initialisation) -> None:
    layer = nn.Linear(300, 300)
    initialised(layer, scheme)
    within = (layer.weight.abs() < layer.weight.std()).float().mean().item()
    assert within == pytest.approx(0.6827, abs=0.01)
    assert not layer.bias.any()


def matrix_of(layer: nn.Linear | nn.Conv2d) -> Tensor:
    """The weights of a layer, or those in the middle of its kernels, whose others are zero: (outputs, inputs)."""
    weight = layer.weight.detach()
    if isinstance(layer, nn.Linear):
        return weight
    middle = weight[:, :, layer.kernel_size[0] // 2, layer.kernel_size[1] // 2]
    assert weight.count_nonzero() == middle.count_nonzero() > 0
    return middle


@pytest.mark.parametrize(
    "layer", [nn.Linear(7, 7), nn.Linear(5, 9), nn.Conv2d(6, 6, 3), nn.Conv2d(4, 8, (1, 5))], ids=str
)
@pytest.mark.parametrize("gain", [1.0, math.sqrt(2)])
def test_orthogonal_columns_have_the_length_of_the_gain(layer: nn.Linear | nn.Conv2d, gain: float) -> None:
    initialise(layer, "orthogonal", 0, gain=gain)
    matrix = matrix_of(layer)
    torch.testing.assert_close(matrix.T @ matrix, gain**2 * torch.eye(matrix.shape[1]))
    assert layer.bias is not None
    assert not layer.bias.any()


@pytest.mark.parametrize("layer", [nn.Linear(9, 5), nn.Conv2d(8, 4, 3)], ids=str)
def test_with_fewer_outputs_the_rows_are_orthogonal(layer: nn.Linear | nn.Conv2d) -> None:
    initialise(layer, "orthogonal", 0, gain=3)
    matrix = matrix_of(layer)
    torch.testing.assert_close(matrix @ matrix.T, 9 * torch.eye(len(matrix)))


def test_every_group_of_a_convolution_has_an_orthogonal_matrix_of_its_own() -> None:
    layer = nn.Conv2d(8, 8, 3, groups=2)
    initialise(layer, "orthogonal", 0)
    first, second = matrix_of(layer).view(2, 4, 4)
    torch.testing.assert_close(first.T @ first, torch.eye(4))
    torch.testing.assert_close(second.T @ second, torch.eye(4))
    assert not torch.isclose(first, second).any()


def test_orthogonal_matrices_are_drawn_from_all_alike() -> None:
    """The trace of a uniformly drawn orthogonal matrix has mean 0 and variance 1; without signs from QR it has not."""
    traces = []
    for seed in range(400):
        layer = nn.Linear(3, 3)
        initialise(layer, "orthogonal", seed)
        traces.append(matrix_of(layer).trace())
    assert torch.stack(traces).mean().item() == pytest.approx(0, abs=0.15)
    assert torch.stack(traces).var().item() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("activation", "gain"), [("relu", math.sqrt(2)), ("tanh", 1.0)])
def test_the_gain_of_a_net_is_that_of_its_activation(activation: str, gain: float, make_run: MakeRun) -> None:
    net = build_net(make_run(depths=2, width=6, init="orthogonal", activation=activation), (1,), 1)
    matrix = values(net)["blocks.0.layers.0.0.weight"]
    torch.testing.assert_close(matrix.T @ matrix, gain**2 * torch.eye(6))


@pytest.mark.parametrize("depth", [1, 2, 40])
@pytest.mark.parametrize("task", ["sine", "digits"])
def test_plain_relu_nets_with_identity_layers_start_as_the_shallowest(task: str, depth: int, make_run: MakeRun) -> None:
    shape, outputs = ((1,), 1) if task == "sine" else ((1, 8, 8), 10)
    runs = [make_run(task=task, models="plain-mlp", depths=d, init=i) for d, i in [(depth, "identity"), (1, "default")]]
    deep, shallow = (build_net(run, shape, outputs) for run in runs)
    inputs = torch.randn(5, *shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(deep(inputs), shallow(inputs))


def in_block(layer: nn.Module) -> nn.Module:
    """A net with one block, of one layer."""
    net = nn.Module()
    net.blocks = nn.Sequential(layer)
    return net


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1, groups=2), nn.Conv2d(6, 6, 1)], ids=str
)
def test_identity_convolutions_return_images_unchanged(layer: nn.Conv2d) -> None:
    initialise(in_block(layer), "identity", 0)
    images = torch.randn(2, 6, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(layer(images), images)


@pytest.mark.parametrize(
    "net",
    [nn.Linear(4, 4), in_block(nn.Linear(3, 5)), in_block(nn.Linear(5, 3)), in_block(nn.Conv2d(6, 12, 3))],
    ids=["outside blocks", "wider", "narrower", "more filters"],
)
def test_identity_leaves_other_layers_as_default(net: nn.Module) -> None:
    found, default = (values(initialised(net, scheme)) for scheme in ("identity", "default"))
    assert all(torch.equal(value, default[name]) for name, value in found.items())


def test_biases_are_drawn_independently_of_weights() -> None:
    layer = nn.Linear(10, 20)
    initialised(layer, "default")
    assert not torch.isin(layer.bias, layer.weight).any()


def test_normal_biases_have_their_own_standard_deviation_and_generator() -> None:
    layer, plain = nn.Linear(30, 3000), nn.Linear(30, 3000)
    initialise(layer, "normal", 0, 0.1, bias_std=0.3)
    initialise(plain, "normal", 0, 0.1)
    assert layer.bias.std().item() == pytest.approx(0.3, rel=0.03)
    assert torch.equal(layer.weight, plain.weight)
    assert not plain.bias.any()
    drawn = (layer.bias / 0.3).flatten()
    assert not torch.isclose(drawn[:, None], plain.weight.flatten()[None, :100] / 0.1).all(dim=1).any()


def test_twins_have_the_same_normal_biases(make_run: MakeRun) -> None:
    options = {"depths": 7, "width": 5, "init": "normal", "init_bias_std": 0.2}
    plain, residual = (build_net(make_run(models=model, **options), (1,), 1) for model in ("plain", "residual"))
    biases = [[value for name, value in values(net).items() if name.endswith("bias")] for net in (plain, residual)]
    assert len(biases[0]) == 8
    assert all(bias.any() for bias in biases[0])
    assert all(map(torch.equal, *biases))


def test_biases_that_start_at_zero_do_not_change_a_run(make_run: MakeRun) -> None:
    run = make_run(init="normal", init_bias_std=0.0)
    assert run.run_id == run.but(init_bias_std=None).run_id == make_run(init="normal").run_id
    assert run.run_id != make_run(init="normal", init_bias_std=0.1).run_id


def test_the_normal_scheme_needs_a_standard_deviation() -> None:
    with pytest.raises(ValueError, match="std is needed"):
        initialise(nn.Linear(2, 2), "normal", 0)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_batch_norm_starts_as_the_identity(scheme: Initialisation) -> None:
    for norm in (nn.BatchNorm1d(6), nn.BatchNorm2d(6)):
        initialised(norm, scheme)
        assert torch.equal(norm.weight, torch.ones(6))
        assert torch.equal(norm.bias, torch.zeros(6))
        assert norm.running_mean is not None
        assert torch.equal(norm.running_mean, torch.zeros(6))
        assert norm.running_var is not None
        assert torch.equal(norm.running_var, torch.ones(6))


@pytest.mark.parametrize("scheme", ["default", "he", "orthogonal", "identity"])
@pytest.mark.parametrize(
    ("task", "model", "shape"), [("sine", "residual", (1,)), ("digits", "plain", IMAGE), ("digits", "resnet", IMAGE)]
)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_every_parameter_of_a_built_net_is_initialised(
    scheme: Initialisation, task: str, model: str, shape: tuple[int, ...], batch_norm: bool, make_run: MakeRun
) -> None:
    run = make_run(task=task, models=model, depths=8, width=4, init=scheme, batch_norm=batch_norm)
    net = build_net(run, shape, 10)
    for tensor in [*net.parameters(), *net.buffers()]:
        assert tensor.isfinite().all()
        assert tensor.abs().max() < 10
    assert all(module.training for module in net.modules())


def test_values_are_reproducible_and_differ_between_seeds(make_run: MakeRun) -> None:
    first, again, other = (values(build_net(make_run(seeds=seed), (1,), 1)) for seed in (0, 0, 1))
    for name in first:
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])


def test_layers_of_equal_shape_start_with_different_values(make_run: MakeRun) -> None:
    weights = [value for name, value in values(build_net(make_run(depths=8), (1,), 1)).items() if value.dim() == 2][
        1:-1
    ]
    assert len(weights) == 7
    assert all(not torch.equal(first, second) for first, second in pairwise(weights))


def test_initial_values_never_change_between_versions(make_run: MakeRun) -> None:
    net = build_net(make_run(depths=1, width=3), (1,), 1)
    assert values(net)["entry.0.weight"].flatten().tolist() == pytest.approx([0.30839372, -0.84320760, -0.81228912])


def test_building_does_not_use_the_global_random_state(make_run: MakeRun) -> None:
    run = make_run(task="digits", models="resnet", depths=8, width=4)
    nets = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        nets.append(values(build_net(run, IMAGE, 10)))
        assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_values_do_not_depend_on_precision(scheme: Initialisation) -> None:
    single, double = (initialised(nn.Linear(20, 30, dtype=dtype), scheme) for dtype in (torch.float32, torch.float64))
    for name, value in values(single).items():
        assert torch.equal(values(double)[name], value.double())


def test_values_do_not_depend_on_the_memory_format() -> None:
    plain, last = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for name, value in values(initialised(plain, "he")).items():
        assert torch.equal(values(initialised(last, "he"))[name], value)


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({"shape": (1, 8, 8)}, {"conv.weight"}),
        ({"outputs": 3}, {"output.weight", "output.bias"}),
        ({"batch_norm": False}, set()),
        ({"dropout": 0.5}, set()),
        ({"activation": "tanh"}, set()),
        ({"models": "resnet"}, set()),
        ({"models": "resnet", "shortcut": "B"}, set()),
        ({"models": "resnet", "shortcut": "C"}, set()),
    ],
    ids=lambda value: None if isinstance(value, set) else str(value),
)
def test_a_parameters_values_depend_only_on_its_own_layer(
    change: dict[str, Any], moved: set[str], make_run: MakeRun
) -> None:
    def built(shape: tuple[int, ...] = IMAGE, outputs: int = 10, **settings: Any) -> dict[str, Tensor]:
        small = {"task": "digits", "models": "plain", "depths": 8, "width": 4, "init": "default"}
        return values(build_net(make_run(**small | settings), shape, outputs))

    before, after = built(), built(**change)
    common = before.keys() & after.keys()
    assert {name for name in common if not torch.equal(before[name], after[name])} == moved


def test_deeper_nets_start_with_the_layers_of_shallower_ones(make_run: MakeRun) -> None:
    shallow, deep = (values(build_net(make_run(depths=depth), (1,), 1)) for depth in (3, 9))
    assert len(deep) == len(shallow) + 2 * 6
    assert all(torch.equal(value, deep[name]) for name, value in shallow.items())
