"""Drawings of blocks: everything is there and nothing stands in the way of anything."""

from collections.abc import Iterator
from itertools import combinations, pairwise, permutations
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from resnet_cli.figures.block_diagram import draw
from resnet_cli.figures.block_layout import BOX_HEIGHT, RADIUS, ROUND, Point, lay_out
from resnet_cli.figures.style import render
from resnet_cli.models import describe_net
from resnet_cli.models.diagram import trace_blocks
from resnet_cli.settings.graph import BlockForm, Graph, Node
from tests.conftest import MakeRun

NETS: list[tuple[str, int, dict[str, Any]]] = [
    ("plain-cnn", 8, {}),
    ("resnet", 14, {}),
    ("resnet", 14, {"shortcut": "C", "ordering": "full-preactivation", "dropout": 0.1, "survival": 0.5}),
    ("bottleneck-resnet", 20, {}),
    ("highway-cnn", 8, {}),
    ("highway-cnn", 8, {"batch_norm": False}),
    ("densenet", 10, {}),
    ("resnext", 20, {"form": "a"}),
    ("resnext", 20, {"form": "b", "cardinality": 2}),
    ("vgg", 11, {}),
    ("residual-mlp", 4, {}),
    ("residual-dense-mlp", 3, {}),
]


@pytest.fixture(scope="module", params=NETS, ids=lambda net: f"{net[0]}-{'-'.join(map(str, net[2].values()))}")
def forms(request: pytest.FixtureRequest, make_run: MakeRun) -> list[BlockForm]:
    """The forms of the blocks of a net."""
    model, depth, settings = request.param
    task, shape = ("sine", (1,)) if model.endswith("mlp") else ("cifar10", (3, 32, 32))
    return trace_blocks(describe_net(make_run(task=task, models=model, depths=depth, **settings), shape, 10), shape)


def shapes(figure: Figure, kind: type) -> list[Any]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, kind)]


