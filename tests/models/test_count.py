import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from resnet_cli.models import all_models, count_parameters, describe_net, get_model
from resnet_cli.models.count import LayerRow, count_multiply_adds, layer_table
from resnet_cli.tasks import get_task
from tests.conftest import MakeRun

CIFAR = (3, 32, 32)


class Odd(nn.Module):
    """A net with unusual features: products outside layers, a layer used twice, one never used, in-place operations."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(8, 2, 3, 3))
        self.norm = nn.BatchNorm2d(8)
        self.twice = nn.Conv2d(8, 8, 1, stride=1)
        self.unused = nn.Linear(5, 5)
        self.activation = nn.ReLU(inplace=True)
        self.output = nn.Linear(8, 3, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        x = self.activation(F.conv2d(images, self.weight, stride=2, padding=1, groups=2))
        x = self.twice(self.norm(x))
        x += 1
        x = self.twice(x[:, :, ::2, ::2])
        x = x.flatten(2) @ x.flatten(2).transpose(1, 2)  # (B, 8, 8)
        return self.output(x.mean(dim=1))  # type: ignore[no-any-return]


def odd_net() -> nn.Module:
    with torch.device("meta"):
        return nn.Sequential(Odd(), nn.Linear(3, 2))


def test_every_layer_has_output_shape_parameters_and_multiply_adds() -> None:
    assert layer_table(odd_net(), (4, 12, 8)) == [
        LayerRow("0", "Odd", (3,), 8 * 2 * 9, 8 * 2 * 9 * 6 * 4 + 8 * 8 * 3 * 2),
        LayerRow("0.norm", "batch norm", (8, 6, 4), 16, 0),
        LayerRow("0.twice", "conv 1×1", (8, 3, 2), 72, 8 * 8 * (6 * 4 + 3 * 2)),
        LayerRow("0.output", "linear", (3,), 24, 24),
        LayerRow("1", "linear", (2,), 8, 6),
        LayerRow("0.unused", "linear", None, 30, 0),
    ]


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.Conv2d(8, 8, 3, padding=1), "conv 3×3"),
        (nn.Conv2d(8, 8, 1, stride=2), "conv 1×1, stride 2"),
        (nn.Conv2d(8, 8, (3, 1), stride=2, groups=4), "conv 3×1, stride 2, groups 4"),
        (nn.BatchNorm2d(8), "batch norm"),
        (nn.Linear(9, 1), "linear"),
        (nn.LayerNorm(9), "LayerNorm"),
    ],
)
def test_kinds_describe_layers_in_words(layer: nn.Module, kind: str) -> None:
    assert [row.kind for row in layer_table(layer.to("meta"), (8, 9, 9))] == [kind]


def test_counting_does_not_change_the_net() -> None:
    net = odd_net()
    layer_table(net, (4, 12, 8))
    assert all(module.training for module in net.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert all(parameter.is_meta for parameter in net.parameters())


def test_counting_does_not_change_a_net_that_fails() -> None:
    net = odd_net()
    with pytest.raises(RuntimeError):
        layer_table(net, (5, 12, 8))
    assert all(module.training for module in net.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


@pytest.mark.parametrize("name", all_models())
def test_sums_match_torchs_flop_counter_and_the_parameters(name: str, make_run: MakeRun) -> None:
    model = get_model(name)
    task = get_task("sine" if model.family == "mlp" else "digits")
    run = make_run(task=task.name, models=name, depths=model.depth_rule.first)
    net = describe_net(run, task.shape, task.outputs)
    rows = layer_table(net, task.shape)
    net.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.empty(1, *task.shape, device="meta"))
    assert 2 * sum(row.multiply_adds for row in rows) == counter.get_total_flops() > 0
    assert sum(row.parameters for row in rows) == count_parameters(net)


@pytest.mark.parametrize("depth", [8, 110])
def test_multiply_adds_follow_from_the_shapes_of_the_convolutions(depth: int, make_run: MakeRun) -> None:
    net = describe_net(make_run(task="cifar10", models="resnet", depths=depth), CIFAR, 10)
    convolutions_in_stage = (depth - 2) // 3
    first, usual, halving = 9 * 3 * 16 * 32**2, 9 * 16**2 * 32**2, 9 * 16 * 32 * 16**2
    expected = first + (3 * convolutions_in_stage - 2) * usual + 2 * halving + 64 * 10
    assert count_multiply_adds(net, CIFAR) == expected


def test_output_shapes_are_those_of_the_feature_maps(make_run: MakeRun) -> None:
    run = make_run(task="digits", models="resnet", depths=8, shortcut="B", batch_norm=False, width=4)
    rows = layer_table(describe_net(run, (1, 8, 8), 10), (1, 8, 8))
    assert {row.name: row.output_shape for row in rows} == {
        "conv": (4, 8, 8),
        "blocks.0.conv1": (4, 8, 8),
        "blocks.0.conv2": (4, 8, 8),
        "blocks.1.shortcut": (8, 4, 4),
        "blocks.1.conv1": (8, 4, 4),
        "blocks.1.conv2": (8, 4, 4),
        "blocks.2.shortcut": (16, 2, 2),
        "blocks.2.conv1": (16, 2, 2),
        "blocks.2.conv2": (16, 2, 2),
        "output": (10,),
    }


@pytest.mark.parametrize("form", ["a", "b", "c"])
def test_the_three_forms_of_a_resnext_block_cost_the_same(form: str, make_run: MakeRun) -> None:
    run = make_run(task="cifar10", models="resnext", depths=11, form=form)
    usual = make_run(task="cifar10", models="resnext", depths=11)
    assert layer_table(describe_net(run, CIFAR, 10), CIFAR) == layer_table(describe_net(usual, CIFAR, 10), CIFAR)


def test_counting_draws_nothing_and_includes_all_blocks(make_run: MakeRun) -> None:
    settings = {"task": "digits", "models": "resnet", "depths": 14}
    state = torch.random.get_rng_state()
    tables = [
        layer_table(describe_net(make_run(**settings, **drawing), (1, 8, 8), 10), (1, 8, 8))
        for drawing in ({}, {"dropout": 0.5, "survival": 0.1})
    ]
    assert tables[0] == tables[1]
    assert torch.equal(torch.random.get_rng_state(), state)
