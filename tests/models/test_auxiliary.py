from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from resnet_cli.models import build_net, count_parameters, describe_net
from resnet_cli.models.base import AuxiliaryHead
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.tasks import get_task
from resnet_cli.tasks.data import Data
from resnet_cli.training.batches import Batches
from resnet_cli.training.loop import DTYPES, train
from resnet_cli.training.settings import PRECISION
from tests.conftest import MakeRun

EACH_KIND = pytest.mark.parametrize(
    ("kind", "depth", "shape"), [("mlp", 5, (3,)), ("cnn", 14, (1, 8, 8))], ids=["mlp", "cnn"]
)
SMALL = {
    "sine-mlp": {"task": "sine", "depths": 5, "width": 8, "batch_size": 20},
    "digits-mlp": {"task": "digits", "depths": 4, "width": 6, "train_size": 60, "batch_size": 20},
    "digits-cnn": {"task": "digits", "depths": 14, "width": 2, "train_size": 60, "batch_size": 20},
}
EACH_TASK = pytest.mark.parametrize("name", SMALL)


def random_inputs(*shape: int) -> Tensor:
    """Inputs in float64 from a fixed seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def small_run(make_run: MakeRun, prefix: str, name: str, **settings: Any) -> Run:
    return make_run(models=prefix + name[-4:], **({"steps": 9, "eval_every": 3} | SMALL[name] | settings))


def load(run: Run) -> Data:
    return get_task(run.task).load(run, None).to(torch.device("cpu"), DTYPES[run[PRECISION]])


def build(make_run: MakeRun, model: str, depth: int, shape: tuple[int, ...], **settings: Any) -> nn.Module:
    """A small net in float64 on the task digits."""
    run = make_run(**({"task": "digits", "models": model, "depths": depth, "width": 4} | settings))
    return build_net(run, shape, 10).double()


def head_of(net: nn.Module) -> AuxiliaryHead:
    (head,) = (module for module in net.modules() if isinstance(module, AuxiliaryHead))
    return head


def outputs_half_way(net: nn.Module) -> Tensor:
    """The head's outputs in the last forward pass, which was in training mode."""
    outputs = head_of(net).outputs
    assert outputs is not None
    return outputs


@EACH_KIND
@pytest.mark.parametrize("init", ["default", "he"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_without_its_head_it_is_exactly_the_plain_net(
    kind: str, depth: int, shape: tuple[int, ...], init: str, batch_norm: bool, make_run: MakeRun
) -> None:
    net, plain = (
        build(make_run, f"{prefix}-{kind}", depth, shape, init=init, batch_norm=batch_norm)
        for prefix in ("auxiliary", "plain")
    )
    ours, theirs = dict(net.named_parameters()), dict(plain.named_parameters())
    assert [name for name in ours if not name.startswith("auxiliary.")] == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    inputs = random_inputs(4, *shape)
    assert torch.equal(net(inputs), plain(inputs))
    assert torch.equal(net.eval()(inputs), plain.eval()(inputs))


@EACH_TASK
def test_with_weight_0_it_trains_exactly_like_plain_nets(name: str, make_run: MakeRun) -> None:
    run = small_run(make_run, "auxiliary", name, auxiliary_weight=0, dropout=0.2)
    twin = small_run(make_run, "plain", name, dropout=0.2)
    ours, theirs = train(run, load(run)), train(twin, load(twin))
    assert all(torch.equal(ours.state[key], values) for key, values in theirs.state.items())
    for name in ("step", "train_loss", "test_loss", "train_error", "test_error"):
        assert [getattr(row, name) for row in ours.history] == [getattr(row, name) for row in theirs.history]
    norms, others = ([row.gradient_norm for row in outcome.history[1:]] for outcome in (ours, theirs))
    assert norms == pytest.approx(others, rel=1e-6)


@EACH_TASK
def test_a_training_step_follows_the_gradient_of_both_losses(name: str, make_run: MakeRun) -> None:
    settings = {"optimizer": "sgd", "learning_rate": 0.05, "weight_decay": 0, "precision": "float64", "steps": 1}
    run = small_run(make_run, "auxiliary", name, auxiliary_weight=0.7, **settings)
    data = load(run)
    trained = train(run, data).state

    net = build_net(run, data.input_shape, data.outputs).double()
    inputs, targets = Batches(run, data)[0]
    loss = data.losses(net(inputs), targets).mean() + 0.7 * data.losses(outputs_half_way(net), targets).mean()
    gradients = torch.autograd.grad(loss, list(net.parameters()))
    for (name, parameter), gradient in zip(net.named_parameters(), gradients, strict=True):
        torch.testing.assert_close(trained[name], parameter.detach() - 0.05 * gradient, rtol=1e-9, atol=1e-12)


@EACH_KIND
def test_the_heads_gradient_reaches_only_the_first_half(
    kind: str, depth: int, shape: tuple[int, ...], make_run: MakeRun
) -> None:
    net = build(make_run, f"auxiliary-{kind}", depth, shape)
    parameters = dict(net.named_parameters())
    net(random_inputs(4, *shape))
    loss = outputs_half_way(net).square().sum()
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    pairs = zip(parameters, gradients, strict=True)
    reached = {name.rsplit(".", 1)[0] for name, gradient in pairs if gradient is not None}
    if kind == "mlp":
        assert reached == {"entry.0", "blocks.0.layers.0.0", "blocks.1.layers.0.0", "auxiliary.head"}
    else:
        parts = ("conv1", "norm1", "conv2", "norm2")
        blocks = {f"blocks.{index}.{part}" for index in range(3) for part in parts}
        assert reached == blocks | {"conv", "norm", "auxiliary.head.2"}


@pytest.mark.parametrize(
    ("kind", "depth", "layers_before"),
    [("mlp", 2, 1), ("mlp", 3, 2), ("mlp", 4, 2), ("mlp", 5, 3), ("cnn", 8, 5), ("cnn", 14, 7), ("cnn", 20, 11)],
)
def test_the_head_follows_the_middle_layer_or_block(
    kind: str, depth: int, layers_before: int, make_run: MakeRun
) -> None:
    net = build(make_run, f"auxiliary-{kind}", depth, (1, 8, 8))
    order: list[nn.Module] = []
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, AuxiliaryHead)):
            module.register_forward_hook(lambda module, *_: order.append(module))
    net.eval()(random_inputs(2, 1, 8, 8))
    assert order.index(head_of(net)) == layers_before


