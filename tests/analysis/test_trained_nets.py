from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from resnet_cli.analysis.selection import select_runs
from resnet_cli.analysis.trained_nets import (
    BlockInfo,
    StoredNet,
    blocks_of,
    gradient_through,
    in_order,
    load_net,
    without_blocks,
)
from resnet_cli.execution.sweep import open_sweep
from resnet_cli.models import build_net
from resnet_cli.models.resnet import ZeroPaddingShortcut
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.errors import UserError
from resnet_cli.store.reader import load_results
from resnet_cli.store.weights import write_weights
from resnet_cli.training.data import load_data
from resnet_cli.training.loop import evaluate
from tests.conftest import MakeRun

DIGITS = {"task": "digits", "width": 2, "train_size": 100, "eval_size": 60}
IDENTITY_ORDERINGS = ("relu-before-addition", "relu-only-preactivation", "full-preactivation")


@pytest.fixture
def stored(make_run: MakeRun) -> Any:
    """Nets with their initial values, as if they had been stored."""

    def make(**settings: Any) -> StoredNet:
        run = make_run(**settings)
        data = load_data(run, None, "cpu")
        return StoredNet(run, build_net(run, data.input_shape, data.outputs).eval(), data)

    return make


def some_inputs(stored: StoredNet) -> Tensor:
    return stored.data.prepare(stored.data.test_inputs[:7])


def outputs(stored: StoredNet) -> Tensor:
    with torch.no_grad():
        return stored.net(some_inputs(stored))  # type: ignore[no-any-return]


@pytest.mark.parametrize("engine", ["loop", "stacked"])
@pytest.mark.parametrize("models", ["plain", "residual"])
def test_a_saved_net_has_the_final_losses_of_its_run(engine: str, models: str, tmp_path: Path) -> None:
    plan = plan_sweep({"models": models, "depths": "3,6", "seeds": 0, "steps": 20, "eval_every": 10, "engine": engine})
    with open_sweep(plan, tmp_path, jobs=1, save_models=True) as sweep:
        sweep.execute(lambda event: None)
    for one in select_runs(load_results(tmp_path)).runs:
        net = load_net(tmp_path, one.run, device="cpu")
        again = evaluate(net.net, net.run, net.data, 20, 0, 0, None)
        assert one.last is not None
        assert again.train_loss == pytest.approx(one.last.train_loss, rel=1e-5)
        assert again.test_loss == pytest.approx(one.last.test_loss, rel=1e-5)


def test_missing_weights_are_trained_only_with_save_models(tmp_path: Path) -> None:
    plan = plan_sweep({"models": "plain", "depths": "2,3", "seeds": 0, "steps": 4, "eval_every": 2})
    for save_models, done in ((False, 0), (False, 2), (True, 0), (True, 2), (False, 2)):
        with open_sweep(plan, tmp_path, jobs=1, save_models=save_models) as sweep:
            assert len(sweep.finished) == done
            sweep.execute(lambda event: None)


def test_weights_that_do_not_fit_are_rejected(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(depths=3)
    write_weights(tmp_path, run, build_net(make_run(depths=4), (1,), 1).state_dict())
    with pytest.raises(UserError, match="does not fit this version's plain-mlp"):
        load_net(tmp_path, run, device="cpu")


def test_blocks_know_whether_they_are_residual_or_change_shape(stored: Any) -> None:
    net = stored(**DIGITS, models="resnet", depths=14)
    assert blocks_of(net) == [BlockInfo(index, True, index in (2, 4)) for index in range(6)]
    net = stored(**DIGITS, models="plain-cnn", depths=8)
    assert blocks_of(net) == [BlockInfo(index, False, index > 0) for index in range(3)]
    net = stored(models="residual", depths=6, block_size=3)
    assert blocks_of(net) == [BlockInfo(0, True, False), BlockInfo(1, False, False)]
    with pytest.raises(UserError, match="plain-mlp, depth 1, seed 0 has no blocks"):
        blocks_of(stored(models="plain", depths=1))


@pytest.mark.parametrize("ordering", ["original", *IDENTITY_ORDERINGS])
def test_removing_a_residual_block_leaves_its_shortcut(ordering: str, stored: Any) -> None:
    net = stored(**DIGITS, models="resnet", depths=14, ordering=ordering)
    before = outputs(net)
    with without_blocks(net, [1, 2]):
        removed = outputs(net)
    shortcut = ZeroPaddingShortcut(2, 2)
    for index, stand_in in ((1, nn.Identity()), (2, shortcut)):  # inputs are activations, so a ReLU changes nothing
        net.net.blocks[index] = stand_in
    assert torch.equal(removed, outputs(net))
    assert not torch.allclose(removed, before)


def test_removing_a_plain_block_leaves_an_option_a_shortcut(stored: Any) -> None:
    net = stored(**DIGITS, models="plain-cnn", depths=14)
    with without_blocks(net, [1, 2]):
        removed = outputs(net)
    net.net.blocks[1], net.net.blocks[2] = nn.Identity(), ZeroPaddingShortcut(2, 2)
    assert torch.equal(removed, outputs(net))


@pytest.mark.parametrize("models", ["plain-cnn", "resnet", "highway-cnn", "densenet", "resnext", "bottleneck-resnet"])
def test_changes_to_nets_are_undone(models: str, stored: Any) -> None:
    depth = {"densenet": 10, "resnext": 11, "bottleneck-resnet": 11}.get(models, 14)
    net = stored(**DIGITS, models=models, depths=depth)
    before, names = outputs(net), [name for name, _ in net.net.named_modules()]
    count = len(net.net.blocks)
    same = [block.index for block in blocks_of(net) if not block.changes_shape]
    with without_blocks(net, same):
        assert not torch.equal(outputs(net), before) or not same
    with pytest.raises(ZeroDivisionError), in_order(net, range(count)):
        raise ZeroDivisionError
    assert torch.equal(outputs(net), before)
    assert [name for name, _ in net.net.named_modules()] == names


def test_reordered_blocks_are_computed_in_the_new_order(stored: Any) -> None:
    net = stored(models="plain", depths=4)
    blocks = list(net.net.blocks)
    with in_order(net, [2, 0, 1]), torch.no_grad():
        x = torch.relu(net.net.entry(some_inputs(net)))
        expected = net.net.output(blocks[1](blocks[0](blocks[2](x))))
        assert torch.equal(outputs(net), expected)
    assert list(net.net.blocks) == blocks


def test_branch_and_shortcut_gradients_add_up(stored: Any) -> None:
    net = stored(**DIGITS, models="resnet", depths=8, ordering="full-preactivation")
    net.net.double()
    images = some_inputs(net).double().requires_grad_()

    def gradient(routes: Any) -> Tensor:
        with gradient_through(net, routes):
            (found,) = torch.autograd.grad(net.net(images).square().sum(), images)
        return found

    whole = gradient(["both"] * 3)
    assert torch.allclose(gradient(["both", "branch", "both"]) + gradient(["both", "skip", "both"]), whole)
    with without_blocks(net, [2]):
        (without,) = torch.autograd.grad(net.net(images).sum(), images)
    assert not torch.allclose(without, whole)


def test_routes_through_plain_nets_are_rejected(stored: Any) -> None:
    net = stored(models="plain", depths=3)
    with (
        pytest.raises(UserError, match="Block 1 of plain-mlp, depth 3, seed 0 has no shortcut"),
        gradient_through(net, ["branch", "skip"]),
    ):
        pass
