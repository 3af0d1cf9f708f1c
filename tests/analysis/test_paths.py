import itertools
from collections.abc import Callable
from math import comb, factorial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from resnet_cli.analysis.paths import count_paths, measure_paths, path_gradient, summarise, with_paths
from resnet_cli.analysis.trained_nets import Route, StoredNet
from resnet_cli.models import build_net
from resnet_cli.settings.errors import UserError
from resnet_cli.store.record import RunRecord
from resnet_cli.training.data import load_data
from tests.conftest import MakeRun

DIGITS = {"task": "digits", "width": 2, "train_size": 100}


@pytest.fixture
def stored(make_run: MakeRun) -> Callable[..., StoredNet]:
    """Nets with their initial values, as if they had been stored."""

    def make(**settings: Any) -> StoredNet:
        run = make_run(**settings)
        data = load_data(run, None, "cpu")
        return StoredNet(run, build_net(run, data.input_shape, data.outputs).eval(), data)

    return make


def test_paths_are_counted_exactly() -> None:
    assert count_paths(3) == [1, 3, 3, 1]
    assert count_paths(500)[250] == factorial(500) // factorial(250) ** 2
    of_110_layers = count_paths(54)
    assert sum(of_110_layers) == 2**54
    assert sum(of_110_layers[19:36]) / 2**54 > 0.95  # Veit et al. 2016, §5


@pytest.mark.parametrize(
    ("settings", "blocks", "residual"),
    [
        ({"models": "residual-mlp", "depths": 10}, 3, 3),
        ({"models": "residual-mlp", "depths": 8, "activation": "tanh"}, 3, 2),  # the last block lacks a layer
        (DIGITS | {"models": "resnet", "depths": 8}, 3, 3),
        (DIGITS | {"models": "resnet", "depths": 8, "ordering": "full-preactivation", "shortcut": "C"}, 3, 3),
        (DIGITS | {"models": "resnet", "depths": 8, "ordering": "norm-after-addition", "survival": 0.5}, 3, 3),
    ],
)
def test_gradients_of_all_paths_add_up_to_the_total(
    settings: Any, blocks: int, residual: int, stored: Callable[..., StoredNet]
) -> None:
    net = stored(**settings)
    net.net.double()
    inputs, targets = net.data.prepare(net.data.train_inputs[:5]).double(), net.data.train_targets[:5]
    entered = inputs.clone().requires_grad_()
    (whole,) = torch.autograd.grad(net.data.losses(net.net(entered), targets).mean(), entered)
    either: list[Route] = ["branch", "skip"]
    all_ways: list[Route] = ["both"]
    ways = [either] * residual + [all_ways] * (blocks - residual)
    paths = [path_gradient(net, inputs, targets, routes) for routes in itertools.product(*ways)]
    assert len(paths) == 2**residual
    torch.testing.assert_close(torch.stack(paths).sum(dim=0), whole)
    assert whole.abs().max() > 0
    assert net.net(inputs).equal(net.net(entered))  # no hook is left


def test_blocks_of_linear_nets_multiply_gradients_by_their_weight(stored: Callable[..., StoredNet]) -> None:
    """With weights w in all branches of one unit, lengths are Binomial(L, w / (1 + w))."""
    weight, blocks = 0.25, 6
    net = stored(models="residual-mlp", depths=1 + blocks, block_size=1, width=1)
    for name, parameter in net.net.named_parameters():
        value = weight if name.startswith("blocks") else 1.0
        # inputs are in ±2π, so no activation is ever negative and no ReLU changes anything
        torch.nn.init.constant_(parameter, value if name.endswith("weight") else 10.0 * ("entry" in name))
    frame = measure_paths(net, draws=3)
    assert list(frame["length"]) == list(range(blocks + 1))
    assert list(frame["paths"]) == [1, 6, 15, 20, 15, 6, 1]
    lengths = np.arange(blocks + 1)
    for column in ("gradient", "gradient_low", "gradient_high"):
        assert list(frame[column] / frame[column][0]) == pytest.approx(weight**lengths, rel=1e-5)
    chance = weight / (1 + weight)
    expected = [comb(blocks, k) * chance**k * (1 - chance) ** (blocks - k) for k in lengths]
    assert list(frame["gradient_share"]) == pytest.approx(expected, rel=1e-5)
    assert list(frame["path_share"]) == [comb(blocks, k) / 64 for k in lengths]


