import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from resnet_cli.analysis.features import feature_maps, pick_cnns
from resnet_cli.analysis.trained_nets import StoredNet
from resnet_cli.models import build_net
from resnet_cli.settings.errors import UserError
from resnet_cli.store.record import RunRecord
from resnet_cli.tasks.data import Data
from resnet_cli.training.data import load_data
from tests.conftest import MakeRun

DIGITS = {"task": "digits", "width": 2, "train_size": 100, "eval_size": 60}


@pytest.fixture
def stored(make_run: MakeRun) -> Callable[..., StoredNet]:
    """Nets with their initial values, as if they had been stored."""

    def make(**settings: Any) -> StoredNet:
        run = make_run(**DIGITS | settings)
        data = load_data(run, None, "cpu")
        return StoredNet(run, build_net(run, data.input_shape, data.outputs).eval(), data)

    return make


@torch.no_grad()
def activations(net: Any, images: Tensor) -> list[Tensor]:
    """The outputs of the first convolution and each block of a CNN of He et al., computed without hooks."""
    found = [torch.relu(net.norm(net.conv(images)))]
    for block in net.blocks:
        found.append(block(found[-1]))
    return found


def pictured(net: StoredNet, **choice: int) -> pd.DataFrame:
    frame = feature_maps(net, **choice)
    arrays = [np.array(json.loads(pixels)) if isinstance(pixels, str) else None for pixels in frame["pixels"]]
    return frame.assign(pixels=pd.Series(arrays, frame.index, object))


@pytest.mark.parametrize("settings", [{"models": "resnet"}, {"models": "resnet", "ordering": "full-preactivation"}])
def test_pictures_are_the_activations_of_the_image(settings: Any, stored: Callable[..., StoredNet]) -> None:
    net = stored(**settings, depths=14)
    frame = pictured(net, image=5, layers=4, maps=3)
    expected = activations(net.net, net.data.prepare(net.data.test_inputs[5:6]))
    pictures = frame[(frame["part"] == "map") & frame["pixels"].notna()]
    assert list(zip(pictures["layer"], pictures["map"], strict=True)) == [
        *[(layer, number) for layer in (1, 3) for number in (1, 2)],  # these have two channels
        *[(5, number) for number in (1, 2, 3)],
        *[(7, number) for number in (1, 2, 3)],
    ]
    for row in pictures.to_dict("records"):
        expected_pixels = expected[row["layer"] - 1][0, row["map"] - 1]
        np.testing.assert_allclose(row["pixels"], expected_pixels, rtol=1e-4, atol=1e-6)
        assert row["pixels"].shape == (row["height"], row["width"])
    assert list(dict.fromkeys(pictures["name"])) == ["first convolution", "block 2", "block 4", "block 6"]
    answer = net.net(net.data.prepare(net.data.test_inputs[5:6])).argmax()
    assert (frame["answer"] == int(answer)).all()
    assert (frame["target"] == int(net.data.test_targets[5])).all()
    assert set(frame["run_id"]) == {net.run.run_id}


def test_statistics_of_every_channel_cover_the_test_images(stored: Callable[..., StoredNet]) -> None:
    net = stored(models="resnet", depths=8)
    frame = pictured(net, image=0, layers=1, maps=1)
    of_maps = frame[frame["part"] == "map"]
    assert of_maps.groupby("layer").size().to_dict() == {1: 2, 2: 2, 3: 4, 4: 8}
    expected = activations(net.net, net.data.prepare(net.data.test_inputs[:60]))
    for row in of_maps.to_dict("records"):
        values = expected[row["layer"] - 1][:, row["map"] - 1].double()
        assert row["mean"] == pytest.approx(float(values.mean()), rel=1e-4)
        assert row["deviation"] == pytest.approx(float(values.std(correction=0)), rel=1e-4)
        assert row["zeros"] == pytest.approx(float((values == 0).double().mean()), abs=2e-3)
    assert (frame["examples"] == 60).all()
    assert of_maps["zeros"].between(0.01, 0.99).any()