def test_the_heads_outputs_are_linear_in_its_inputs(make_run: MakeRun) -> None:
    mlp = build(make_run, "auxiliary-mlp", 2, (3,), activation="tanh")
    points = random_inputs(4, 3)
    mlp(points)
    weights: dict[str, Tensor] = mlp.state_dict()
    hidden = (points @ weights["entry.0.weight"].T + weights["entry.0.bias"]).tanh()
    expected = hidden @ weights["auxiliary.head.weight"].T + weights["auxiliary.head.bias"]
    torch.testing.assert_close(outputs_half_way(mlp), expected)

    cnn = build(make_run, "auxiliary-cnn", 8, (1, 8, 8))
    outputs: list[Tensor] = []
    cnn.get_submodule("blocks.1").register_forward_hook(lambda *call: outputs.append(call[2]))
    cnn(random_inputs(4, 1, 8, 8))
    weights = cnn.state_dict()
    expected = outputs[0].mean((2, 3)) @ weights["auxiliary.head.2.weight"].T + weights["auxiliary.head.2.bias"]
    torch.testing.assert_close(outputs_half_way(cnn), expected)


@EACH_KIND
def test_the_head_is_not_computed_in_evaluation_mode(
    kind: str, depth: int, shape: tuple[int, ...], make_run: MakeRun
) -> None:
    net = build(make_run, f"auxiliary-{kind}", depth, shape).eval()
    inputs = random_inputs(4, *shape)
    before = net(inputs)
    with torch.no_grad():
        for parameter in head_of(net).parameters():
            parameter.fill_(torch.nan)
    assert torch.equal(net(inputs), before)
    assert head_of(net).outputs is None


@EACH_TASK
def test_the_head_changes_training_and_is_trained_itself(name: str, make_run: MakeRun) -> None:
    run, twin = (small_run(make_run, prefix, name) for prefix in ("auxiliary", "plain"))
    outcome, of_twin = train(run, load(run)), train(twin, load(twin))
    assert outcome.history[0].train_loss == of_twin.history[0].train_loss
    assert outcome.history[-1].train_loss != of_twin.history[-1].train_loss
    net = build_net(run, load(run).input_shape, load(run).outputs)
    initial = [parameter.clone() for parameter in head_of(net).parameters()]
    net.load_state_dict(outcome.state)
    assert head_of(net).weight == 0.3
    for before, ours in zip(initial, head_of(net).parameters(), strict=True):
        assert not torch.equal(ours, before)


@pytest.mark.parametrize(
    ("kind", "depth", "features"), [("mlp", 2, 4), ("mlp", 9, 4), ("cnn", 8, 2 * 4), ("cnn", 14, 2 * 4), ("cnn", 56, 8)]
)
def test_depth_does_not_count_the_heads_linear_layer(kind: str, depth: int, features: int, make_run: MakeRun) -> None:
    net, plain = (
        describe_net(make_run(task="digits", models=f"{prefix}-{kind}", depths=depth, width=4), (1, 8, 8), 10)
        for prefix in ("auxiliary", "plain")
    )
    assert count_parameters(net) - count_parameters(plain) == features * 10 + 10
    layers = [module for module in net.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert len(layers) - 1 == depth + (kind == "mlp")


def test_depth_one_is_rejected(make_run: MakeRun) -> None:
    with pytest.raises(UserError, match="auxiliary-mlp has no depth 1; its depths are n from 2 on"):
        make_run(models="auxiliary-mlp", depths=1)


@pytest.mark.parametrize("value", ["-0.1", "nan", "inf", "some"])
def test_a_negative_or_non_numeric_weight_is_rejected(value: str, make_run: MakeRun) -> None:
    with pytest.raises(UserError, match=rf"auxiliary_weight \(={value}\)"):
        make_run(models="auxiliary-mlp", auxiliary_weight=value)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(
    ("kind", "depth", "width", "shape"), [("mlp", 4, 3, (3,)), ("cnn", 8, 1, (1, 4, 4))], ids=["mlp", "cnn"]
)
def test_gradients_of_both_outputs_agree_with_finite_differences(
    kind: str, depth: int, width: int, shape: tuple[int, ...], batch_norm: bool, make_run: MakeRun
) -> None:
    settings = {"width": width, "activation": "tanh", "batch_norm": batch_norm, "init": "glorot"}
    net = build(make_run, f"auxiliary-{kind}", depth, shape, **settings)
    names = [name for name, _ in net.named_parameters()]

    def outputs(inputs: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        own: Tensor = functional_call(net, dict(zip(names, parameters, strict=True)), (inputs,))
        return own, outputs_half_way(net)

    inputs = random_inputs(3, *shape).requires_grad_()
    assert torch.autograd.gradcheck(outputs, (inputs, *net.parameters()), fast_mode=True)
