"""Graphs of blocks: what is drawn is what the blocks compute."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from resnet_cli.models import all_models, describe_net
from resnet_cli.models.base import Model
from resnet_cli.models.diagram import trace_block, trace_blocks, trace_net
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.graph import BlockForm, Graph
from tests.conftest import MakeRun

CIFAR = (3, 32, 32)


def forms_of(make_run: MakeRun, model: str, depth: int, **settings: Any) -> list[BlockForm]:
    """The forms of the blocks of a net with 16 filters for CIFAR-10, or with 30 units for the sine."""
    task, shape = ("sine", (1,)) if model.endswith("mlp") else ("cifar10", CIFAR)
    return trace_blocks(describe_net(make_run(task=task, models=model, depths=depth, **settings), shape, 10), shape)


def labels(graph: Graph) -> list[str]:
    """The operations between input and output, in the order of computation."""
    return [node.label for node in graph.nodes[1:-1]]


def read_by(graph: Graph, label: str) -> list[list[str]]:
    """The labels of the inputs of each node with this label."""
    return [[graph.nodes[start].label for start in node.inputs] for node in graph.nodes if node.label == label]


def test_a_plain_block_is_a_chain(make_run: MakeRun) -> None:
    (form,) = forms_of(make_run, "plain-cnn", 14)
    half = ["3×3 conv, 16→16", "batch norm", "ReLU"]
    assert labels(form.graph) == half + half
    assert [node.inputs for node in form.graph.nodes] == [(), *((index,) for index in range(7))]
    assert (form.graph.nodes[0].label, form.graph.nodes[-1].label) == ("16 channels of 32×32", "16 channels of 32×32")
    assert (form.number, form.numbers) == (1, (1, 2, 3, 4, 5, 6))


def test_a_residual_block_adds_its_input(make_run: MakeRun) -> None:
    identity, padded = forms_of(make_run, "resnet", 14)
    assert labels(identity.graph) == [
        "3×3 conv, 16→16",
        "batch norm",
        "ReLU",
        "3×3 conv, 16→16",
        "batch norm",
        "addition",
        "ReLU",
    ]
    assert read_by(identity.graph, "addition") == [["batch norm", "16 channels of 32×32"]]
    assert identity.numbers == (1, 2, 4, 6)
    assert read_by(padded.graph, "addition") == [["batch norm", "zero padding, every 2nd pixel"]]
    assert "3×3 conv, 16→32, stride 2" in labels(padded.graph)
    assert padded.graph.nodes[-1].label == "32 channels of 16×16"
    assert padded.numbers == (3, 5)


def test_a_projection_is_a_strided_convolution_beside_the_branch(make_run: MakeRun) -> None:
    _, projection = forms_of(make_run, "resnet", 14, shortcut="B")
    graph = projection.graph
    assert labels(graph)[:2] == ["1×1 conv, 16→32, stride 2", "batch norm"]
    assert read_by(graph, "1×1 conv, 16→32, stride 2") == [["16 channels of 32×32"]]


@pytest.mark.parametrize(
    ("ordering", "steps"),
    [
        ("norm-after-addition", ["conv", "norm", "relu", "conv", "add", "norm", "relu"]),
        ("relu-before-addition", ["conv", "norm", "relu", "conv", "norm", "relu", "add"]),
        ("relu-only-preactivation", ["relu", "conv", "norm", "relu", "conv", "norm", "add"]),
        ("full-preactivation", ["norm", "relu", "conv", "norm", "relu", "conv", "add"]),
    ],
)
def test_orderings_are_those_of_the_paper(ordering: str, steps: list[str], make_run: MakeRun) -> None:
    words = {"conv": "3×3 conv, 16→16", "norm": "batch norm", "relu": "ReLU", "add": "addition"}
    forms = forms_of(make_run, "resnet", 14, ordering=ordering)
    (block_2,) = [form for form in forms if 2 in form.numbers]
    assert labels(block_2.graph) == [words[step] for step in steps]


def test_the_most_frequent_stride_represents_bottlenecks_with_projection(make_run: MakeRun) -> None:
    projection, identity = forms_of(make_run, "bottleneck-resnet", 20)
    assert (projection.number, projection.numbers) == (3, (1, 3, 5))
    assert "1×1 conv, 64→128, stride 2" in labels(projection.graph)
    assert [label for label in labels(identity.graph) if "conv" in label] == [
        "1×1 conv, 64→16",
        "3×3 conv, 16→16",
        "1×1 conv, 16→64",
    ]


def test_a_highway_layer_mixes_by_its_gate(make_run: MakeRun) -> None:
    graph = forms_of(make_run, "highway-mlp", 3)[0].graph
    assert labels(graph).count("linear, 30→30") == 2
    assert read_by(graph, "multiplication") == [["ReLU", "sigmoid"], ["30 units", "1 − input"]]
    assert read_by(graph, "1 − input") == [["sigmoid"]]
    assert read_by(graph, "addition") == [["multiplication", "multiplication"]]


def test_a_dense_layer_appends_to_its_input(make_run: MakeRun) -> None:
    layer, transition = forms_of(make_run, "densenet-bc", 16)
    assert labels(layer.graph) == [
        "batch norm",
        "ReLU",
        "1×1 conv, 16→48",
        "batch norm",
        "ReLU",
        "3×3 conv, 48→12",
        "concatenation",
    ]
    assert read_by(layer.graph, "concatenation") == [["16 channels of 32×32", "3×3 conv, 48→12"]]
    assert labels(transition.graph) == ["batch norm", "ReLU", "1×1 conv, 40→20", "2×2 average pooling"]


def test_the_three_forms_of_resnext_have_different_graphs(make_run: MakeRun) -> None:
    graphs = {form: forms_of(make_run, "resnext", 20, form=form)[1].graph for form in "abc"}
    assert {form: graph.branches for form, graph in graphs.items()} == {"a": 8, "b": 8, "c": 1}
    for form in "ab":
        assert labels(graphs[form]).count("1×1 conv, 64→4") == labels(graphs[form]).count("3×3 conv, 4→4") == 3
    assert read_by(graphs["a"], "addition") == [["1×1 conv, 4→64"] * 3, ["batch norm", "64 channels of 32×32"]]
    assert read_by(graphs["b"], "concatenation") == [["ReLU"] * 3]
    assert read_by(graphs["b"], "1×1 conv, 32→64") == [["concatenation"]]
    assert [label for label in labels(graphs["c"]) if "conv" in label] == [
        "1×1 conv, 64→32",
        "3×3 conv, 32→32, 8 groups",
        "1×1 conv, 32→64",
    ]


@pytest.mark.parametrize("form", ["a", "b"])
def test_a_single_branch_is_neither_summed_nor_concatenated(form: str, make_run: MakeRun) -> None:
    graph = forms_of(make_run, "resnext", 20, form=form, cardinality=1, group_width=4)[1].graph
    assert [label for label in labels(graph) if "conv" in label] == [
        "1×1 conv, 64→4",
        "3×3 conv, 4→4",
        "1×1 conv, 4→64",
    ]
    assert labels(graph).count("addition") == 1


def test_vgg_pools_at_the_start_of_a_stage(make_run: MakeRun) -> None:
    plain, pooled = forms_of(make_run, "vgg", 16)
    assert labels(plain.graph) == ["3×3 conv, 16→16", "ReLU"]
    assert labels(pooled.graph) == ["2×2 max pooling", "3×3 conv, 16→32", "ReLU"]
    assert pooled.numbers == (2, 4, 7, 10)


def test_mlps_of_kowsik_and_of_dense_blocks(make_run: MakeRun) -> None:
    layer = ["linear, 30→30", "ReLU"]
    assert labels(forms_of(make_run, "plain-mlp", 4)[0].graph) == layer
    assert labels(forms_of(make_run, "residual-mlp", 4)[0].graph) == [
        *layer,
        *layer,
        "linear, 30→30",
        "addition",
        "ReLU",
    ]
    assert labels(forms_of(make_run, "residual-dense-mlp", 3)[0].graph) == [
        "linear, 30→15",
        "ReLU",
        "linear, 15→30",
        "addition",
        "ReLU",
    ]


def test_dropout_and_stochastic_depth_are_shown_where_active(make_run: MakeRun) -> None:
    settings = {"dropout": 0.1, "survival": 0.5, "activation": "tanh", "batch_norm": False}
    (form,) = forms_of(make_run, "residual-mlp", 7, **settings)
    assert labels(form.graph) == [
        *["linear, 30→30", "tanh", "dropout, 10 %"] * 2,
        "linear, 30→30",
        "stochastic depth, kept 75 %",
        "addition",
        "tanh",
        "dropout, 10 %",
    ]
    assert form.numbers == (1, 2), "the survival probability is a size"


@pytest.mark.parametrize("model", all_models().values(), ids=all_models())
def test_every_models_graph_has_all_its_weight_layers(model: Model, make_run: MakeRun) -> None:
    depth = model.depth_rule.nearest(20)[0]
    task, shape = ("sine", (1,)) if model.family == "mlp" else ("cifar10", CIFAR)
    net = describe_net(make_run(task=task, models=model.name, depths=depth), shape, 10)
    blocks = list(net.get_submodule("blocks").children())
    forms = trace_blocks(net, shape)
    assert sorted(number for form in forms for number in form.numbers) == list(range(1, len(blocks) + 1))
    for form in forms:
        layers = [m for m in blocks[form.number - 1].modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
        assert sum(node.kind == "weights" for node in form.graph.nodes) == len(layers)
        assert all(start < index for index, node in enumerate(form.graph.nodes) for start in node.inputs)


@pytest.mark.parametrize("model", all_models().values(), ids=all_models())
def test_the_graph_of_a_whole_net_has_all_its_layers_and_shapes(model: Model, make_run: MakeRun) -> None:
    task, shape = ("sine", (1,)) if model.family == "mlp" else ("cifar10", CIFAR)
    net = describe_net(make_run(task=task, models=model.name, depths=model.depth_rule.first), shape, 10)
    nodes = trace_net(net, shape).nodes
    layers = [
        name
        for name, module in net.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d)) and not name.startswith("auxiliary.")
    ]
    assert sum(node.kind == "weights" for node in nodes) == len(layers)
    assert (nodes[0].kind, nodes[0].shape, nodes[-1].shape) == ("input", shape, (10,))
    assert all(node.shape for node in nodes)


def test_a_very_deep_net_is_not_drawn_whole(make_run: MakeRun) -> None:
    net = describe_net(make_run(task="cifar10", models="plain-cnn", depths=302), CIFAR, 10)
    with pytest.raises(UserError, match="The net has 302 layers, but up to 300 can be drawn; choose a lower depth"):
        trace_net(net, CIFAR)


def test_a_net_without_blocks_is_rejected(make_run: MakeRun) -> None:
    with pytest.raises(
        UserError,
        match=r"^The net has no blocks that could be drawn; choose a greater depth, or a model made of blocks\.$",
    ):
        forms_of(make_run, "plain-mlp", 1)


class Custom(nn.Module):
    """Operations as functions, methods, operators and modules."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.silu = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 2C)."""
        left, right = x[:, :4], self.silu(x)
        joined = torch.concat([left, right], dim=1)
        return torch.flatten(self.pool(functional.relu(joined)), 1).mean(0)


def test_operations_are_named_in_words() -> None:
    labels = [node.label for node in trace_block(Custom(), "in", "out").nodes]
    assert labels == [
        *("in", "selection", "SiLU", "concatenation", "ReLU", "average pooling", "flattening", "mean", "out"),
    ]
