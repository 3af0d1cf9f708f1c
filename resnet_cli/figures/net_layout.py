"""The layout of a whole net's drawing: its layers in one column, and the shortcuts past them.

Layers that have weights and layers that pool are shown; what leaves the size of its input as it is, such as a norm or
an activation, is not. A layer stands in the part of the drawing for the resolution of its output, so that nets of the
same resolutions can stand side by side (He et al. 2015, arXiv 1512.03385, Fig. 3).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from resnet_cli.figures.block_layout import main_way_and_detours
from resnet_cli.settings.graph import Graph, Kind, Node

Sides = tuple[int, ...]
"""Height and width of a layer's output; empty where there is no resolution any more, or never was."""

JOINS = ("addition", "multiplication", "concatenation")
PARTS = ("selection", "split")


@dataclass(frozen=True)
class Layer:
    """A layer that is shown."""

    kind: Kind
    label: str  # such as `3×3 conv, 128, /2`
    sides: Sides


@dataclass(frozen=True)
class Skip:
    """A shortcut around the layers from `first` to `last`, which ends where both are joined."""

    first: int
    last: int
    join: Kind
    is_plain: bool  # whether it has no operations of its own, such as a projection


@dataclass(frozen=True)
class Chain:
    """A net as layers one after another, with shortcuts."""

    layers: tuple[Layer, ...]
    skips: tuple[Skip, ...]


def chain_of(graph: Graph) -> Chain:
    """The layers and shortcuts of a net from its graph, whose nodes have shapes."""
    nodes = graph.nodes
    main, detours = main_way_and_detours(nodes)
    on_main = set(main)
    before = {index: detour for detour in detours for index in detour.steps}  # the detour of a step off the main way

    def origin(index: int) -> int:
        """The node of the main way from which a step off it comes."""
        while index not in on_main:
            index = before[index].start
        return index

    layers: list[Layer] = []
    passed: dict[int, int] = {}  # number of layers up to each node of the main way
    skips: dict[tuple[int, int], Skip] = {}
    for previous, index in zip([None, *main], main, strict=False):
        node = nodes[index]
        if previous is not None and (layer := _layer(node, nodes[previous])):
            layers.append(layer)
        passed[index] = len(layers)
        for start in node.inputs if node.kind in JOINS else ():
            if start != previous:
                span = passed[origin(start)], len(layers) - 1
                is_plain = start in on_main and (span not in skips or skips[span].is_plain)
                if span[0] <= span[1]:
                    skips[span] = Skip(*span, node.kind, is_plain)
    return Chain(tuple(layers), tuple(skips.values()))


def _layer(node: Node, previous: Node) -> Layer | None:
    """The layer that a node is, None if it is not shown."""
    *_, after = node.shape or (0,)
    sides = node.shape[1:]
    channels = node.shape[0] if node.shape else after
    if node.kind == "weights":
        stride = f", /{node.stride}" if node.stride > 1 else ""
        return Layer(node.kind, f"{node.name}, {channels:,}{stride}", sides)
    if node.kind == "other" and node.name not in PARTS and prod(node.shape) < prod(previous.shape):
        name = "average pooling" if node.name == "mean" else re.sub(r"^\d+×\d+ ", "", node.name)
        shrinks = sides and sides < previous.shape[1:]
        return Layer(node.kind, f"{name}, /{-(-previous.shape[1] // sides[0])}" if shrinks else name, sides)
    return None


def rows_of(chains: Sequence[Chain]) -> tuple[list[list[int]], dict[Sides, int]]:
    """The row of each layer of each net, and the first row of each resolution, from the greatest on."""
    every = {layer.sides for chain in chains for layer in chain.layers}
    starts: dict[Sides, int] = {}
    row = 0
    for sides in sorted(every, key=lambda sides: -prod(sides) if sides else 0):
        starts[sides] = row
        row += max(sum(layer.sides == sides for layer in chain.layers) for chain in chains)
    rows = []
    for chain in chains:
        taken: list[int] = []
        for layer in chain.layers:
            taken.append(max([starts[layer.sides], *(last + 1 for last in taken[-1:])]))
        rows.append(taken)
    return rows, starts
