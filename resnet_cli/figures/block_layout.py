"""The layout of a block's drawing: nodes in columns, and the lines that connect them. Lengths are in inches.

The path with most weights goes straight down (column 0). Branches like it are placed to its left and right, other paths
further right, and beyond them the paths without operations: shortcuts. A shortcut that would cross another path there
goes past it on the left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from resnet_cli.settings.graph import Graph, Node

Point = tuple[float, float]

PITCH = 0.5
"""From one row to the next."""
FORK = 0.23
"""From a node's centre down to where its ways part."""
BOX_HEIGHT = 0.27
RADIUS = 0.1
COLUMN_GAP = 0.3
LANE_GAP = 0.3
ROUND = ("addition", "multiplication")
BARE = ("input", "output")


@dataclass
class Layout:
    """The places of a graph's nodes (x to the right of column 0, y down from the input) and the ways between them."""

    places: dict[int, Point]
    ways: list[list[Point]] = field(default_factory=list)  # corners, from one node's edge to the next one's
    forks: set[Point] = field(default_factory=set)
    shortcuts: list[tuple[Point, int]] = field(default_factory=list)  # middle of a way without steps; where it leads
    branches_end: Point | None = None  # below the leftmost of like branches
    left: float = 0.0
    right: float = 0.0

    @property
    def height(self) -> float:
        """Down to the centre of the last node."""
        return max(y for _, y in self.places.values())


@dataclass(frozen=True)
class Detour:
    """Steps off the main way: from a node, by others, to a node."""

    start: int
    steps: tuple[int, ...]
    end: int


def lay_out(graph: Graph, box_width: float) -> Layout:
    """Place the nodes of a graph, in boxes of this width, and join them."""
    nodes = graph.nodes
    main, detours = main_way_and_detours(nodes)
    columns = dict.fromkeys(main, 0)
    like = [detour for detour in detours if _is_like_main(nodes, main, detour)]
    others = [detour for detour in detours if detour not in like]
    numbers = [-1, *range(1, len(detours))] if len(like) > 1 else range(1, len(detours) + 1)
    for number, detour in zip(numbers, like + others, strict=True):
        columns |= dict.fromkeys(detour.steps, number)
    rows = _rows(nodes, detours)
    spacing = box_width + COLUMN_GAP
    layout = Layout({index: (columns[index] * spacing, rows[index] * PITCH) for index in range(len(nodes))})
    layout.left = min(columns.values()) * spacing - box_width / 2
    layout.right = max(columns.values()) * spacing + box_width / 2
    if len(like) > 1:
        layout.branches_end = (-spacing, layout.places[like[0].end][1])

    beginnings = {(detour.start, detour.steps[0]) for detour in detours}
    ends = {(detour.steps[-1], detour.end) for detour in detours}
    direct: list[tuple[int, int]] = []
    for end, node in enumerate(nodes):
        for start in node.inputs:
            (x, y), (to_x, to_y) = layout.places[start], layout.places[end]
            between = [columns[index] for index in range(start + 1, end)]
            if (start, end) in beginnings:
                fork = (x, y + FORK)
                layout.forks.add(fork)
                layout.ways.append([fork, (to_x, fork[1]), (to_x, to_y - _half_height(node))])
            elif (start, end) in ends:
                side = _half_width(node, box_width) * (1 if x > to_x else -1)
                layout.ways.append([(x, y + _half_height(nodes[start])), (x, to_y), (to_x + side, to_y)])
            elif columns[start] == columns[end] and columns[end] not in between:
                layout.ways.append([(x, y + _half_height(nodes[start])), (x, to_y - _half_height(node))])
            else:
                direct.append((start, end))
    on_right: list[tuple[int, int]] = []  # first and last row of the shortcuts there
    on_left: list[tuple[int, int]] = []
    for start, end in sorted(direct, key=lambda way: rows[way[1]] - rows[way[0]]):
        (x, y), (to_x, to_y) = layout.places[start], layout.places[end]
        fork = (x, y + FORK)
        layout.forks.add(fork)
        side = _half_width(nodes[end], box_width)
        if columns[start] > columns[end]:
            lane = to_x + spacing / 2
        else:
            span = (rows[start], rows[end])
            if _interleaves(span, on_right) and not detours and not _interleaves(span, on_left):
                on_left.append(span)
                layout.left -= LANE_GAP
                lane, side = layout.left, -side
            else:
                on_right.append(span)
                layout.right += LANE_GAP
                lane = layout.right
            layout.shortcuts.append(((lane, (fork[1] + to_y) / 2), end))
        layout.ways.append([fork, (lane, fork[1]), (lane, to_y), (to_x + side, to_y)])
    return layout


def _interleaves(span: tuple[int, int], others: Sequence[tuple[int, int]]) -> bool:
    """Whether a shortcut between two rows would cross one of the `others` on the same side: none contains the other."""
    return any(
        a < c < b < d for one, two in ((span, other) for other in others) for (a, b), (c, d) in ((one, two), (two, one))
    )


def main_way_and_detours(nodes: Sequence[Node]) -> tuple[list[int], list[Detour]]:
    """The way from the first node to the last with most weights, and the ways beside it that have steps."""
    weights: list[int] = []  # on the way with most of them that leads to each node
    for node in nodes:
        weights.append((node.kind == "weights") + max((weights[start] for start in node.inputs), default=0))

    def way_to(index: int, known: set[int]) -> list[int]:
        """The way with most weights to a node, from the last known node before it."""
        way = [index]
        while way[0] not in known:
            way.insert(0, max(nodes[way[0]].inputs, key=weights.__getitem__))
        return way

    main = way_to(len(nodes) - 1, {0})
    known = set(main)
    detours = []
    for end in reversed(range(len(nodes))):
        for start in nodes[end].inputs:
            if start not in known:
                first, *steps = way_to(start, known)
                detours.append(Detour(first, tuple(steps), end))
                known.update(steps)
    return main, detours


def _is_like_main(nodes: Sequence[Node], main: list[int], detour: Detour) -> bool:
    """Whether the steps of a detour are those of the main way beside it."""
    if detour.start not in main or detour.end not in main:
        return False
    beside = main[main.index(detour.start) + 1 : main.index(detour.end)]
    return [nodes[index].label for index in beside] == [nodes[index].label for index in detour.steps]


def _rows(nodes: Sequence[Node], detours: Sequence[Detour]) -> dict[int, int]:
    """The row of each node: below all that it reads; the steps of a detour stand in its middle."""
    rows: dict[int, int] = {}
    for index, node in enumerate(nodes):
        rows[index] = 1 + max((rows[start] for start in node.inputs), default=-1)
    for detour in detours:
        room = rows[detour.end] - rows[detour.start] - 1 - len(detour.steps)
        for step in detour.steps:
            rows[step] = rows[detour.start] + 1 + room // 2 + detour.steps.index(step)
    return rows


def _half_height(node: Node) -> float:
    if node.kind in BARE:
        return 0.1
    return RADIUS if node.kind in ROUND else BOX_HEIGHT / 2


def _half_width(node: Node, box_width: float) -> float:
    return RADIUS if node.kind in ROUND else box_width / 2
