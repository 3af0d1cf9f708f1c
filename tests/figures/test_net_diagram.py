"""Drawings of whole nets: every layer and shortcut is there, and texts fit."""

from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from resnet_cli.api import plot_networks
from resnet_cli.figures.net_diagram import Net, draw
from resnet_cli.models import describe_net
from resnet_cli.models.diagram import trace_net
from tests.conftest import MakeRun

CIFAR = (3, 32, 32)


@pytest.fixture(scope="module")
def figure(make_run: MakeRun) -> Figure:
    """A plain net and a residual one with projections."""
    nets = []
    for model, settings in (("plain-cnn", {}), ("resnet", {"shortcut": "B"})):
        run = make_run(task="cifar10", models=model, depths=8, **settings)
        nets.append(Net(model, "small", trace_net(describe_net(run, CIFAR, 10), CIFAR)))
    return draw(nets, title="two nets")


def test_every_layer_is_a_box_and_every_shortcut_a_line(figure: Figure) -> None:
    patches = figure.axes[0].patches
    assert sum(isinstance(patch, FancyBboxPatch) for patch in patches) == 2 * 9, "eight with weights and one that pools"
    ways = [patch for patch in patches if isinstance(patch, FancyArrowPatch)]
    assert len(ways) == 2 * 8 + 3
    assert sum(way.get_linestyle() != "solid" for way in ways) == 2, "the projections"


def test_names_captions_resolutions_and_meanings_are_written(figure: Figure) -> None:
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("small") == 2
    assert {"plain-cnn", "resnet", "32×32", "16×16", "8×8", "vector", "3×3 conv, 32, /2", "average pooling"} < {*texts}
    assert {"shortcut, added", "shortcut that changes its input, added"} < {*texts}
    assert figure.get_suptitle() == "two nets"


def test_texts_fit_their_boxes_and_the_figure(figure: Figure) -> None:
    figure.draw_without_rendering()
    boxes: list[Any] = [
        patch.get_window_extent() for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)
    ]
    assert not any(one.overlaps(other) for one in boxes for other in boxes if one is not other)
    for text in figure.axes[0].texts:
        extent = text.get_window_extent()
        middle = (extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2
        (around,) = [box for box in boxes if box.contains(*middle)] or [figure.bbox]
        assert around.x0 <= extent.x0 <= extent.x1 <= around.x1
        assert around.y0 <= extent.y0 <= extent.y1 <= around.y1


@pytest.mark.slow
def test_the_nets_of_the_paper_stand_side_by_side() -> None:
    texts = [text.get_text() for text in plot_networks().axes[0].texts]
    assert {"VGG-19", "plain-34", "ResNet-34"} < {*texts}
    assert [text for text in texts if "billion" in text] == [
        f"{billions} billion multiply-adds" for billions in ("19.6", "3.6", "3.7")
    ]
    assert texts.count("3×3 conv, 512") == 8 + 5 + 5
