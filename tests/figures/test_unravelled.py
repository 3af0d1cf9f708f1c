"""Residual nets unravelled into their paths."""

from collections import Counter
from math import comb
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

from resnet_cli.figures.unravelled import Residual, draw, residual_of
from resnet_cli.models import describe_net
from resnet_cli.models.diagram import block_graphs
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.graph import Graph
from tests.conftest import MakeRun


def graphs(make_run: MakeRun, model: str, depth: int, **settings: Any) -> list[Graph]:
    task, shape = ("sine", (1,)) if model.endswith("mlp") else ("cifar10", (3, 32, 32))
    return block_graphs(describe_net(make_run(task=task, models=model, depths=depth, **settings), shape, 10), shape)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_each_path_passes_another_set_of_blocks(count: int, make_run: MakeRun) -> None:
    figure = draw(graphs(make_run, "residual-mlp", 1 + 3 * count), title="a net")
    words = texts(figure)
    rows = [word for word in words if word[0].isdigit() and " block" in word and "paths" not in word]
    assert len(rows) == len(set(rows)) == 2**count
    assert Counter(int(row[0]) for row in rows) == {length: comb(count, length) for length in range(count + 1)}
    assert all(row.count("f") == int(row[0]) for row in rows)
    in_tree = {f"f{number}": 2 ** (count - number) for number in range(1, count + 1)}
    copies = Counter(word for word in words if len(word) == 2 and word.startswith("f"))
    assert sorted(copies.values()) == sorted(1 + copy for copy in in_tree.values()), "once in the net itself"
    circles = sum(isinstance(patch, Circle) for patch in figure.axes[0].patches)
    assert circles == count + 2**count - 1, "additions of the net and of the tree"
    assert words.count("y₀") == 1 + 2**count


def test_blocks_are_described_from_the_net(make_run: MakeRun) -> None:
    blocks = graphs(make_run, "resnet", 8, shortcut="B")
    words = texts(draw(blocks, title="a net"))
    assert (
        "f₂: 3×3 conv, 16→32, stride 2, then batch norm, then ReLU, then 3×3 conv, 32→32, then batch norm; "
        "shortcut: 1×1 conv, 16→32, stride 2, then batch norm"
    ) in words
    assert "Each addition is followed by ReLU, which is not drawn." in words
    assert "1, 3, 3 and 1 paths pass 0, 1, 2 and 3 blocks (binomial coefficients)." in words
    assert not any(
        "followed by" in word
        for word in texts(draw(graphs(make_run, "resnet", 8, ordering="full-preactivation"), title="a net"))
    )


def test_only_blocks_that_add_a_shortcut_are_residual(make_run: MakeRun) -> None:
    assert [residual_of(graph) for graph in graphs(make_run, "residual-mlp", 5)] == [
        Residual("linear, 30→30, then ReLU, then linear, 30→30, then ReLU, then linear, 30→30", "identity", "ReLU"),
        None,
    ]
    for model in ("plain-cnn", "highway-cnn", "densenet"):
        depth = 7 if model == "densenet" else 8
        assert not any(map(residual_of, graphs(make_run, model, depth)))
    assert all(map(residual_of, graphs(make_run, "resnext", 11, form="a")))


@pytest.mark.parametrize(("model", "depth", "count"), [("resnet", 20, 9), ("plain-cnn", 8, 0), ("residual-mlp", 4, 1)])
def test_other_numbers_of_blocks_are_refused(model: str, depth: int, count: int, make_run: MakeRun) -> None:
    with pytest.raises(UserError, match=f"a net: it has {count} residual blocks, but 2 to 4 can be unravelled"):
        draw(graphs(make_run, model, depth), title="a net")


def test_texts_fit_and_boxes_are_apart(make_run: MakeRun) -> None:
    figure = draw(graphs(make_run, "resnet", 8), title="a net")
    figure.draw_without_rendering()
    boxes = [
        patch.get_window_extent() for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch | Circle)
    ]
    assert not any(one.overlaps(other) for one in boxes for other in boxes if one is not other)
    for text in figure.axes[0].texts:
        extent = text.get_window_extent()
        assert figure.bbox.x0 <= extent.x0 <= extent.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= extent.y0 <= extent.y1 <= figure.bbox.y1