def test_a_channel_that_is_always_zero_counts_as_dead(stored: Callable[..., StoredNet]) -> None:
    net = stored(models="plain-cnn", depths=8)
    with torch.no_grad():
        net.net.blocks[1].norm2.bias[3] = -100.0  # type: ignore[index, union-attr]
    frame = pictured(net, image=0, layers=4, maps=4)
    dead = frame[frame["zeros"] == 1]
    assert list(zip(dead["name"], dead["map"], strict=True)) == [("block 2", 4)]
    assert not dead["pixels"].iloc[0].any()


def test_filters_are_those_of_the_first_convolution(stored: Callable[..., StoredNet]) -> None:
    net = stored(models="resnet", depths=8)
    frame = pictured(net, image=0, layers=1, maps=1)
    filters = frame[frame["part"] == "filter"]
    weights = net.net.conv.weight.detach()  # type: ignore[union-attr, operator]
    assert len(filters) == len(weights) == 2
    np.testing.assert_allclose(filters["pixels"].iloc[0], weights[0, 0], rtol=1e-4)
    assert filters["pixels"].iloc[1] is None
    assert list(filters["mean"]) == pytest.approx([float(weight.mean()) for weight in weights])
    (image,) = frame[frame["part"] == "image"].to_dict("records")
    np.testing.assert_allclose(image["pixels"], net.data.test_inputs[0, 0] / 255, rtol=1e-4)


@pytest.mark.parametrize("models", ["resnet", "vgg", "densenet", "highway-cnn", "auxiliary-cnn", "resnext"])
def test_colour_images_and_filters_keep_three_channels(models: str, make_run: MakeRun) -> None:
    depth = {"vgg": 11, "densenet": 7, "resnext": 11}.get(models, 8)
    run = make_run(task="cifar10", models=models, depths=depth, width=2)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (7, 3, 16, 16), generator=generator, dtype=torch.uint8)
    classes = torch.arange(7)
    scale = torch.tensor([0.5, 0.5, 0.5])
    data = Data(images, classes, images, classes, "cross_entropy", 10, mean=scale, deviation=scale)
    net = StoredNet(run, build_net(run, data.input_shape, data.outputs).eval(), data)
    frame = pictured(net, image=2, layers=3, maps=2)
    image, first_filter = frame.iloc[0], frame.iloc[1]
    np.testing.assert_allclose(image["pixels"], images[2].permute(1, 2, 0) / 255, rtol=1e-4)
    convolution = next(module for module in net.net.modules() if isinstance(module, nn.Conv2d))
    np.testing.assert_allclose(first_filter["pixels"], convolution.weight[0].detach().permute(1, 2, 0), rtol=1e-4)
    assert frame[frame["part"] == "map"]["pixels"].notna().sum() == 6


def test_image_numbers_outside_the_test_set_are_rejected(stored: Callable[..., StoredNet]) -> None:
    net = stored(models="resnet", depths=8)
    count = len(net.data.test_inputs)
    assert (feature_maps(net, image=count - 1, layers=1, maps=1)["image"] == count - 1).all()
    for image in (-1, count):
        with pytest.raises(UserError, match=rf"image \(={image}\) must be from 0 to {count - 1}"):
            feature_maps(net, image=image, layers=1, maps=1)


def test_the_deepest_residual_cnn_with_the_lowest_seed_is_picked(make_run: MakeRun) -> None:
    def one(model: str, depth: int, seed: int) -> RunRecord:
        return RunRecord(run=make_run(**DIGITS, models=model, depths=depth, seeds=seed), status="done")

    runs = [one("plain-cnn", 20, 0), one("resnet", 14, 2), one("resnet", 14, 1), one("resnet", 8, 0)]
    runs.append(one("plain-mlp", 30, 0))
    assert pick_cnns(runs) == [runs[2]]
    assert pick_cnns([runs[0], runs[4]]) == [runs[0]]
    with pytest.raises(UserError, match=r"The nets selected \(plain-mlp\) are MLPs, which have no feature maps"):
        pick_cnns(runs[4:])
    twins = [one("plain-cnn", 14, 1), one("plain-cnn", 14, 2), one("plain-cnn", 8, 1)]
    assert pick_cnns([*runs, *twins]) == [twins[0], runs[2]]
