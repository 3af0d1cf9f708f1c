"""Whole nets as layers and shortcuts, against figure 3 of He et al. 2015."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from resnet_cli.analysis.counts import IMAGE, imagenet_net
from resnet_cli.figures.net_layout import Chain, Skip, chain_of, rows_of
from resnet_cli.models import describe_net
from resnet_cli.models.diagram import trace_net
from tests.conftest import MakeRun


@pytest.fixture(scope="module")
def chains() -> dict[str, Chain]:
    """The nets of the figure."""
    nets = {"vgg": ("vgg", 19), "plain": ("imagenet-plain", 34), "residual": ("imagenet-resnet", 34)}
    return {name: chain_of(trace_net(imagenet_net(*net), IMAGE)) for name, net in nets.items()}


def small(make_run: MakeRun, model: str, depth: int, **settings: Any) -> Chain:
    """A net for CIFAR-10, or an MLP for the sine."""
    task, shape = ("sine", (1,)) if model.endswith("mlp") else ("cifar10", (3, 32, 32))
    run = make_run(task=task, models=model, depths=depth, **settings)
    return chain_of(trace_net(describe_net(run, shape, 10), shape))


def labels(chain: Chain) -> list[str]:
    return [layer.label for layer in chain.layers]


def test_plain_34_has_the_layers_of_the_paper(chains: dict[str, Chain]) -> None:
    expected = ["7×7 conv, 64, /2", "max pooling, /2", *["3×3 conv, 64"] * 6]
    for filters, count in ((128, 7), (256, 11), (512, 5)):
        expected += [f"3×3 conv, {filters}, /2", *[f"3×3 conv, {filters}"] * count]
    assert labels(chains["plain"]) == [*expected, "average pooling", "linear, 1,000"]
    assert chains["plain"].skips == ()


def test_resnet_34_adds_shortcuts_around_pairs_of_the_same_layers(chains: dict[str, Chain]) -> None:
    assert chains["residual"].layers == chains["plain"].layers
    pairs = [(first, first + 1) for first in range(2, 34, 2)]
    assert [(skip.first, skip.last) for skip in chains["residual"].skips] == pairs
    changing = [skip.first for skip in chains["residual"].skips if not skip.is_plain]
    assert [labels(chains["residual"])[first] for first in changing] == [f"3×3 conv, {n}, /2" for n in (128, 256, 512)]


def test_vgg_19_has_five_stages_and_three_linear_layers(chains: dict[str, Chain]) -> None:
    kinds = Counter((layer.kind, layer.sides) for layer in chains["vgg"].layers)
    stages = {224: 2, 112: 2, 56: 4, 28: 4, 14: 4}
    convolutions = {("weights", (side, side)): count for side, count in stages.items()}
    pooling = {("other", (side, side)): 1 for side in (112, 56, 28, 14, 7)}
    linear: dict[Any, int] = {("weights", ()): 3}
    assert kinds == {**convolutions, **pooling, **linear}
    assert labels(chains["vgg"])[-3:] == ["linear, 4,096", "linear, 4,096", "linear, 1,000"]


def test_layers_of_one_resolution_stand_side_by_side(chains: dict[str, Chain]) -> None:
    several = list(chains.values())
    rows, starts = rows_of(several)
    assert list(starts) == [(224, 224), (112, 112), (56, 56), (28, 28), (14, 14), (7, 7), ()]
    ends = [*list(starts.values())[1:], 1000]
    spans = dict(zip(starts, zip(starts.values(), ends, strict=True), strict=True))
    for chain, taken in zip(several, rows, strict=True):
        assert all(row < below for row, below in pairwise(taken))
        for layer, row in zip(chain.layers, taken, strict=True):
            first, end = spans[layer.sides]
            assert first <= row < end
        assert {layer.sides: row for layer, row in reversed([*zip(chain.layers, taken, strict=True)])}.items() <= (
            starts.items()
        )


@pytest.mark.parametrize(
    ("model", "depth", "settings", "join", "is_plain", "spans"),
    [
        ("densenet", 7, {}, "concatenation", True, [(1, 1), (4, 4), (7, 7)]),
        ("residual-mlp", 8, {}, "addition", True, [(1, 3), (4, 6)]),
        ("highway-cnn", 8, {}, "addition", False, None),
        ("resnext", 11, {"form": "a"}, "addition", False, [(1, 3), (4, 6), (7, 9)]),
    ],
)
def test_shortcuts_of_other_nets(
    model: str, depth: int, settings: dict[str, Any], join: Any, is_plain: bool, spans: Any, make_run: MakeRun
) -> None:
    skips = small(make_run, model, depth, **settings).skips
    assert {(skip.join, skip.is_plain) for skip in skips} == {(join, is_plain)}
    if spans:
        assert skips == tuple(Skip(first, last, join, is_plain) for first, last in spans)


def test_a_slice_of_the_blocks_is_followed(make_run: MakeRun) -> None:
    assert labels(small(make_run, "auxiliary-cnn", 8)) == labels(small(make_run, "plain-cnn", 8))