def area(node: Node, place: Point, width: float) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what a node covers."""
    half_width, half_height = (RADIUS, RADIUS) if node.kind in ROUND else (width / 2, BOX_HEIGHT / 2)
    return place[0] - half_width, place[1] - half_height, place[0] + half_width, place[1] + half_height


def segments(graph: Graph, width: float) -> Iterator[tuple[Point, Point]]:
    for way in lay_out(graph, width).ways:
        yield from pairwise(way)


def test_nodes_do_not_overlap_and_lines_avoid_nodes(forms: list[BlockForm]) -> None:
    width = 1.5
    for form in forms:
        layout = lay_out(form.graph, width)
        areas = [area(node, layout.places[index], width) for index, node in enumerate(form.graph.nodes)]
        for one, other in combinations(areas, 2):
            assert one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
        for (x, y), (to_x, to_y) in segments(form.graph, width):
            for left, top, right, bottom in areas[1:-1]:  # input and output are words without a box
                misses = max(x, to_x) <= left + 1e-9 or min(x, to_x) >= right - 1e-9
                assert misses or max(y, to_y) <= top + 1e-9 or min(y, to_y) >= bottom - 1e-9


def crossings(graph: Graph) -> int:
    """How often a horizontal part of one way and a vertical part of another cross."""
    parts = [(way, *segment) for way, corners in enumerate(lay_out(graph, 1.5).ways) for segment in pairwise(corners)]
    count = 0
    for (way, (x, y), (to_x, to_y)), (other, (u, v), (to_u, to_v)) in permutations(parts, 2):
        if way != other and y == to_y and u == to_u:
            crosses_x = min(x, to_x) + 1e-9 < u < max(x, to_x) - 1e-9
            count += crosses_x and min(v, to_v) + 1e-9 < y < max(v, to_v) - 1e-9
    return count


def test_no_two_ways_cross(forms: list[BlockForm]) -> None:
    assert [crossings(form.graph) for form in forms] == [0] * len(forms)


def test_shortcuts_that_interleave_go_past_on_both_sides() -> None:
    inputs = [(), (0,), (0, 1), (2,), (0, 1, 3)]
    nodes = [Node("concatenation" if len(read) > 1 else "weights", "step", read) for read in inputs]
    assert crossings(Graph((Node("input", "in"), *nodes[1:], Node("output", "out", (4,))))) == 0


def test_every_connection_between_nodes_is_drawn(forms: list[BlockForm]) -> None:
    for form in forms:
        layout = lay_out(form.graph, 1.5)
        assert len(layout.ways) == sum(len(node.inputs) for node in form.graph.nodes)
        for way in layout.ways:
            assert all(x == to_x or y == to_y for (x, y), (to_x, to_y) in pairwise(way)), "only right angles"


def test_each_operation_is_drawn_once_with_its_label(forms: list[BlockForm]) -> None:
    figure = draw(forms, title="a net")
    nodes = [node for form in forms for node in form.graph.nodes]
    boxed = [node for node in nodes if node.kind not in (*ROUND, "input", "output")]
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(shapes(figure, FancyBboxPatch)) == len(boxed)
    assert sum(circle.get_radius() == RADIUS for circle in shapes(figure, Circle)) == sum(
        n.kind in ROUND for n in nodes
    )
    assert len(shapes(figure, FancyArrowPatch)) == sum(len(node.inputs) for node in nodes)
    for node in nodes:
        if node.kind not in ROUND:
            assert texts.count(node.label) == sum(other.label == node.label for other in nodes)


@pytest.mark.slow
def test_labels_fit_their_boxes_and_the_figure(forms: list[BlockForm]) -> None:
    figure = draw(forms, title="a net")
    figure.draw_without_rendering()
    boxes = [box.get_window_extent() for box in shapes(figure, FancyBboxPatch)]
    assert len({round(box.width, 3) for box in boxes}) == len({round(box.height, 3) for box in boxes}) == 1
    for text in figure.axes[0].texts:
        extent = text.get_window_extent()
        middle = (extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2
        around = [box for box in boxes if box.contains(*middle)] or [figure.bbox]
        assert len(around) == 1
        assert around[0].x0 <= extent.x0 <= extent.x1 <= around[0].x1
        assert around[0].y0 <= extent.y0 <= extent.y1 <= around[0].y1


def chain(*names: str) -> Graph:
    nodes = [Node("input", "in"), *(Node("weights", name, (index,)) for index, name in enumerate(names))]
    return Graph((*nodes, Node("output", "out", (len(names),))))


def test_headings_name_the_blocks() -> None:
    figure = draw([BlockForm(chain("a"), 2, (1, 2, 3, 5, 6, 8)), BlockForm(chain("b"), 4, (4,))], title="a net")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"blocks 1–3, 5, 6, 8", "drawn: block 2", "block 4"} <= set(texts)


def test_four_of_many_forms_are_drawn_as_the_title_says() -> None:
    figure = draw([BlockForm(chain("a" * count), count, (count,)) for count in range(1, 7)], title="a net")
    assert len(shapes(figure, FancyBboxPatch)) == 4
    assert figure.get_suptitle() == "a net (4 of 6 forms of blocks)"


def test_branches_left_out_are_counted(make_run: MakeRun) -> None:
    run = make_run(task="cifar10", models="resnext", depths=11, form="a", cardinality=32)
    figure = draw(trace_blocks(describe_net(run, (3, 32, 32), 10), (3, 32, 32)), title="a net")
    assert "… 32 branches in all" in [text.get_text() for text in figure.axes[0].texts]


def test_the_same_blocks_give_the_same_bytes() -> None:
    forms = [BlockForm(chain("a", "b"), 1, (1,))]
    for suffix in (".png", ".svg"):
        assert render(draw(forms, title="a net"), suffix) == render(draw(forms, title="a net"), suffix)
