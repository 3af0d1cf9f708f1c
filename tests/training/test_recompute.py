"""Activation checkpointing: bit-identical results with less memory."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from resnet_cli.models import all_models, build_net
from resnet_cli.models.base import AuxiliaryHead, Drawing, Dropout, StochasticDepth
from resnet_cli.settings.run import Run
from resnet_cli.store.record import RunRecord
from resnet_cli.tasks import get_task
from resnet_cli.tasks.data import Data
from resnet_cli.training.checkpoint import Checkpoint, State
from resnet_cli.training.loop import DTYPES, train
from resnet_cli.training.recompute import RecomputedBlocks, recompute_blocks, segment_size
from resnet_cli.training.settings import PRECISION
from tests.conftest import MakeRun
from tests.gpu import on_gpu_and_cpu

RUNS: dict[str, dict[str, Any]] = {
    "resnet": {"models": "resnet"},
    "no-batch-norm": {"models": "resnet", "batch_norm": False, "learning_rate": 0.001},
    "drawing": {"models": "resnet", "dropout": 0.3, "survival": 0.5, "depths": 56},
    "drawing-bfloat16": {"models": "resnet", "dropout": 0.3, "survival": 0.5, "precision": "bfloat16"},
    "full-preactivation": {"models": "bottleneck-resnet", "depths": 47, "ordering": "full-preactivation"},
    "densenet-bc": {"models": "densenet-bc", "depths": 22, "growth_rate": 3, "dropout": 0.2},
    "auxiliary-cnn": {"models": "auxiliary-cnn", "depths": 26, "dropout": 0.2},
    "residual-mlp": {"models": "residual-mlp", "depths": 20, "batch_norm": True, "survival": 0.5, "dropout": 0.1},
}


def load(run: Run) -> Data:
    return get_task(run.task).load(run, None).to(torch.device("cpu"), DTYPES[run[PRECISION]])


def small(make_run: MakeRun, **settings: Any) -> Run:
    base = {"task": "digits", "depths": 20, "width": 2, "train_size": 40, "batch_size": 10, "steps": 5, "eval_every": 2}
    return make_run(**(base | settings))


def generator_states(net: nn.Module) -> list[Tensor]:
    layers = [layer for layer in net.modules() if isinstance(layer, Drawing)]
    return [layer.generator.get_state() for layer in layers if layer.generator is not None]


def trained(run: Run, **options: Any) -> tuple[RunRecord, nn.Module]:
    """The record of a run and its net."""
    nets: list[nn.Module] = []
    return train(run, load(run), probe=lambda net, step: nets.append(net), **options), nets[-1]


def assert_same(ours: tuple[RunRecord, nn.Module], theirs: tuple[RunRecord, nn.Module]) -> None:
    """Losses, gradient norms, parameters, running statistics, names, and the states of the generators."""
    (record, net), (expected, expected_net) = ours, theirs
    assert record.history == expected.history
    assert list(record.state) == list(expected.state)
    for name, values in expected.state.items():
        assert torch.equal(record.state[name], values), name
    for ends, expected_end in zip(generator_states(net), generator_states(expected_net), strict=True):
        assert torch.equal(ends, expected_end)


@pytest.mark.slow
@pytest.mark.parametrize("settings", RUNS.values(), ids=RUNS)
def test_recomputing_does_not_change_results(settings: dict[str, Any], make_run: MakeRun) -> None:
    run = small(make_run, **settings)
    record, net = trained(run, recompute=True)
    assert isinstance(net.blocks, RecomputedBlocks)
    assert len(net.blocks) > segment_size(len(net.blocks)), "something is computed again"
    assert_same((record, net), trained(run))


@pytest.mark.parametrize("model", all_models())
def test_every_model_supports_recomputing(model: str, make_run: MakeRun) -> None:
    depth = all_models()[model].depth_rule.nearest(8)[0]
    run = small(make_run, models=model, depths=depth, steps=1)
    assert_same(trained(run, recompute=True), trained(run))


def test_batch_norm_counts_each_step_once(make_run: MakeRun) -> None:
    run = small(make_run, models="resnet")
    state = train(run, load(run), recompute=True).state
    counts = {count.item() for name, count in state.items() if name.endswith("num_batches_tracked")}
    assert counts == {1 + 5}  # the statistics begin with those of the first batch


def test_a_killed_run_can_resume_without_recomputing(make_run: MakeRun, tmp_path: Path) -> None:
    run = small(make_run, models="resnet", dropout=0.3, survival=0.5)

    class Killed(Exception):
        pass

    class DyingCheckpoint(Checkpoint):
        def save(self, state: State) -> None:
            super().save(state)
            if state.step == 3:
                raise Killed

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Killed):
        train(run, load(run), checkpoint=DyingCheckpoint(path, 0), recompute=True)
    assert_same(trained(run, checkpoint=Checkpoint(path, 1000)), trained(run))


class Counted(nn.Module):
    """A layer with everything that a second pass must not disturb, and the number of its passes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh(), Dropout(0.4))
        self.gate = StochasticDepth(0.7)
        self.passes = 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.passes += 1
        return inputs + self.gate(self.layers(inputs)) if self.gate.is_kept() else inputs


