"""Deeper nets by construction: the same function, layers that can learn, and trainings that can be compared."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from resnet_cli.analysis.append import append_layers, choose_depths, compare, find_twin, summarise
from resnet_cli.analysis.selection import select_runs
from resnet_cli.analysis.trained_nets import StoredNet
from resnet_cli.execution.sweep import open_sweep
from resnet_cli.models import build_net
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.errors import UserError
from resnet_cli.store.reader import load_results
from resnet_cli.store.record import RunRecord
from resnet_cli.training.data import load_data
from resnet_cli.training.loop import evaluate
from tests.conftest import MakeRun

DIGITS = {"task": "digits", "width": 3, "train_size": 150}
MLP_ON_DIGITS = {"task": "digits", "width": 7, "train_size": 150}
NETS = [
    ({"models": "plain-mlp", "depths": 1}, 4),
    ({"models": "plain-mlp", "depths": 3}, 8),
    ({"models": "plain-mlp", "depths": 3, "batch_norm": "true"}, 6),
    ({"models": "residual-mlp", "depths": 4}, 10),
    ({"models": "residual-mlp", "depths": 1, "block_size": 2}, 5),
    ({"models": "residual-mlp", "depths": 3, "block_size": 1, "batch_norm": "true"}, 5),
    (MLP_ON_DIGITS | {"models": "plain-mlp", "depths": 2}, 5),
    (DIGITS | {"models": "plain-cnn", "depths": 8}, 20),
    (DIGITS | {"models": "plain-cnn", "depths": 14, "batch_norm": "false", "init": "default"}, 20),
    (DIGITS | {"models": "resnet", "depths": 8}, 20),
    (DIGITS | {"models": "resnet", "depths": 8, "shortcut": "B", "batch_norm": "false", "init": "default"}, 14),
    (DIGITS | {"models": "resnet", "depths": 8, "block_size": 1}, 14),
    (DIGITS | {"models": "resnet", "depths": 8, "ordering": "full-preactivation"}, 14),
    (DIGITS | {"models": "resnet", "depths": 8, "ordering": "relu-only-preactivation"}, 14),
]

MakeStored = Callable[..., StoredNet]


@pytest.fixture
def stored(make_run: MakeRun) -> MakeStored:
    """Nets as if they had been trained: with the running statistics of some batches."""

    def make(**settings: Any) -> StoredNet:
        run = make_run(**settings)
        data = load_data(run, None, "cpu")
        net = build_net(run, data.input_shape, data.outputs).to(data.dtype)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=data.dtype), alpha=0.1)
            for batch in torch.split(data.train_inputs, 50):
                net.train()(data.prepare(batch))
        return StoredNet(run, net.eval(), data)

    return make


def outputs(stored: StoredNet) -> Tensor:
    with torch.no_grad():
        return stored.net(stored.data.prepare(stored.data.test_inputs[:20]))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("settings", "deeper"), NETS)
def test_the_deeper_net_computes_the_same_function(settings: dict[str, Any], deeper: int, stored: MakeStored) -> None:
    shallow = stored(**settings, precision="float64")
    appended = append_layers(shallow, deeper)
    layers = [layer for layer in appended.net.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    projections = 2 if settings.get("shortcut") == "B" else 0
    output = 1 if settings["models"].endswith("mlp") else 0  # depth counts the hidden layers of an MLP
    assert len(layers) == deeper + projections + output
    assert appended.run == shallow.run.but(depth=deeper)
    expected = outputs(shallow)
    assert expected.std() > 1e-3
    torch.testing.assert_close(outputs(appended), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("settings", "deeper"), NETS)
def test_the_deeper_nets_float32_loss_differs_only_by_rounding(
    settings: dict[str, Any], deeper: int, stored: MakeStored
) -> None:
    nets = [shallow := stored(**settings), append_layers(shallow, deeper)]
    losses = [evaluate(one.net, one.run, one.data, 0, 0, 0, None).train_loss for one in nets]
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "deeper"),
    [
        ({"models": "plain-mlp", "depths": 3, "batch_norm": "true"}, 9),
        (DIGITS | {"models": "plain-cnn", "depths": 8}, 20),
    ],
)
def test_batch_norms_stay_close_to_the_identity_in_training(
    settings: dict[str, Any], deeper: int, stored: MakeStored
) -> None:
    """With the statistics of a batch that resembles the training set, instead of running statistics."""
    shallow = stored(**settings, precision="float64")
    inputs = shallow.data.prepare(shallow.data.train_inputs)
    for norm in shallow.net.modules():
        if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
            norm.momentum = 1.0
    with torch.no_grad():
        for _ in range(2):  # after which the running statistics are those of all training inputs
            expected = shallow.net.train()(inputs)
        shallow.net.eval()
        outputs = append_layers(shallow, deeper).net.train()(inputs)
    assert (outputs - expected).abs().max() < 0.02 * expected.std()


@pytest.mark.parametrize(
    "settings",
    [
        {"models": "residual-mlp", "depths": 4},
        {"models": "residual-mlp", "depths": 4, "branch_scale": "skipinit"},
        DIGITS | {"models": "resnet", "depths": 8},
    ],
)
def test_every_appended_branch_gets_a_gradient_and_learns(settings: dict[str, Any], stored: MakeStored) -> None:
    appended = append_layers(stored(**settings), 7 if "task" not in settings else 14)
    net, data = appended.net.train(), appended.data
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        loss = data.losses(net(data.prepare(data.train_inputs[:50])), data.train_targets[:50]).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    for name, parameter in net.named_parameters():
        if name.startswith("blocks.") and name.endswith("weight"):
            assert parameter.grad is not None
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    ("settings", "deeper", "words"),
    [
        ({"depths": 3}, 3, "to (=3) must exceed the depth of the shallow net, which is 3"),
        ({"depths": 3, "activation": "tanh"}, 5, "activation (=tanh) of plain-mlp_d003"),
        ({"models": "residual", "depths": 4, "survival": 0.5}, 7, "survival (=0.5)"),
        (
            {"models": "residual", "depths": 4},
            6,
            "depth (=6) leaves the last block of residual-mlp with fewer than 3 layers",
        ),
        ({"models": "residual", "depths": 3}, 7, "depth (=3) leaves the last block"),
        (DIGITS | {"models": "resnet", "depths": 8, "shortcut": "C"}, 14, "shortcut (=C)"),
        (DIGITS | {"models": "resnet", "depths": 8, "ordering": "norm-after-addition"}, 14, "ordering (=norm-after"),
        (DIGITS | {"models": "plain", "depths": 8}, 15, "the nearest are 14 and 20"),
        (DIGITS | {"models": "densenet", "depths": 10}, 16, "models (=densenet) cannot be made deeper"),
    ],
)
def test_nets_that_cannot_be_extended_are_rejected(
    settings: dict[str, Any], deeper: int, words: str, stored: MakeStored
) -> None:
    with pytest.raises(UserError) as error:
        append_layers(stored(**settings), deeper)
    assert words in str(error.value)


def finished(make_run: MakeRun, **settings: Any) -> RunRecord:
    return RunRecord(run=make_run(**settings), status="done")


def test_the_twin_may_differ_only_in_its_warm_up(make_run: MakeRun) -> None:
    run = make_run(depths=9, seeds=1)
    others: list[dict[str, Any]] = [
        {"depths": 9, "seeds": 0},
        {"depths": 8, "seeds": 1},
        {"depths": 9, "seeds": 1, "init": "he"},
        {"depths": 9, "seeds": 1, "models": "residual"},
    ]
    runs = [finished(make_run, **settings) for settings in others]
    assert find_twin(run, runs) is None
    twin = finished(make_run, depths=9, seeds=1, warmup_steps=5)
    assert find_twin(run, [*runs, twin]) is twin


def test_default_depths_have_complete_blocks_in_all_models(make_run: MakeRun) -> None:
    runs = [
        finished(make_run, models=model, depths=depth) for model in ("plain", "residual") for depth in (2, 4, 7, 12, 16)
    ]
    assert choose_depths(runs, None, None) == (4, 16)
    assert choose_depths(runs, 7, None) == (7, 16)
    assert choose_depths(runs[:5], None, None) == (2, 16)
    assert choose_depths(runs[:5], 4, 99) == (4, 99)
    with pytest.raises(
        UserError, match=r"depth \(=3\): there is no stored net of this depth; the stored depths are 2,4,7"
    ):
        choose_depths(runs, 3, 7)
    with pytest.raises(UserError, match="share too few depths at which all blocks are complete"):
        choose_depths([runs[0], *runs[5:7]], None, None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    plan = plan_sweep(
        {"models": "plain", "depths": "2,4", "seeds": 0, "steps": 6, "eval_every": 3, "engine": "loop", "threads": 1}
    )
    with open_sweep(plan, tmp_path, jobs=1, save_models=True) as sweep:
        sweep.execute(lambda event: None)
    return tmp_path


def test_three_nets_are_trained_twice_and_compared(folder: Path) -> None:
    shallow, deeper = select_runs(load_results(folder)).runs
    runs = [shallow, deeper]
    frame = compare(folder, shallow, 4, runs, settings=["width"], data_dir=None, device="cpu")
    steps = {str(net): rows["step"].tolist() for net, rows in frame.groupby("net")}
    assert steps == {"shallow": [0, 3, 6, 9, 12], "appended": [6, 9, 12], "scratch": [0, 3, 6, 9, 12]}
    assert set(frame["width"]) == {30}
    losses = frame.set_index(["net", "step"])["train_loss"]
    for net, stored in (("shallow", shallow), ("scratch", deeper)):
        for metrics in stored.history:
            assert losses[net, metrics.step] == pytest.approx(metrics.train_loss, rel=1e-6)
    assert losses["appended", 6] == pytest.approx(losses["shallow", 6], rel=1e-6)
    assert losses["appended", 12] != pytest.approx(losses["shallow", 12], rel=1e-3)

    without = compare(folder, shallow, 4, [], settings=["width"], data_dir=None, device="cpu")
    pd.testing.assert_frame_equal(without, frame)  # what is not stored is trained to the same end


def test_a_diverged_net_is_not_trained_further(tmp_path: Path) -> None:
    settings = {"models": "residual", "init": "he", "optimizer": "sgd", "learning_rate": 1e-3, "steps": 6}
    plan = plan_sweep(settings | {"depths": 4, "seeds": 0, "eval_every": 2, "engine": "loop"})
    with open_sweep(plan, tmp_path, jobs=1, save_models=True) as sweep:
        sweep.execute(lambda event: None)
    runs = select_runs(load_results(tmp_path)).runs
    frame = compare(tmp_path, runs[0], 40, runs, settings=[], data_dir=None, device="cpu")
    losses = frame[frame["net"] == "scratch"].set_index("step")["train_loss"]
    assert losses.index.tolist() == [0, 2]
    assert math.isnan(losses[2])
    summary = summarise(frame, []).set_index("net")
    assert summary.loc[["scratch"], ["then", "end"]].to_numpy().tolist() == [[math.inf, math.inf]]


def test_the_summary_holds_medians_before_and_after() -> None:
    values = {"shallow": (0.3, 0.2), "appended": (0.3, 0.1), "scratch": (0.9, 0.8)}
    rows = [
        {
            "model": "plain-mlp",
            "depth": 2,
            "deeper": 4,
            "seed": seed,
            "net": net,
            "step": step,
            "train_loss": loss + seed,
        }
        for net, losses in values.items()
        for step, loss in zip((100, 200), losses, strict=True)
        for seed in (0, 1, 3)
    ]
    frame = pd.DataFrame(rows)
    is_last = (frame["net"] == "appended") & (frame["step"] == 100) & (frame["seed"] == 3)
    frame.loc[is_last, "train_loss"] += 0.25
    summary = summarise(frame, []).set_index("net")
    assert summary["then"].to_dict() == pytest.approx({"shallow": 1.3, "appended": 1.3, "scratch": 1.9})
    assert summary["end"].to_dict() == pytest.approx({"shallow": 1.2, "appended": 1.1, "scratch": 1.8})
    assert summary["changed"].to_dict() == pytest.approx(
        {"shallow": math.nan, "appended": 0.25, "scratch": math.nan}, nan_ok=True
    )
    assert set(summary["seeds"]) == {3}
