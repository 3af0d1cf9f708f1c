import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.models import build_net, count_parameters, describe_net
from resnet_cli.models.highway import HighwayLayer
from resnet_cli.settings.errors import UserError
from resnet_cli.tasks import get_task
from resnet_cli.training.loop import DTYPES, train
from resnet_cli.training.settings import PRECISION
from tests.conftest import MakeRun
from tests.models.gradients import check_gradients

SHUT, OPEN = -1000, 1000  # the sigmoid of these is 0 and 1 to the bit, in float64 too
CIFAR = (3, 32, 32)
EACH_KIND = pytest.mark.parametrize(
    ("model", "depth", "shape"), [("highway-mlp", 4, (3,)), ("highway-cnn", 14, (1, 8, 8))], ids=["mlp", "cnn"]
)


def random_inputs(*shape: int) -> Tensor:
    """Inputs in float64 from a fixed seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def build(make_run: MakeRun, model: str, depth: int, shape: tuple[int, ...], **settings: Any) -> nn.Module:
    """A small net in float64 on the task digits."""
    run = make_run(**({"task": "digits", "models": model, "depths": depth, "width": 4} | settings))
    return build_net(run, shape, 10).double()


def layers_of(net: nn.Module) -> list[HighwayLayer]:
    return [module for module in net.modules() if isinstance(module, HighwayLayer)]


def gates_of(net: nn.Module) -> list[tuple[HighwayLayer, nn.Linear | nn.Conv2d]]:
    """The layers with a gate, and their gates."""
    return [(layer, layer.gate) for layer in layers_of(net)]


def normalised(x: Tensor, weights: dict[str, Tensor], norm: str) -> Tensor:
    """Batch norm in training mode, or nothing if the net has none of this name."""
    if f"{norm}.weight" not in weights:
        return x
    axes = [0, *range(2, x.dim())]
    mean, variance = x.mean(axes, keepdim=True), x.var(axes, keepdim=True, unbiased=False)
    shape = (-1, *[1] * (x.dim() - 2))
    scale, shift = weights[f"{norm}.weight"].view(shape), weights[f"{norm}.bias"].view(shape)
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_mlps_forward_pass_matches_the_paper(batch_norm: bool, make_run: MakeRun) -> None:
    net = build(make_run, "highway-mlp", 3, (2, 3), batch_norm=batch_norm, activation="tanh", gate_bias=-0.5)
    weights: dict[str, Tensor] = net.state_dict()
    inputs = random_inputs(5, 2, 3)

    def affine(layer: str, x: Tensor) -> Tensor:
        product = x @ weights[f"{layer}.weight"].T
        return product + weights[f"{layer}.bias"] if f"{layer}.bias" in weights else product

    def plain(layer: str, x: Tensor) -> Tensor:
        return normalised(affine(f"{layer}.layer.0", x), weights, f"{layer}.layer.1").tanh()

    x = plain("entry", inputs.reshape(5, 6))
    for layer in ("blocks.0", "blocks.1"):
        gate = 1 / (1 + (-affine(f"{layer}.gate", x)).exp())
        x = plain(layer, x) * gate + x * (1 - gate)
    torch.testing.assert_close(net(inputs), affine("output", x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_cnns_forward_pass_matches_the_paper(batch_norm: bool, make_run: MakeRun) -> None:
    net = build(make_run, "highway-cnn", 8, (1, 8, 8), batch_norm=batch_norm, gate_bias=-0.5)
    weights: dict[str, Tensor] = net.state_dict()
    images = random_inputs(5, 1, 8, 8)

    def plain(conv: str, norm: str, x: Tensor, stride: int = 1) -> Tensor:
        x = F.conv2d(x, weights[f"{conv}.weight"], weights.get(f"{conv}.bias"), stride, padding=1)
        return F.relu(normalised(x, weights, norm))

    x = plain("conv", "norm", images)
    for index, (stride, is_gated) in enumerate([(1, True), (1, True), (2, False), (1, True), (2, False), (1, True)]):
        layer = f"blocks.{index}"
        response = plain(f"{layer}.layer.0", f"{layer}.layer.1", x, stride)
        if is_gated:
            gate = F.conv2d(x, weights[f"{layer}.gate.weight"], weights[f"{layer}.gate.bias"], padding=1).sigmoid()
            response = response * gate + x * (1 - gate)
        x = response
    expected = x.mean((2, 3)) @ weights["output.weight"].T + weights["output.bias"]
    torch.testing.assert_close(net(images), expected, rtol=1e-9, atol=1e-9)


@EACH_KIND
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("dropout", [0, 0.5])
def test_a_layer_with_closed_gate_is_exactly_the_identity(
    model: str, depth: int, shape: tuple[int, ...], batch_norm: bool, dropout: float, make_run: MakeRun
) -> None:
    net = build(make_run, model, depth, shape, gate_bias=SHUT, batch_norm=batch_norm, dropout=dropout)
    assert gates_of(net)
    for layer, gate in gates_of(net):
        layer.dropout.generator = torch.Generator().manual_seed(0)
        inputs = random_inputs(3, gate.weight.shape[1], *shape[1:])
        assert torch.equal(layer(inputs), inputs)


@EACH_KIND
@pytest.mark.parametrize("init", ["default", "he"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_net_with_open_gates_is_exactly_the_plain_net(
    model: str, depth: int, shape: tuple[int, ...], init: str, batch_norm: bool, make_run: MakeRun
) -> None:
    settings = {"init": init, "batch_norm": batch_norm}
    net = build(make_run, model, depth, shape, gate_bias=OPEN, **settings)
    plain = build(make_run, model.replace("highway", "plain"), depth, shape, **settings)
    inputs = random_inputs(4, *shape)
    assert torch.equal(net(inputs), plain(inputs))
    nearly_shut = build(make_run, model, depth, shape, **settings)
    assert not torch.allclose(nearly_shut(inputs), plain(inputs))


def test_an_mlp_with_closed_gates_has_one_effective_hidden_layer(make_run: MakeRun) -> None:
    net = build(make_run, "highway-mlp", 20, (3,), gate_bias=SHUT)
    shallow = build(make_run, "plain-mlp", 1, (3,))
    inputs = random_inputs(4, 3)
    assert torch.equal(net(inputs), shallow(inputs))


@EACH_KIND
@pytest.mark.parametrize("init", ["default", "he"])
@pytest.mark.parametrize(("asked", "expected"), [({}, -2), ({"gate_bias": -3.5}, -3.5)])
def test_gate_biases_start_at_gate_bias_under_every_initialisation(
    model: str,
    depth: int,
    shape: tuple[int, ...],
    init: str,
    asked: dict[str, float],
    expected: float,
    make_run: MakeRun,
) -> None:
    net = build(make_run, model, depth, shape, init=init, **asked)
    assert gates_of(net)
    assert all(gate.bias is not None and (gate.bias == expected).all() for _, gate in gates_of(net))


@EACH_KIND
def test_every_layer_and_gate_has_different_weights(
    model: str, depth: int, shape: tuple[int, ...], make_run: MakeRun
) -> None:
    net = build(make_run, model, depth, shape)
    weights = [parameter for parameter in net.parameters() if parameter.dim() > 1]
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(weights, 2))


@pytest.mark.parametrize(("depth", "width"), [(1, 7), (2, 30), (5, 7)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_an_mlp_has_the_parameters_of_layers_and_gates(
    depth: int, width: int, batch_norm: bool, make_run: MakeRun
) -> None:
    run = make_run(models="highway-mlp", depths=depth, width=width, batch_norm=batch_norm)
    net = describe_net(run, (3,), 2)
    beside_weights = 2 * width if batch_norm else width
    gate = width * width + width
    expected = 3 * width + beside_weights + (depth - 1) * (width * width + beside_weights + gate) + width * 2 + 2
    assert count_parameters(net) == expected
    assert sum(isinstance(module, nn.Linear) for module in net.modules()) == (depth + 1) + (depth - 1)


@pytest.mark.parametrize(("model", "width"), [("highway-mlp", 50), ("plain-mlp", 71)])
def test_a_layer_of_the_papers_mlps_has_about_5000_parameters(model: str, width: int, make_run: MakeRun) -> None:
    shallow, deep = (
        count_parameters(describe_net(make_run(models=model, depths=depth, width=width), (784,), 10))
        for depth in (10, 100)
    )
    assert round((deep - shallow) / 90, -3) == 5000


@pytest.mark.parametrize(("depth", "n", "width"), [(8, 1, 16), (32, 5, 4)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_gates_add_their_parameters_to_the_plain_cnn(
    depth: int, n: int, width: int, batch_norm: bool, make_run: MakeRun
) -> None:
    highway, plain = (
        describe_net(
            make_run(task="cifar10", models=model, depths=depth, width=width, batch_norm=batch_norm), CIFAR, 10
        )
        for model in ("highway-cnn", "plain-cnn")
    )
    gates = [2 * n * (9 * w * w + w) for w in (width, 2 * width, 4 * width)]
    without_a_gate = sum(9 * w * w + w for w in (2 * width, 4 * width))
    assert count_parameters(highway) == count_parameters(plain) + sum(gates) - without_a_gate


@pytest.mark.parametrize(("depth", "n"), [(8, 1), (14, 2), (32, 5)])
def test_a_cnns_depth_does_not_count_gates(depth: int, n: int, make_run: MakeRun) -> None:
    net = describe_net(make_run(task="cifar10", models="highway-cnn", depths=depth), CIFAR, 10)
    weight_layers = [module for module in net.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert len(gates_of(net)) == 6 * n - 2
    assert len(weight_layers) - len(gates_of(net)) == depth
    assert len(list(net.get_submodule("blocks").children())) == 6 * n


@pytest.mark.parametrize("side", [8, 16])
def test_the_resolution_is_halved_twice(side: int, make_run: MakeRun) -> None:
    net = build(make_run, "highway-cnn", 8, (3, side, side))
    shapes: list[tuple[int, ...]] = []
    for layer in net.get_submodule("blocks").children():
        layer.register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape[1:])))
    net(random_inputs(2, 3, side, side))
    assert shapes == [(4 * 2**stage, side >> stage, side >> stage) for stage in (0, 0, 1, 1, 2, 2)]


@EACH_KIND
def test_dropout_acts_on_h_only_in_training_mode(
    model: str, depth: int, shape: tuple[int, ...], make_run: MakeRun
) -> None:
    settings = {"gate_bias": OPEN, "batch_norm": False, "activation": "sigmoid"}
    net, without = (build(make_run, model, depth, shape, dropout=rate, **settings) for rate in (0.5, 0))
    (layer, gate), (same, _) = gates_of(net)[-1], gates_of(without)[-1]
    layer.dropout.generator = torch.Generator().manual_seed(0)
    inputs = random_inputs(20, gate.weight.shape[1], *shape[1:])
    scales = layer(inputs) / same(inputs)
    assert {round(scale, 6) for scale in scales.flatten().tolist()} == {0, 2}
    inputs = random_inputs(3, *shape)
    assert torch.equal(net.eval()(inputs), without(inputs))


@pytest.mark.parametrize("value", ["nan", "inf", "shut"])
def test_a_gate_bias_must_be_finite(value: str, make_run: MakeRun) -> None:
    with pytest.raises(UserError, match=rf"gate_bias \(={value}\)"):
        make_run(models="highway-mlp", gate_bias=value)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("model", "depth", "shape"), [("highway-mlp", 4, (3,)), ("highway-cnn", 8, (1, 4, 4))])
def test_gradients_agree_with_finite_differences(
    model: str, depth: int, shape: tuple[int, ...], batch_norm: bool, make_run: MakeRun
) -> None:
    width = 3 if model == "highway-mlp" else 1
    run = make_run(
        task="digits",
        models=model,
        depths=depth,
        width=width,
        activation="tanh",
        batch_norm=batch_norm,
        init="glorot",
        gate_bias=-0.5,
    )
    assert check_gradients(run, random_inputs(3, *shape), fast_mode=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"models": "highway-mlp", "depths": 30, "steps": 100},
        {"task": "digits", "models": "highway-mlp", "depths": 10, "width": 16, "train_size": 60, "epochs": 20},
        {"task": "digits", "models": "highway-cnn", "depths": 20, "width": 2, "train_size": 60, "epochs": 6},
    ],
    ids=["sine", "digits-mlp", "digits-cnn"],
)
def test_training_lowers_the_loss(settings: dict[str, Any], make_run: MakeRun) -> None:
    run = make_run(**({"batch_size": 20} | settings))
    data = get_task(run.task).load(run, None).to(torch.device("cpu"), DTYPES[run[PRECISION]])
    history = train(run, data).history
    assert history[-1].train_loss < 0.9 * history[0].train_loss