def counted_net(*, recompute: bool) -> nn.Module:
    """Nine blocks with a head after the fourth, all values from seed 0."""
    torch.manual_seed(0)
    net = nn.Module()
    net.blocks = nn.Sequential(*[Counted() for _ in range(9)])
    net.blocks.insert(4, AuxiliaryHead(nn.Linear(4, 4), 0.3))
    generator = torch.Generator().manual_seed(0)
    for layer in net.modules():
        if isinstance(layer, Drawing):
            layer.generator = generator
    if recompute:
        recompute_blocks(net)
    return net


def loss_of(net: nn.Module, inputs: Tensor) -> Tensor:
    loss: Tensor = net.get_submodule("blocks")(inputs).square().mean()
    for head in net.modules():
        if isinstance(head, AuxiliaryHead):
            assert head.outputs is not None
            loss = loss + head.weight * head.outputs.square().mean()
    return loss


def gradients(net: nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in net.parameters() if parameter.grad is not None]


def passes(net: nn.Module) -> list[int]:
    return [block.passes for block in net.modules() if isinstance(block, Counted)]


def test_all_segments_except_the_last_are_computed_twice() -> None:
    net = counted_net(recompute=True)
    for gate in net.modules():
        if isinstance(gate, StochasticDepth):
            gate.survival = 1
    loss = loss_of(net, torch.ones(6, 4))
    assert passes(net) == [1] * 9
    loss.backward()  # type: ignore[no-untyped-call]
    assert passes(net) == [2] * 7 + [1] * 2  # ten blocks with the head, in segments of two


def test_the_second_pass_has_no_side_effects() -> None:
    inputs = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    net = counted_net(recompute=True)
    head = next(layer for layer in net.modules() if isinstance(layer, AuxiliaryHead))
    loss = loss_of(net, inputs)
    outputs, states = head.outputs, generator_states(net)
    buffers = {name: (buffer, buffer.clone()) for name, buffer in net.named_buffers()}
    loss.backward()  # type: ignore[no-untyped-call]
    assert head.outputs is outputs
    assert all(torch.equal(*pair) for pair in zip(generator_states(net), states, strict=True))
    for name, buffer in net.named_buffers():
        assert buffer is buffers[name][0]
        assert torch.equal(*buffers[name])


def test_repeated_backward_passes_give_the_same_gradients() -> None:
    inputs = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    expected = counted_net(recompute=False)
    loss_of(expected, inputs).backward()  # type: ignore[no-untyped-call]
    net = counted_net(recompute=True)
    loss = loss_of(net, inputs)
    for _ in range(2):
        net.zero_grad()
        loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        for ours, theirs in zip(gradients(net), gradients(expected), strict=True):
            assert torch.equal(ours, theirs)


def test_evaluation_computes_every_block_once() -> None:
    net = counted_net(recompute=True).eval()
    with torch.no_grad():
        outputs = net.get_submodule("blocks")(torch.ones(6, 4))
        expected = counted_net(recompute=False).eval().get_submodule("blocks")(torch.ones(6, 4))
    assert torch.equal(outputs, expected)
    assert passes(net) == [1] * 9


def kept_bytes(run: Run, *, recompute: bool) -> int:
    """Bytes stored between a forward and a backward pass, without parameters."""
    net = build_net(run, (1, 8, 8), 10)
    if recompute:
        recompute_blocks(net)
    parameters = {parameter.data_ptr() for parameter in net.parameters()}
    kept: dict[int, int] = {}

    def keep(saved: Tensor) -> Tensor:
        kept[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
        return saved

    with saved_tensors_hooks(keep, lambda saved: saved):
        outputs = net(torch.ones(10, 1, 8, 8))
    assert outputs.requires_grad
    return sum(count for pointer, count in kept.items() if pointer not in parameters)


def test_memory_grows_with_the_square_root_of_depth(make_run: MakeRun) -> None:
    shallow, deep = (small(make_run, models="resnet", depths=depth) for depth in (56, 218))  # 27 and 108 blocks
    assert kept_bytes(deep, recompute=False) / kept_bytes(shallow, recompute=False) == pytest.approx(4, rel=0.1)
    assert kept_bytes(deep, recompute=True) / kept_bytes(shallow, recompute=True) == pytest.approx(2, rel=0.2)
    assert kept_bytes(deep, recompute=True) < kept_bytes(deep, recompute=False) / 8


def test_a_net_without_blocks_is_not_changed() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    before = list(net.modules())
    recompute_blocks(net)
    assert list(net.modules()) == before


@on_gpu_and_cpu
def test_recomputing_on_a_device_does_not_change_losses(make_run: MakeRun, device: torch.device) -> None:
    run = small(make_run, models="resnet", dropout=0.3, survival=0.5, precision="float64")
    data = load(run).to(device, torch.float64)
    ours, theirs = (train(run, data, recompute=recompute).history[-1] for recompute in (True, False))
    assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-9)
