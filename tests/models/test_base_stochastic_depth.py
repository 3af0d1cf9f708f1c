"""Stochastic depth (Huang et al. 2016, arXiv 1603.09382) in resnet and residual-mlp."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from resnet_cli.models import build_net
from resnet_cli.models.base import Drawing, StochasticDepth, apply_in_order, linear_decay
from resnet_cli.models.resnet import ConvBlock
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.tasks import get_task
from resnet_cli.training.loop import train
from tests.conftest import MakeRun

NETS: dict[str, dict[str, Any]] = {
    "resnet": {"task": "digits", "models": "resnet", "depths": 20, "width": 2},
    "full-preactivation": {"task": "digits", "models": "resnet", "depths": 20, "width": 2}
    | {"ordering": "full-preactivation"},
    "bottleneck-resnet": {"task": "digits", "models": "bottleneck-resnet", "depths": 29, "width": 2},
    "residual-mlp": {"task": "sine", "models": "residual-mlp", "depths": 19, "block_size": 2, "width": 4},
}
each_net = pytest.mark.parametrize("settings", NETS.values(), ids=NETS)


def built(run: Run) -> nn.Module:
    return build_net(run, (1, 8, 8) if run.task == "digits" else (1,), 10)


def gates(net: nn.Module) -> list[StochasticDepth]:
    return [layer for layer in net.modules() if isinstance(layer, StochasticDepth)]


def inputs_for(run: Run, count: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, *((1, 8, 8) if run.task == "digits" else (1,)), generator=generator)


def seed_draws(net: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, Drawing):
            layer.generator = generator


@each_net
def test_survival_decreases_linearly_to_the_last_block(settings: dict[str, Any], make_run: MakeRun) -> None:
    probabilities = [gate.survival for gate in gates(built(make_run(**settings, survival=0.8)))]
    assert len(probabilities) == 9
    assert probabilities == pytest.approx([1 - block / 9 * 0.2 for block in range(1, 10)])


def test_the_papers_110_layers_keep_about_forty_of_54_blocks(make_run: MakeRun) -> None:
    # §3: with p_L = 0.5 the expected number of blocks is (3L - 1) / 4, 40 of 54.
    net = built(make_run(task="digits", models="resnet", depths=110, width=1, survival=0.5))
    assert sum(gate.survival for gate in gates(net)) == pytest.approx((3 * 54 - 1) / 4)


def test_an_incomplete_block_is_never_dropped(make_run: MakeRun) -> None:
    net = built(make_run(models="residual", depths=9, block_size=3, survival=0.5))
    assert [gate.survival for gate in gates(net) if not gate.is_idle] == [0.75, 0.5]


@pytest.mark.slow
@each_net
def test_survival_one_is_exactly_the_constant_depth_net(
    settings: dict[str, Any], make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def history(survival: float) -> list[Metrics]:
        run = make_run(**settings, survival=survival, train_size=40, batch_size=10, steps=4, eval_every=2)
        return train(run, get_task(run.task).load(run, None)).history

    kept, stochastic = history(1), history(0.5)
    assert kept != stochastic
    with monkeypatch.context() as without:  # the same nets with nothing in the place of stochastic depth
        without.setattr(StochasticDepth, "is_kept", lambda self: True)
        without.setattr(StochasticDepth, "forward", lambda self, response: response)
        assert history(1) == history(0.5) == kept


@pytest.mark.parametrize("ordering", ["original", "relu-only-preactivation", "full-preactivation"])
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_a_dropped_block_keeps_its_batch_norm_statistics(
    ordering: str, shortcut: str, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"depths": 14, "width": 2, "ordering": ordering, "shortcut": shortcut, "survival": 0.5}
    run = make_run(task="digits", models="resnet", **settings)
    net = built(run).train()
    before = {name: value.clone() for name, value in net.named_buffers()}
    monkeypatch.setattr(StochasticDepth, "is_kept", lambda self: False)
    net(inputs_for(run))
    changed = {name.rpartition(".")[0] for name, value in net.named_buffers() if not torch.equal(value, before[name])}
    projections = {"blocks.2.shortcut.1", "blocks.4.shortcut.1"} if shortcut == "B" else set()
    read_by_projections = {"blocks.2.norm1", "blocks.4.norm1"} if ordering == "full-preactivation" else set()
    last = {"last_norm"} if ordering == "full-preactivation" else set()
    assert changed == {"norm"} | last | projections | (read_by_projections if projections else set())


@each_net
def test_branches_are_kept_with_their_survival_probabilities(settings: dict[str, Any], make_run: MakeRun) -> None:
    net = built(make_run(**settings, survival=0.5)).train()
    seed_draws(net, 0)
    draws = 2000
    for gate in gates(net):
        kept = sum(gate.is_kept() for _ in range(draws))
        deviation = (gate.survival * (1 - gate.survival) / draws) ** 0.5
        assert abs(kept / draws - gate.survival) < 4 * deviation


def count_calls(net: nn.Module, kind: type[nn.Module]) -> Callable[[], int]:
    calls: list[nn.Module] = []
    for layer in net.modules():
        if isinstance(layer, kind):
            layer.register_forward_hook(lambda module, *_: calls.append(module))

    def taken() -> int:
        number = len(calls)
        calls.clear()
        return number

    return taken


@each_net
def test_a_dropped_branch_is_not_computed_and_gets_no_gradient(settings: dict[str, Any], make_run: MakeRun) -> None:
    run = make_run(**settings, survival=0.5)
    net = built(run).train()
    seed_draws(net, 1)
    calls = count_calls(net, nn.Conv2d if run.task == "digits" else nn.Linear)
    layers_of_block = 3 if run.model == "bottleneck-resnet" else 2
    net(inputs_for(run)).sum().backward()
    computed = calls()
    without = sum(parameter.grad is None for name, parameter in net.named_parameters() if name.endswith("weight"))
    net.eval()
    net(inputs_for(run))
    whole = calls()
    assert computed < whole
    assert (whole - computed) % layers_of_block == 0
    assert without >= whole - computed


def one_block(survival: float, ordering: Any, make_run: MakeRun) -> ConvBlock:
    run = make_run(task="digits", models="resnet", depths=8, width=3, batch_norm=False, init="default")
    convolutions = [nn.Conv2d(3, 3, 3, padding=1) for _ in range(2)]
    generator = torch.Generator().manual_seed(3)
    for convolution in convolutions:
        for parameter in convolution.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)
    return ConvBlock(run, convolutions, nn.Identity(), ordering=ordering, survival=survival).double()


@pytest.mark.parametrize("survival", [0.5, 0.9])
def test_average_training_outputs_approach_evaluation_outputs(survival: float, make_run: MakeRun) -> None:
    # Exact in expectation for one block without an activation after the addition.
    block = one_block(survival, "full-preactivation", make_run)
    seed_draws(block, 0)
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    draws = 4000
    with torch.no_grad():
        outputs = torch.stack([block.train()(images) for _ in range(draws)])
        expected = block.eval()(images)
    spread = outputs.std(dim=0) / draws**0.5
    assert ((outputs.mean(dim=0) - expected).abs() <= 4.5 * spread + 1e-12).all()
    assert not torch.allclose(outputs[0], expected)


@pytest.mark.slow
def test_average_outputs_of_whole_nets_approach_evaluation_outputs(make_run: MakeRun) -> None:
    run = make_run(models="residual-mlp", depths=13, block_size=3, width=16, survival=0.5)
    net = build_net(run, (4,), 3)
    seed_draws(net, 0)
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = torch.stack([net.train()(inputs) for _ in range(3000)])
        expected = net.eval()(inputs)
    distance = (outputs.mean(dim=0) - expected).norm() / expected.norm()
    assert distance < 0.15, "activations bend the average a little"
    assert (outputs - expected).norm(dim=(1, 2)).mean() / expected.norm() > 2 * distance


@pytest.mark.parametrize("ordering", ["original", "full-preactivation"])
def test_in_evaluation_the_branch_is_scaled_by_its_survival_probability(ordering: str, make_run: MakeRun) -> None:
    block = one_block(0.7, ordering, make_run).eval()
    whole = one_block(1.0, ordering, make_run).eval()
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        branch = apply_in_order(whole.branch, images)
        expected = images + 0.7 * branch
    assert torch.allclose(block(images), torch.relu(expected) if ordering == "original" else expected)


@pytest.mark.parametrize(("block", "blocks", "survival", "expected"), [(1, 1, 0.5, 0.5), (27, 54, 0.5, 0.75)])
def test_linear_decay_matches_equation_4(block: int, blocks: int, survival: float, expected: float) -> None:
    assert linear_decay(block, blocks, survival) == expected
