from typing import Any

import pytest
import torch
from torch import Tensor, nn

from resnet_cli.models import build_net, count_parameters, describe_net
from resnet_cli.models.dense_block import ResidualDenseBlock
from resnet_cli.settings.errors import UserError
from resnet_cli.tasks import get_task
from resnet_cli.training.loop import DTYPES, train
from resnet_cli.training.settings import PRECISION
from tests.conftest import MakeRun
from tests.models.gradients import check_gradients


def random_inputs(*shape: int) -> Tensor:
    """Inputs in float64 from a fixed seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def build(make_run: MakeRun, depth: int, features: int, **settings: Any) -> nn.Module:
    """A net in float64 with two outputs."""
    run = make_run(models="residual-dense-mlp", depths=depth, **settings)
    return build_net(run, (features,), 2).double()


def blocks_of(net: nn.Module) -> list[ResidualDenseBlock]:
    return [module for module in net.modules() if isinstance(module, ResidualDenseBlock)]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_forward_pass_narrows_widens_and_adds(batch_norm: bool, make_run: MakeRun) -> None:
    net = build(make_run, 5, 3, width=6, inner_width=4, activation="tanh", batch_norm=batch_norm)
    weights: dict[str, Tensor] = net.state_dict()
    inputs = random_inputs(7, 3)

    def layer(name: str, x: Tensor) -> Tensor:
        x = x @ weights[f"{name}.0.weight"].T
        if not batch_norm:
            return x + weights[f"{name}.0.bias"]
        x = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()
        return x * weights[f"{name}.1.weight"] + weights[f"{name}.1.bias"]

    x = layer("entry", inputs).tanh()
    for block in ("blocks.0", "blocks.1"):
        narrowed = layer(f"{block}.narrow", x).tanh()
        assert narrowed.shape == (7, 4)
        x = (layer(f"{block}.widen", narrowed) + x).tanh()
    expected = x @ weights["output.weight"].T + weights["output.bias"]
    torch.testing.assert_close(net(inputs), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("depth", [3, 11])
@pytest.mark.parametrize("init", ["default", "he"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_with_full_inner_width_it_is_the_residual_mlp(
    depth: int, init: str, batch_norm: bool, make_run: MakeRun
) -> None:
    settings = {"width": 5, "init": init, "batch_norm": batch_norm}
    net = build(make_run, depth, 3, inner_width=5, **settings)
    other = build_net(make_run(models="residual-mlp", depths=depth, block_size=2, **settings), (3,), 2).double()
    inputs = random_inputs(6, 3)
    assert torch.equal(net(inputs), other(inputs))
    narrow = build(make_run, depth, 3, **settings)
    assert not torch.allclose(narrow(inputs), other(inputs))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_block_with_zero_branch_returns_activations_unchanged(batch_norm: bool, make_run: MakeRun) -> None:
    net = build(make_run, 3, 3, width=6, batch_norm=batch_norm)
    (block,) = blocks_of(net)
    with torch.no_grad():
        for parameter in block.widen.parameters():
            parameter.zero_()
    x = random_inputs(9, 6).relu()
    assert torch.equal(block(x), x)


def test_the_articles_block_has_1024_512_and_1024_units(make_run: MakeRun) -> None:
    net = describe_net(make_run(models="residual-dense-mlp", depths=3, width=1024), (784,), 10)
    shapes = [(layer.in_features, layer.out_features) for layer in net.modules() if isinstance(layer, nn.Linear)]
    assert shapes == [(784, 1024), (1024, 512), (512, 1024), (1024, 10)]
    assert count_parameters(net) == (784 * 1024 + 1024) + (1024 * 512 + 512) + (512 * 1024 + 1024) + (1024 * 10 + 10)


@pytest.mark.parametrize(
    ("depth", "width", "asked", "inner"),
    [(3, 8, {}, 4), (5, 7, {}, 4), (21, 1, {}, 1), (21, 8, {"inner_width": 3}, 3), (3, 8, {"inner_width": 20}, 20)],
)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_net_has_exactly_the_parameters_of_its_layers(
    depth: int, width: int, asked: dict[str, int], inner: int, batch_norm: bool, make_run: MakeRun
) -> None:
    settings = {"width": width, "batch_norm": batch_norm} | asked
    net = describe_net(make_run(models="residual-dense-mlp", depths=depth, **settings), (3,), 2)
    beside_a_weight = 2 if batch_norm else 1
    block = 2 * width * inner + beside_a_weight * (inner + width)
    expected = 3 * width + beside_a_weight * width + (depth - 1) // 2 * block + 2 * width + 2
    assert count_parameters(net) == expected
    assert sum(isinstance(module, nn.Linear) for module in net.modules()) == depth + 1


def test_dropout_comes_first_in_the_branch_without_the_skip(make_run: MakeRun) -> None:
    (block,) = blocks_of(build(make_run, 3, 3, width=40, dropout=0.5, activation="tanh"))
    block.dropout.generator = torch.Generator().manual_seed(0)
    x = random_inputs(9, 40)
    given = block(x)
    mask = torch.rand(9, 40, generator=torch.Generator().manual_seed(0)) >= 0.5
    assert 0 < mask.double().mean() < 1
    narrowed = block.narrow(2 * x * mask).tanh()
    torch.testing.assert_close(given, (block.widen(narrowed) + x).tanh())


def test_dropout_does_nothing_in_evaluation_mode(make_run: MakeRun) -> None:
    net, without = (build(make_run, 5, 3, dropout=rate).eval() for rate in (0.5, 0))
    inputs = random_inputs(4, 3)
    assert torch.equal(net(inputs), without(inputs))


def test_images_are_flattened(make_run: MakeRun) -> None:
    net = build_net(make_run(task="digits", models="residual-dense-mlp", depths=3, width=4), (1, 8, 8), 10)
    images = random_inputs(5, 1, 8, 8).float()
    assert net(images).shape == (5, 10)
    assert torch.equal(net(images), net(images.flatten(1)))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_even_depths_and_depths_without_a_block_are_rejected(depth: int, make_run: MakeRun) -> None:
    with pytest.raises(UserError, match=rf"has no depth {depth}; its depths are 2n\+1 from 3 on"):
        make_run(models="residual-dense-mlp", depths=depth)


@pytest.mark.parametrize("value", [0, -1, "half"])
def test_an_invalid_inner_width_is_rejected(value: object, make_run: MakeRun) -> None:
    with pytest.raises(UserError, match=rf"inner_width \(={value}\)"):
        make_run(models="residual-dense-mlp", inner_width=value)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradients_agree_with_finite_differences(batch_norm: bool, make_run: MakeRun) -> None:
    run = make_run(models="residual-dense-mlp", depths=5, width=4, activation="tanh", batch_norm=batch_norm)
    assert check_gradients(run, random_inputs(4, 3))


@pytest.mark.parametrize(
    "settings",
    [{"steps": 60}, {"task": "digits", "width": 16, "train_size": 60, "steps": 60, "dropout": 0.2}],
    ids=["sine", "digits"],
)
def test_training_lowers_the_loss(settings: dict[str, Any], make_run: MakeRun) -> None:
    run = make_run(models="residual-dense-mlp", depths=11, batch_size=20, **settings)
    data = get_task(run.task).load(run, None).to(torch.device("cpu"), DTYPES[run[PRECISION]])
    history = train(run, data).history
    assert history[-1].train_loss < 0.9 * history[0].train_loss
