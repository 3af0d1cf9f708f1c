"""Loss landscapes: against the parabola of a linear model, and stacks against single nets."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from resnet_cli.analysis import landscape
from resnet_cli.analysis.landscape import (
    directions_of,
    half_distance,
    loss_at,
    losses_at,
    measure_cuts,
    measure_landscape,
    summarise,
    valleys,
)
from resnet_cli.analysis.trained_nets import StoredNet, load_net
from resnet_cli.execution.sweep import open_sweep
from resnet_cli.models import build_net
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.store.reader import load_results
from resnet_cli.training.data import load_data
from tests.conftest import MakeRun

SMALL: dict[str, Any] = {"width": 5, "train_size": 50, "precision": "float64"}
PLACES = np.array([(0.0, 0.0), (0.5, -1.0), (1.0, 0.25)])


def stored_net(make_run: MakeRun, **settings: Any) -> StoredNet:
    run = make_run(**SMALL | settings)
    data = load_data(run, None, "cpu")
    return StoredNet(run, data.adapt(build_net(run, data.input_shape, data.outputs)).eval(), data)


def test_the_loss_of_a_linear_model_is_a_parabola(make_run: MakeRun) -> None:
    stored = stored_net(make_run)
    linear = nn.Linear(1, 1).double()
    stored = replace(stored, net=linear)
    frame = measure_landscape(stored, 2, cut=4, surface=0, radius=2, examples=40)
    inputs, targets = stored.data.train_inputs[:40, 0], stored.data.train_targets[:40, 0]
    weight, bias = linear.weight.item(), linear.bias.item()
    for number, cut in ((number, frame[frame["draw"] == number]) for number in (0, 1)):
        slope = directions_of(stored, number)[0]["weight"].item()
        assert abs(slope) == pytest.approx(abs(weight))
        left = weight * inputs + bias - targets
        parabola = [(left + x * slope * inputs).square().mean().item() for x in cut["x"]]
        np.testing.assert_allclose(cut["loss"], parabola, rtol=1e-12)
        by_hand = left.square().mean() + 2 * slope * (left * inputs).mean() + slope**2 * inputs.square().mean()
        assert cut["loss"].to_numpy()[cut["x"] == 1] == pytest.approx(by_hand.item())
    assert list(cut["x"]) == [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2]


@pytest.mark.parametrize("settings", [{"models": "plain"}, {"task": "digits", "models": "resnet", "depths": 8}])
def test_filters_of_a_direction_are_as_long_as_those_of_the_weights(
    make_run: MakeRun, settings: dict[str, Any]
) -> None:
    stored = stored_net(make_run, **settings)
    for direction in directions_of(stored, 0):
        for name, weight in stored.net.named_parameters():
            if weight.dim() == 1:
                assert not direction[name].any()
            else:
                for moved, own in zip(direction[name], weight.detach(), strict=True):
                    assert moved.norm().item() == pytest.approx(own.norm().item())


def test_draws_and_axes_differ_and_twins_share_them(make_run: MakeRun) -> None:
    plain, residual = (stored_net(make_run, models=role, depths=5) for role in ("plain", "residual"))
    first, second = directions_of(plain, 0)
    assert not torch.equal(first["output.weight"], second["output.weight"])
    assert not torch.equal(first["output.weight"], directions_of(plain, 1)[0]["output.weight"])
    assert torch.equal(first["output.weight"], directions_of(plain, 0)[0]["output.weight"])
    twin = directions_of(residual, 0)[0]
    assert [one.tolist() for one in first.values()] == [one.tolist() for one in twin.values()]


@pytest.mark.parametrize("most", [landscape.MOST_VALUES, 1])
@pytest.mark.parametrize("models", ["plain-mlp", "residual-mlp"])
def test_a_stacked_pass_equals_nets_one_by_one(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, models: str, most: int
) -> None:
    monkeypatch.setattr(landscape, "MOST_VALUES", most)
    stored = stored_net(make_run, task="digits", models=models, depths=7, batch_norm=True)
    directions = directions_of(stored, 0)
    alone = [float(loss_at(stored, directions, 30)(torch.tensor(place)).detach()) for place in PLACES]
    np.testing.assert_allclose(losses_at(stored, directions, PLACES, 30), alone, rtol=1e-12)


def test_a_cnn_moves_and_its_norms_stay(make_run: MakeRun) -> None:
    stored = stored_net(make_run, task="digits", models="resnet", depths=8)
    directions, before = directions_of(stored, 0), {name: one.clone() for name, one in stored.net.state_dict().items()}
    found = losses_at(stored, directions, PLACES, 20)
    assert all(torch.equal(before[name], one) for name, one in stored.net.state_dict().items())
    with torch.no_grad():
        for name, parameter in stored.net.named_parameters():
            for at, direction in zip(PLACES[1], directions, strict=True):
                parameter.add_(direction[name], alpha=float(at))
        data = stored.data
        outputs = stored.net(data.prepare(data.train_inputs[:20]))
        assert found[1] == pytest.approx(data.losses(outputs, data.train_targets[:20]).mean().item())


def test_the_centre_has_the_stored_loss(tmp_path: Path) -> None:
    request = {"models": "residual", "depths": 4, "seeds": 0, "steps": 20, "eval_every": 10, "train_size": 60}
    with open_sweep(plan_sweep(request), tmp_path, jobs=1, save_models=True) as sweep:
        sweep.execute(lambda event: None)
    (one,) = load_results(tmp_path).runs
    frame = measure_landscape(load_net(tmp_path, one.run, device="cpu"), 1, cut=1, surface=1, examples=1000)
    centre = frame[(frame["x"] == 0) & (frame["y"] == 0)]["loss"]
    assert list(centre) == pytest.approx([one.history[-1].train_loss] * 2, rel=1e-5)


def test_distances_are_interpolated() -> None:
    at = np.array([0.0, 1.0, 2.0])
    assert half_distance(at, np.array([0.0, 1.0, 3.0]), 2.0) == 1.5
    assert half_distance(at, np.array([3.0, 1.0, 1.0]), 2.0) == 0
    assert half_distance(at, np.array([0.0, 1.0, 1.0]), 2.0) == math.inf
    assert half_distance(at, np.array([0.0, math.nan, 3.0]), 2.0) == 1
    assert half_distance(at, np.array([0.0, math.inf, 3.0]), 2.0) == 1


@pytest.mark.parametrize(
    ("losses", "count"),
    [
        ([3, 1, 0, 1, 3], 1),
        ([1, 1, 1], 1),
        ([3, 0, 2, 0, 3], 2),
        ([3, 0, 0.5, 0, 3], 1),
        ([0, 2, 0], 2),
        ([0, 1, 2], 1),
    ],
)
def test_valleys_are_told_apart_by_a_rise(losses: list[float], count: int) -> None:
    assert valleys(np.array(losses, dtype=float), 1.0) == count


def test_the_summary_has_medians_over_seeds_and_draws() -> None:
    rows = [
        {"run_id": f"run{seed}", "task": "digits", "model": "resnet", "depth": 8, "seed": seed, "part": part}
        | {"draw": number, "x": x, "y": 0.0, "loss": abs(x) * (1 + seed + number), "constant_loss": 2.0}
        for seed in (0, 1)
        for number in (0, 1)
        for part in ("cut", "surface")
        for x in (-2.0, -1.0, 0.0, 1.0, 2.0)
    ]
    cuts = measure_cuts(pd.DataFrame(rows))
    assert cuts[["seed", "draw", "centre", "valleys"]].to_numpy().tolist() == [
        [0, 0, 0, 1], [0, 1, 0, 1], [1, 0, 0, 1], [1, 1, 0, 1]
    ]  # fmt: skip
    np.testing.assert_allclose(cuts["half"], [1, 1 / 2, 1 / 2, 1 / 3])
    (found,) = summarise(pd.DataFrame(rows)).to_dict("records")
    assert found == {"depth": 8, "model": "resnet", "seeds": 2, "draws": 2, "centre": 0, "half": 0.5} | {
        "lowest": pytest.approx(1 / 3), "highest": 1, "valleys": 1
    }  # fmt: skip