def test_gradients_are_those_of_a_batchs_mean_loss(stored: Callable[..., StoredNet]) -> None:
    """A training set of one batch leaves one possible batch, and the smallest and largest length have one path each."""
    net = stored(models="residual-mlp", depths=7, train_size=32, batch_size=32)
    frame = measure_paths(net, draws=4)
    routes: dict[int, list[Route]] = {0: ["skip", "skip"], 2: ["branch", "branch"]}
    for length, chosen in routes.items():
        gradient = path_gradient(net, net.data.train_inputs, net.data.train_targets, chosen)
        for column in ("gradient", "gradient_low", "gradient_high"):
            assert frame[column][length] == pytest.approx(float(gradient.norm()), rel=1e-5)
    assert frame["gradient_low"][1] < frame["gradient"][1] < frame["gradient_high"][1]


def test_drawn_paths_depend_on_the_seed(stored: Callable[..., StoredNet]) -> None:
    settings = DIGITS | {"models": "resnet", "depths": 8}
    net = stored(**settings)
    first = measure_paths(net, draws=3)
    pd.testing.assert_frame_equal(first, measure_paths(net, draws=3))
    assert set(first["run_id"]) == {net.run.run_id}
    other = StoredNet(stored(**settings, seeds=1).run, net.net, net.data)
    assert (measure_paths(other, draws=3)["gradient"] != first["gradient"]).all()


def test_a_plain_net_has_a_single_path(stored: Callable[..., StoredNet]) -> None:
    with pytest.raises(UserError, match="plain-mlp, depth 3, seed 0 has no residual block"):
        measure_paths(stored(models="plain", depths=3), draws=1)


def test_a_dead_net_is_rejected(stored: Callable[..., StoredNet]) -> None:
    net = stored(models="residual-mlp", depths=4)
    torch.nn.init.zeros_(net.net.output.weight)  # type: ignore[union-attr, arg-type]
    with pytest.raises(UserError, match="No gradient reaches the input of residual-mlp, depth 4, seed 0"):
        measure_paths(net, draws=1)


def test_residual_nets_are_selected_without_loading_weights(make_run: MakeRun) -> None:
    settings = [
        {"models": "plain-mlp", "depths": 9},
        {"models": "residual-mlp", "depths": 3},
        {"models": "residual-mlp", "depths": 4},
        {"models": "highway-mlp", "depths": 4},
        {"models": "residual-dense-mlp", "depths": 5},
        DIGITS | {"models": "plain-cnn", "depths": 8},
        DIGITS | {"models": "bottleneck-resnet", "depths": 11},
    ]
    runs = [RunRecord(run=make_run(**chosen), status="done") for chosen in settings]
    assert [one.run.model for one in with_paths(runs)] == ["residual-mlp", "residual-dense-mlp", "bottleneck-resnet"]
    with pytest.raises(UserError, match=r"The nets selected \(plain-mlp, residual-mlp\) have no residual blocks"):
        with_paths(runs[:2])


def test_the_summary_gives_the_effective_path_lengths_over_seeds() -> None:
    nets = [
        pd.DataFrame(
            {
                "run_id": f"resnet_{seed}",
                "task": "digits",
                "model": "resnet",
                "depth": 14,
                "seed": seed,
                "blocks": 4,
                "length": range(5),
                "paths": [1, 4, 6, 4, 1],
                "path_share": np.array([1, 4, 6, 4, 1]) / 16,
                "draws": 9,
                "gradient": scale * 0.5 ** np.arange(5),
                "gradient_low": 0.1,
                "gradient_high": 0.2,
                "gradient_share": shares,
            }
        )
        for seed, scale, shares in ((0, 1.0, [0.0, 0.5, 0.46, 0.04, 0.0]), (1, 3.0, [0.0, 0.6, 0.36, 0.04, 0.0]))
    ]
    (row,) = summarise(pd.concat(nets)).to_dict("records")
    assert (row["heading"], row["depth"], row["blocks"], row["seeds"]) == ("resnet", 14, 4, 2)
    assert (row["first_path"], row["last_path"]) == (0, 4)
    assert (row["first"], row["last"]) == (1, 2)  # 0.55 and 0.41, the means of both seeds
    assert row["path_share"] == 10 / 16
    assert row["factor"] == pytest.approx(0.5)
