"""Gradients by layer: the backpropagation formula, the replayed training, and summaries."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from resnet_cli.analysis.gradients import differences, gradient_norms, replay, summarise
from resnet_cli.analysis.layers import weight_layers
from resnet_cli.analysis.selection import select_runs
from resnet_cli.analysis.trained_nets import StoredNet
from resnet_cli.execution.sweep import open_sweep
from resnet_cli.models import build_net
from resnet_cli.models.base import Drawing
from resnet_cli.models.mlp import layer_names
from resnet_cli.models.settings import BLOCK_SIZE, WIDTH
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.run import Run
from resnet_cli.store.reader import load_results
from resnet_cli.store.record import RunRecord
from resnet_cli.training.batches import Batches
from resnet_cli.training.data import load_data
from resnet_cli.training.loop import train
from tests.conftest import MakeRun

TINY = {"steps": 6, "eval_every": 3, "batch_size": 16, "train_size": 60}
IMAGES = {"task": "digits", "width": 2, "train_size": 100, "eval_size": 60, "batch_size": 20, "epochs": 2}


def unstored(run: Run) -> RunRecord:
    return RunRecord(run=run, status="done")


def first_batch(run: Run) -> tuple[Tensor, Tensor]:
    data = load_data(run, None, "cpu")
    return Batches(run, data)[0]


@torch.no_grad()
def by_hand(
    weights: list[Tensor], biases: list[Tensor], skips: dict[int, int], inputs: Tensor, targets: Tensor
) -> list[Tensor]:
    """The gradients of the weights of an MLP with sigmoids, of its mean squared error.

    `skips` says where skips lead: from the activation a_l to the pre-activation z_m, as {m: l}, counted from 0.
    """
    *hidden, last = range(len(weights))
    activations: list[Tensor] = []  # a_l, (B, W)
    for layer in hidden:
        entering = activations[-1] if activations else inputs
        pre_activation = entering @ weights[layer].T + biases[layer]
        if layer in skips:
            pre_activation = pre_activation + activations[skips[layer]]
        activations.append(1 / (1 + torch.exp(-pre_activation)))
    outputs = activations[-1] @ weights[last].T + biases[last]
    deltas = {last: 2 * (outputs - targets) / outputs.numel()}
    for layer in reversed(hidden):
        error = deltas[layer + 1] @ weights[layer + 1]
        for end, begin in skips.items():
            if begin == layer:
                error = error + deltas[end]
        deltas[layer] = error * activations[layer] * (1 - activations[layer])  # f' of the sigmoid is f (1 − f)
    return [delta.T @ (activations[layer - 1] if layer else inputs) for layer, delta in sorted(deltas.items())]


@pytest.mark.parametrize(("models", "skips"), [("plain", {}), ("residual", {2: 0, 4: 2})])
def test_gradients_match_the_backpropagation_formula(models: str, skips: dict[int, int], make_run: MakeRun) -> None:
    block = {"block_size": 2} if skips else {}
    run = make_run(**TINY, **block, models=models, depths=5, width=7, activation="sigmoid", precision="float64")
    data = load_data(run, None, "cpu")
    inputs, targets = first_batch(run)
    net = build_net(run, data.input_shape, data.outputs).double()
    layers: list[Any] = [net.get_submodule(name) for name in [*layer_names(5, run.get(BLOCK_SIZE)), "output"]]
    expected = by_hand([layer.weight for layer in layers], [layer.bias for layer in layers], skips, inputs, targets)

    found = torch.autograd.grad(data.losses(net(inputs), targets).mean(), [layer.weight for layer in layers])
    for gradient, of_hand in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, of_hand, rtol=1e-12, atol=0)

    frame = replay(unstored(run), data)
    at_start = frame[frame["step"] == 0]
    assert list(at_start["layer"]) == [1, 2, 3, 4, 5, 6]
    assert list(at_start["gradient_norm"]) == pytest.approx([float(one.norm()) for one in expected], rel=1e-12)


@pytest.mark.parametrize(
    "settings",
    [
        {"models": "plain", "depths": 3, "batch_norm": True},
        {"models": "auxiliary-mlp", "depths": 4, "auxiliary_weight": 0.7},
        {"models": "highway-mlp", "depths": 3},
        {"task": "digits", "models": "resnet", "depths": 8, "width": 2, "shortcut": "C"},
        {"task": "digits", "models": "auxiliary-cnn", "depths": 8, "width": 2},
    ],
    ids=str,
)
def test_initial_gradients_match_the_first_step_of_gradient_descent(
    settings: dict[str, Any], make_run: MakeRun
) -> None:
    one_step = {
        "optimizer": "sgd",
        "weight_decay": 0.0,
        "learning_rate": 1.0,
        "steps": 1,
        "eval_every": 1,
        "precision": "float64",
    }
    run = make_run(**settings, **one_step, train_size=60, batch_size=20)
    data = load_data(run, None, "cpu")
    frame = replay(unstored(run), data)
    before = build_net(run, data.input_shape, data.outputs).double().state_dict()
    after = train(run, data).state
    for row in frame[frame["step"] == 0].to_dict("records"):
        change = after[f"{row['name']}.weight"] - before[f"{row['name']}.weight"]
        assert row["gradient_norm"] == pytest.approx(float(change.norm()), rel=1e-9), row["name"]


@pytest.mark.parametrize(
    "settings",
    [
        {**TINY, "models": "plain", "depths": 3},
        {**TINY, "models": "residual", "depths": 4, "batch_norm": True, "dropout": 0.3, "survival": 0.5},
        {**IMAGES, "models": "resnet", "depths": 8, "survival": 0.5},
        {**IMAGES, "models": "auxiliary-cnn", "depths": 8},
    ],
    ids=str,
)
def test_the_replayed_training_is_bit_identical_to_the_stored_one(settings: dict[str, Any], tmp_path: Path) -> None:
    with open_sweep(plan_sweep({**settings, "seeds": 3, "engine": "loop", "threads": 1}), tmp_path, jobs=1) as sweep:
        sweep.execute(lambda event: None)
    (stored,) = select_runs(load_results(tmp_path)).runs
    frame = replay(stored, load_data(stored.run, None, "cpu"), ["width"])
    assert list(frame["step"].unique()) == [row.step for row in stored.history]
    assert list(frame[frame["layer"] == 1]["train_loss"]) == [row.train_loss for row in stored.history]
    assert (frame["train_loss"] == frame["stored_loss"]).all()
    assert (differences(frame) == 0).all()
    assert (frame["width"] == stored.run[WIDTH]).all()
    assert (frame["status"] == "done").all()


def test_measuring_draws_no_random_numbers(make_run: MakeRun) -> None:
    random = make_run(models="residual", depths=7, dropout=0.5)
    plain = make_run(models="residual", depths=7)
    norms = []
    for run in (random, plain):
        data = load_data(run, None, "cpu")
        stored = StoredNet(run, build_net(run, data.input_shape, data.outputs).eval(), data)
        names = [layer.name for layer in weight_layers(stored)]
        norms.append(gradient_norms(stored.net, names, data, *first_batch(run)))
    assert norms[0] == norms[1]


def test_every_block_has_a_gradient_with_stochastic_depth(make_run: MakeRun) -> None:
    run = make_run(models="residual", depths=13, survival=0.01)
    data = load_data(run, None, "cpu")
    frame = replay(unstored(make_run(models="residual", depths=13, survival=0.01, steps=1, eval_every=1)), data)
    assert (frame["gradient_norm"] > 0).all()
    net = build_net(run, data.input_shape, data.outputs)
    assert any(isinstance(module, Drawing) and not module.is_idle for module in net.modules())


def test_norms_with_squares_below_float32_range_are_not_zero(make_run: MakeRun) -> None:
    found = []
    for precision in ("float32", "float64"):
        run = make_run(**TINY, models="plain", depths=30, activation="sigmoid", precision=precision)
        frame = replay(unstored(run), load_data(run, None, "cpu"))
        found.append(frame.loc[frame["step"] == 0, "gradient_norm"].iloc[0])
    assert found[0] == pytest.approx(found[1], rel=1e-3)
    assert 0 < found[0] < 1e-23  # its square is below the smallest float32


def test_a_diverged_run_keeps_its_rows(make_run: MakeRun) -> None:
    run = make_run(**TINY, models="plain", depths=3, optimizer="sgd", learning_rate=1e30)
    frame = replay(unstored(run), load_data(run, None, "cpu"))
    assert set(frame["status"]) == {"diverged"}
    assert list(frame["step"].unique()) == [0, 3]
    assert np.isfinite(frame.loc[frame["step"] == 0, "gradient_norm"]).all()
    assert not np.isfinite(frame.loc[frame["step"] == 3, "gradient_norm"]).any()


def table(*rows: tuple[object, ...]) -> pd.DataFrame:
    columns = ["run_id", "depth", "model", "status", "step", "train_loss", "stored_loss", "layer", "gradient_norm"]
    return pd.DataFrame(rows, columns=columns)


def test_differences_are_relative_and_zero_for_equal_losses() -> None:
    def run(name: str, *losses: tuple[float, float]) -> list[tuple[object, ...]]:
        return [(name, 2, "m", "done", step, *pair, layer, 1.0) for step, pair in enumerate(losses) for layer in (1, 2)]

    frame = table(
        *run("same", (0.5, 0.5), (0.1, 0.1)),
        *run("both diverged", (0.5, 0.5), (math.nan, math.nan)),
        *run("other", (0.5, 0.5), (0.3, 0.2), (0.1, 0.1)),
        *run("one diverged", (0.5, 0.5), (math.nan, 0.2)),
    )
    expected = {"same": 0, "both diverged": 0, "other": pytest.approx(0.5), "one diverged": math.inf}
    assert differences(frame).to_dict() == expected


def test_the_summary_has_medians_before_and_after_training() -> None:
    def run(seed: int, first: float, last: float, loss: float, *, status: str = "done") -> list[tuple[object, ...]]:
        name = f"run {seed}"
        start = [(name, 2, "m", status, 0, 9.0, 9.0, layer, 10.0 * layer + seed) for layer in (1, 2, 3)]
        end = [(name, 2, "m", status, 50, loss, loss, layer, norm) for layer, norm in ((1, first), (2, 7.0), (3, last))]
        return [*start, *end]

    frame = table(
        *run(1, 0.1, 1.0, 0.5), *run(2, 0.3, 4.0, 0.7), *run(3, math.inf, math.nan, math.nan, status="diverged")
    ).assign(width=5)
    (row,) = summarise(frame, ["width"]).to_dict("records")
    assert row == {
        "width": 5,
        "depth": 2,
        "model": "m",
        "seeds": 3,
        "diverged": 1,
        "first_initial": 12.0,
        "last_initial": 32.0,
        "first_trained": pytest.approx(0.2),
        "last_trained": 2.5,
        "train_loss": pytest.approx(0.6),
    }
