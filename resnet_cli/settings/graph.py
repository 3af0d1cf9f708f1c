"""A block of a net, or a whole net, as a graph of plain values: its operations in order, with the inputs of each."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "input", "output", "weights", "norm", "activation", "random", "addition", "multiplication", "concatenation", "other"
]


@dataclass(frozen=True)
class Node:
    """One operation; `inputs` are the positions in the graph of the nodes whose outputs it takes."""

    kind: Kind
    name: str  # such as `3×3 conv`
    inputs: tuple[int, ...] = ()
    size: str = ""  # such as the channels `16→32`
    stride: int = 1
    detail: str = ""  # such as `8 groups`
    shape: tuple[int, ...] = ()  # of its output, without the batch; only in the graph of a whole net

    @property
    def label(self) -> str:
        """The whole operation in words, such as `3×3 conv, 16→32, stride 2`."""
        stride = f"stride {self.stride}" if self.stride > 1 else ""
        return ", ".join(filter(None, (self.name, self.size, stride, self.detail)))


@dataclass(frozen=True)
class Graph:
    """The operations of a block or a net in the order of computation: the input first, the output last.

    Of a block with more than three identical branches, the graph holds three.
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
    """The blocks of a net that have the same form; the first one with the most frequent strides represents them."""

    graph: Graph
    number: int  # of the representative, counted from 1
    numbers: tuple[int, ...]  # of all, ascending
