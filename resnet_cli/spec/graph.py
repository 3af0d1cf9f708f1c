"""A block of a net as a graph, in plain values: what is computed, in order, from what."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "input", "output", "weights", "norm", "activation", "random", "addition", "multiplication", "concatenation", "other"
]


@dataclass(frozen=True)
class Node:
    """A step of a computation.

    Args:
        kind: of step.
        name: such as `3×3 conv`.
        inputs: positions of the nodes that it reads, in the graph.
        size: such as the channels `16→32`.
        stride: of a convolution.
        detail: what else there is to say, such as `8 groups`.
    """

    kind: Kind
    name: str
    inputs: tuple[int, ...] = ()
    size: str = ""
    stride: int = 1
    detail: str = ""

    @property
    def label(self) -> str:
        """All in words, such as `3×3 conv, 16→32, stride 2`."""
        stride = f"stride {self.stride}" if self.stride > 1 else ""
        return ", ".join(filter(None, (self.name, self.size, stride, self.detail)))


@dataclass(frozen=True)
class Graph:
    """The steps of a block in the order of computation: first the input, last the output.

    Args:
        nodes: the steps.
        branches: how many like branches the block has; of more than three, three are in the graph.
    """

    nodes: tuple[Node, ...]
    branches: int = 1

    @property
    def form(self) -> tuple[object, ...]:
        """Equal for blocks that differ in sizes and strides alone."""
        return tuple((node.kind, node.name, node.inputs, node.detail) for node in self.nodes[1:-1])

    @property
    def strides(self) -> tuple[int, ...]:
        """The stride of each step."""
        return tuple(node.stride for node in self.nodes)


@dataclass(frozen=True)
class BlockForm:
    """A form of blocks that a net has.

    Args:
        graph: of the block that stands for all: the first with the strides that most of them have.
        number: of that block, from 1 on.
        numbers: of all blocks of this form, ascending.
    """

    graph: Graph
    number: int
    numbers: tuple[int, ...]
