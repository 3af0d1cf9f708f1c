"""A block of a net as a graph of plain values: its operations in order, with the inputs of each."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "input", "output", "weights", "norm", "activation", "random", "addition", "multiplication", "concatenation", "other"
]


@dataclass(frozen=True)
class Node:
    """One operation.

    Args:
        kind: the kind of operation.
        name: such as `3×3 conv`.
        inputs: positions in the graph of the nodes whose outputs it takes.
        size: such as the channels `16→32`.
        stride: of a convolution.
        detail: anything else worth saying, such as `8 groups`.
    """

    kind: Kind
    name: str
    inputs: tuple[int, ...] = ()
    size: str = ""
    stride: int = 1
    detail: str = ""

    @property
    def label(self) -> str:
        """The whole operation in words, such as `3×3 conv, 16→32, stride 2`."""
        stride = f"stride {self.stride}" if self.stride > 1 else ""
        return ", ".join(filter(None, (self.name, self.size, stride, self.detail)))


@dataclass(frozen=True)
class Graph:
    """The operations of a block in the order of computation: the input first, the output last.

    Args:
        nodes: the operations.
        branches: how many identical branches the block has; if there are more than three, the graph holds three.
    """

    nodes: tuple[Node, ...]
    branches: int = 1

    @property
    def form(self) -> tuple[object, ...]:
        """Equal for blocks that differ only in sizes and strides."""
        return tuple((node.kind, node.name, node.inputs, node.detail) for node in self.nodes[1:-1])

    @property
    def strides(self) -> tuple[int, ...]:
        """The stride of each operation."""
        return tuple(node.stride for node in self.nodes)


@dataclass(frozen=True)
class BlockForm:
    """The blocks of a net that have the same form.

    Args:
        graph: of a representative block: the first one with the most frequent strides.
        number: of the representative block, counted from 1.
        numbers: of all blocks of this form, ascending.
    """

    graph: Graph
    number: int
    numbers: tuple[int, ...]
