"""Weight layers: as many as the depth, in order, and each with its own norm."""

from typing import Any

import pytest

from resnet_cli.analysis.layers import weight_layers
from resnet_cli.analysis.trained_nets import StoredNet
from resnet_cli.models import all_models, build_net
from resnet_cli.training.data import load_data
from tests.conftest import MakeRun


def untrained(make_run: MakeRun, **settings: Any) -> StoredNet:
    run = make_run(**settings)
    data = load_data(run, None, "cpu")
    return StoredNet(run, build_net(run, data.input_shape, data.outputs).eval(), data)


@pytest.mark.parametrize("name", sorted(all_models()))
def test_the_number_of_layers_is_the_depth(name: str, make_run: MakeRun) -> None:
    model = all_models()[name]
    outputs = 1 if model.family == "mlp" else 0  # which the depth of an MLP leaves out
    task = "sine" if model.family == "mlp" else "digits"
    for depth in model.depth_rule.nearest(model.depth_rule.first + 1):
        layers = weight_layers(untrained(make_run, task=task, models=name, depths=depth, width=4))
        assert len({layer.name for layer in layers}) == len(layers) == depth + outputs
        assert layers[-1].name == "output"


def test_the_first_layer_takes_the_input(make_run: MakeRun) -> None:
    stored = untrained(make_run, task="digits", models="resnet", depths=8, width=2, shortcut="C")
    names = ["conv", *(f"blocks.{block}.conv{number}" for block in range(3) for number in (1, 2)), "output"]
    assert [layer.name for layer in weight_layers(stored)] == names


BLOCKS = {
    "original": ("norm1", "norm2"),
    "norm-after-addition": ("norm1", "conv2"),
    "relu-before-addition": ("norm1", "norm2"),
    "relu-only-preactivation": ("norm1", "norm2"),
    "full-preactivation": ("conv1", "conv2"),
}


@pytest.mark.parametrize("ordering", BLOCKS)
def test_a_norm_belongs_to_the_layer_whose_output_it_normalises(ordering: str, make_run: MakeRun) -> None:
    stored = untrained(make_run, task="digits", models="resnet", depths=8, width=2, ordering=ordering)
    responses = [layer.response for layer in weight_layers(stored)]
    in_blocks = [f"blocks.{block}.{name}" for block in range(3) for name in BLOCKS[ordering]]
    assert responses == ["norm", *in_blocks, "output"]


@pytest.mark.parametrize("model", ["densenet-bc", "resnet"])
def test_layers_without_a_norm_are_their_own_response(model: str, make_run: MakeRun) -> None:
    norm = model == "densenet-bc"  # its norms stand before the layers
    depth = all_models()[model].depth_rule.first
    layers = weight_layers(untrained(make_run, task="digits", models=model, depths=depth, width=4, batch_norm=norm))
    assert all(layer.response == layer.name for layer in layers)


def test_in_mlps_the_norm_after_a_layer_belongs_to_it(make_run: MakeRun) -> None:
    layers = weight_layers(untrained(make_run, models="residual-mlp", depths=4, batch_norm=True))
    assert [layer.response for layer in layers] == ["entry.1", *(f"blocks.0.layers.{n}.1" for n in range(3)), "output"]
