"""Responses of layers, against standard deviations computed by hand on the test inputs."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.analysis import responses
from resnet_cli.analysis.responses import measure_responses, summarise
from resnet_cli.analysis.trained_nets import StoredNet
from resnet_cli.models import build_net
from resnet_cli.training.data import load_data
from tests.conftest import MakeRun

IMAGES = {"task": "digits", "models": "resnet", "depths": 8, "width": 2, "train_size": 100, "precision": "float64"}


def stored_net(make_run: MakeRun, **settings: Any) -> StoredNet:
    """A net with its initial values; norms have statistics and parameters of a fixed seed."""
    run = make_run(**settings)
    data = load_data(run, None, "cpu")
    net = build_net(run, data.input_shape, data.outputs).to(data.dtype).eval()
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            assert module.running_mean is not None
            assert module.running_var is not None
            with torch.no_grad():
                for values in (module.running_mean, module.running_var, module.weight, module.bias):
                    values.uniform_(0.5, 1.5, generator=generator)
    return StoredNet(run, net, data)


def deviations(stored: StoredNet) -> list[float]:
    return list(measure_responses(stored)["deviation"])


@torch.no_grad()
@pytest.mark.parametrize(("models", "ends"), [("plain", ()), ("residual", (2, 4))])
def test_mlp_responses_are_pre_activations_before_the_skip(
    models: str, ends: tuple[int, ...], make_run: MakeRun
) -> None:
    block = {"block_size": 2} if ends else {}
    stored = stored_net(make_run, models=models, depths=5, width=6, precision="float64", **block)
    state = stored.net.state_dict()
    weights = [state[name] for name in state if name.endswith("weight")][:-1]
    biases = [state[name] for name in state if name.endswith("bias")][:-1]
    expected = []
    x = block_input = stored.data.test_inputs
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        response = x @ weight.T + bias
        expected.append(np.std(response.numpy()))
        x = torch.relu(response + block_input if number in ends else response)
        if number == 0 or number in ends:
            block_input = x
    frame = measure_responses(stored, ["width"])
    assert list(frame["deviation"]) == pytest.approx(expected, rel=1e-12)
    assert list(frame["layer"]) == [1, 2, 3, 4, 5]
    assert list(frame.loc[frame["is_added"], "layer"] - 1) == list(ends)
    assert list(frame["rank"]) == [1 + sum(other > own for other in expected) for own in expected]
    assert (frame["width"] == 6).all()


def normed(maps: Tensor, norm: Any) -> Tensor:
    shift, spread = norm.running_mean[:, None, None], (norm.running_var[:, None, None] + norm.eps).sqrt()
    scaled: Tensor = (maps - shift) / spread * norm.weight[:, None, None] + norm.bias[:, None, None]
    return scaled


@torch.no_grad()
@pytest.mark.parametrize("ordering", ["original", "full-preactivation"])
def test_cnn_responses_are_outputs_of_the_following_norm(ordering: str, make_run: MakeRun) -> None:
    stored = stored_net(make_run, **IMAGES, ordering=ordering)
    net: Any = stored.net
    block = net.blocks[0]
    images = stored.data.prepare(stored.data.test_inputs)
    first = normed(F.conv2d(images, net.conv.weight, padding=1), net.norm)
    second = F.conv2d(torch.relu(first), block.conv1.weight, padding=1)
    if ordering == "original":
        second = normed(second, block.norm1)
        third = normed(F.conv2d(torch.relu(second), block.conv2.weight, padding=1), block.norm2)
    else:  # the norms of the block stand before its convolutions; its first convolution has none
        third = F.conv2d(torch.relu(normed(second, block.norm2)), block.conv2.weight, padding=1)
    expected = [np.std(response.numpy()) for response in (first, second, third)]
    frame = measure_responses(stored)
    assert list(frame["deviation"])[:3] == pytest.approx(expected, rel=1e-9)
    assert len(frame) == 7
    assert list(frame.loc[frame["is_added"], "layer"]) == [3, 5, 7]


def test_weights_scale_the_responses_of_all_later_relu_layers(make_run: MakeRun) -> None:
    stored = stored_net(make_run, **IMAGES | {"models": "plain-cnn"}, batch_norm=False)
    before = deviations(stored)
    convolution: Any = stored.net.get_submodule("blocks.1.conv1")
    convolution.weight.data *= 3
    factors = np.array(deviations(stored)) / before
    assert list(factors) == pytest.approx([1, 1, 1, 3, 3, 3, 3], rel=1e-9)


def test_batch_norm_makes_responses_independent_of_weight_scale(make_run: MakeRun) -> None:
    stored = stored_net(make_run, **IMAGES)
    convolution: Any = stored.net.get_submodule("blocks.1.conv1")
    norm: Any = stored.net.get_submodule("blocks.1.norm1")
    norm.eps = 0
    before = deviations(stored)
    convolution.weight.data *= 3
    norm.running_mean *= 3
    norm.running_var *= 9
    assert deviations(stored) == pytest.approx(before, rel=1e-9)


def test_the_evaluation_batch_size_does_not_matter(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = stored_net(make_run, **IMAGES)
    whole = deviations(stored)
    monkeypatch.setattr(responses, "EVALUATION_BATCH", 37)
    assert deviations(stored) == pytest.approx(whole, rel=1e-9)


@torch.no_grad()
def test_eval_size_limits_the_examples(make_run: MakeRun) -> None:
    stored = stored_net(make_run, **IMAGES, eval_size=50)
    net: Any = stored.net
    images = stored.data.prepare(stored.data.test_inputs[:50])
    expected = np.std(normed(F.conv2d(images, net.conv.weight, padding=1), net.norm).numpy())
    assert deviations(stored)[0] == pytest.approx(expected, rel=1e-9)


def test_measuring_does_not_change_the_net(make_run: MakeRun) -> None:
    stored = stored_net(make_run, **IMAGES)
    before = {name: value.clone() for name, value in stored.net.state_dict().items()}
    measure_responses(stored)
    assert all(torch.equal(value, before[name]) for name, value in stored.net.state_dict().items())
    assert not any(module._forward_hooks for module in stored.net.modules())


def test_the_summary_has_medians_over_seeds() -> None:
    rows = [
        {"run_id": f"{model}{seed}", "depth": 4, "model": model, "layer": layer, "deviation": deviation + seed}
        for model in ("plain-mlp", "residual-mlp")
        for seed in (0, 1, 5)
        for layer, deviation in enumerate((4.0, 1.0, 1.0), 1)
    ]
    frame = pd.DataFrame(rows)
    frame["is_added"] = (frame["model"] == "residual-mlp") & (frame["layer"] == 3)
    plain, residual = summarise(frame).to_dict("records")
    shared = {"depth": 4, "seeds": 3, "mean": 3.0, "largest": 5.0}
    assert residual == {"model": "residual-mlp", **shared, "added": 2.0}
    assert np.isnan(plain.pop("added"))
    assert plain == {"model": "plain-mlp", **shared}
