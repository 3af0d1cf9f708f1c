"""Learning the identity: what the stacks compute, and that training them together equals training each alone."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.analysis.identity import (
    EXPERIMENTS,
    INITS,
    WEIGHTS,
    Experiment,
    Inputs,
    build_stack,
    generator,
    measure,
    summarise,
)
from resnet_cli.models.initialisation import initialise

DEPTHS = [
    (experiment, depth) for experiment in EXPERIMENTS for depth in ((1,) if experiment == "filter" else (1, 3, 4))
]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.concat(measure([1, 3], [0, 4], steps=4, device="cpu"), ignore_index=True)


def draw(experiment: Experiment, count: int = 5) -> Tensor:
    return Inputs(experiment).draw("test", count, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("experiment", "depth"), DEPTHS)
def test_plain_stacks_of_identity_weights_are_the_identity(experiment: Experiment, depth: int) -> None:
    stack = build_stack(experiment, depth, is_residual=False, block_size=2)
    layers = [layer for layer in stack.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
    assert len(layers) == depth
    with torch.no_grad():
        for layer in layers:
            nn.init.eye_(layer.weight) if isinstance(layer, nn.Linear) else nn.init.dirac_(layer.weight)
            if layer.bias is not None:
                layer.bias.zero_()
    inputs = draw(experiment)
    assert torch.equal(stack(inputs), inputs)


@pytest.mark.parametrize("block_size", [1, 2, 5])
@pytest.mark.parametrize(("experiment", "depth"), DEPTHS)
def test_residual_stacks_of_zeros_are_the_identity(experiment: Experiment, depth: int, block_size: int) -> None:
    stack = build_stack(experiment, depth, is_residual=True, block_size=block_size)
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.zero_()
    inputs = draw(experiment)
    assert torch.equal(stack(inputs), inputs)


@pytest.mark.parametrize(("experiment", "depth"), DEPTHS)
def test_plain_and_residual_stacks_start_with_the_same_values(experiment: Experiment, depth: int) -> None:
    plain, residual = (build_stack(experiment, depth, is_residual=kind, block_size=2) for kind in (False, True))
    for stack in (plain, residual):
        initialise(stack, "he", 3)
    ours, theirs = plain.state_dict(), residual.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_inputs_are_non_negative_and_test_inputs_are_unseen(experiment: Experiment) -> None:
    inputs = Inputs(experiment)
    train = inputs.draw("train", 2000, torch.Generator().manual_seed(0))
    test = inputs.draw("test", 50, torch.Generator().manual_seed(1))
    assert train.min() == 0
    assert not (test.flatten(1)[:, None] == train.flatten(1)[None]).all(dim=2).any()


def relu_block(parameters: dict[str, Tensor], block: int, layers: int, x: Tensor) -> Tensor:
    """A residual block of an MLP, written out."""
    inner = x
    for layer in range(layers):
        inner = inner if layer == 0 else inner.clamp(min=0)
        inner = inner @ parameters[f"{block}.layers.{layer}.0.weight"].T + parameters[f"{block}.layers.{layer}.0.bias"]
    return (x + inner).clamp(min=0)


def test_stacks_trained_together_match_stacks_trained_alone(frame: pd.DataFrame) -> None:
    """Depth 3 in blocks of two, seed 4, init he, four steps of Adam by its formulas."""
    stack = build_stack("vectors", 3, is_residual=True, block_size=2)
    initialise(stack, "he", 4)
    values = {name: value.clone().requires_grad_() for name, value in stack.state_dict().items()}
    first = {name: torch.zeros_like(value) for name, value in values.items()}
    second = {name: torch.zeros_like(value) for name, value in values.items()}
    inputs, batches = Inputs("vectors"), generator(4, "vectors", "batches")

    def error(inputs: Tensor) -> Tensor:
        outputs = relu_block(values, 1, 1, relu_block(values, 0, 2, inputs))
        return ((outputs - inputs) ** 2).mean()

    test = inputs.draw("test", 256, generator(0, "vectors", "test"))
    losses = [error(test).item()]
    for step in range(1, 5):
        gradients = torch.autograd.grad(error(inputs.draw("train", 16, batches)), list(values.values()))
        with torch.no_grad():
            for (name, value), gradient in zip(values.items(), gradients, strict=True):
                first[name] = 0.9 * first[name] + 0.1 * gradient
                second[name] = 0.999 * second[name] + 0.001 * gradient**2
                mean, square = first[name] / (1 - 0.9**step), second[name] / (1 - 0.999**step)
                value -= 0.01 * mean / (square.sqrt() + 1e-8)
        losses.append(error(test).item())
    mine = frame.query("experiment == 'vectors' and depth == 3 and kind == 'residual' and init == 'he' and seed == 4")
    assert mine["step"].tolist() == [0, 1, 2, 3, 4]
    assert mine["loss"].tolist() == pytest.approx(losses, rel=1e-4)
    scale = float((test**2).mean())
    assert mine["relative_error"].tolist() == pytest.approx([math.sqrt(loss / scale) for loss in losses], rel=1e-4)


def test_every_stack_has_a_row_for_each_evaluation(frame: pd.DataFrame) -> None:
    counts = frame.groupby(["experiment", "depth", "kind", "init", "seed"]).size()
    assert set(counts) == {5}
    assert len(counts) == (1 + 2 + 2) * 2 * len(INITS) * 2
    assert not frame.drop(columns=["distance", *WEIGHTS]).isna().any(axis=None)


def test_the_filters_distance_and_loss_follow_from_its_weights(frame: pd.DataFrame) -> None:
    filters = frame[frame["experiment"] == "filter"]
    images = Inputs("filter").draw("test", 256, generator(0, "filter", "test"))
    for _, row in filters.iterrows():
        weights = row[list(WEIGHTS)].to_numpy(float)
        identity = np.zeros(9)
        identity[4] = row["kind"] == "plain"
        assert row["distance"] == pytest.approx(math.sqrt(((weights - identity) ** 2).mean()), rel=1e-5)
        outputs = F.conv2d(images.double(), torch.tensor(weights).view(1, 1, 3, 3), padding=1)
        if row["kind"] == "residual":
            outputs = outputs + images
        assert row["loss"] == pytest.approx(float(((outputs - images) ** 2).mean()), rel=1e-4)
    assert frame.loc[frame["experiment"] != "filter", ["distance", *WEIGHTS]].isna().all(axis=None)


def test_filters_that_start_equally_far_away_end_equally_close() -> None:
    """The loss is quadratic in the nine weights, with the same curvature: only the distance at the start differs.

    So a plain filter that begins at the identity plus w takes the same steps as a residual one that begins at w.
    """
    images = draw("filter", 16)
    start = torch.linspace(-0.3, 0.3, 9).view(1, 1, 3, 3)
    delta = nn.init.dirac_(torch.empty(1, 1, 3, 3))
    offsets = []
    for is_residual in (False, True):
        stack = build_stack("filter", 1, is_residual=is_residual, block_size=2)
        (weights,) = stack.parameters()
        goal = torch.zeros_like(delta) if is_residual else delta
        with torch.no_grad():
            weights.copy_(goal + start)
        optimizer = torch.optim.SGD([weights], 0.5)
        for _ in range(20):
            optimizer.zero_grad()
            (stack(images) - images).square().mean().backward()
            optimizer.step()
        offsets.append((weights - goal).detach())
    torch.testing.assert_close(offsets[0], offsets[1], rtol=0, atol=1e-6)
    assert offsets[0].norm() < 0.5 * start.norm()


def test_the_best_constant_output_has_the_known_error(frame: pd.DataFrame) -> None:
    """max(0, z) has mean 1/√(2π) and mean square 1/2, so the error is √(1 − 1/π) = 0.826."""
    errors = frame.loc[frame["experiment"] == "vectors", "constant_error"]
    assert (errors == errors.iloc[0]).all()
    assert errors.iloc[0] == pytest.approx(math.sqrt(1 - 1 / math.pi), abs=0.01)


def test_long_trainings_are_measured_about_25_times() -> None:
    part = next(measure([1], [0], steps=120, device="cpu"))
    steps = sorted(part["step"].unique())
    assert steps == list(range(0, 121, 4))


def test_the_summary_holds_medians_and_when_the_filter_came_near() -> None:
    rows = [
        {"experiment": "filter", "depth": 1, "init": init, "kind": kind, "seed": seed, "step": step}
        | {"relative_error": 0.5 / (1 + step) * (1 + seed), "distance": 0.1 if step < near else 0.001}
        for kind, near in (("plain", 4), ("residual", 2))
        for init in INITS
        for seed in (0, 1, 2)
        for step in (0, 2, 4)
    ]
    part = pd.DataFrame(rows)
    summary = summarise(part)
    assert summary[["experiment", "depth", "init"]].to_numpy().tolist() == [["filter", 1, init] for init in INITS]
    assert summary["plain"].tolist() == summary["residual"].tolist() == pytest.approx([0.2, 0.2])
    assert summary[["near_plain", "near_residual"]].to_numpy().tolist() == [[4, 2]] * 2
    assert summarise(part.assign(distance=1.0))[["near_plain", "near_residual"]].isna().all(axis=None)
