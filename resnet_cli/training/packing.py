"""The parameters of many MLPs of one width in one flat, padded buffer.

Nets are sorted by depth, deepest first, so that those with a hidden layer l are the first n_l. With N nets, W units, F
inputs and O outputs, the buffer has three blocks:

    first layers (N, P, Q)    other hidden layers, one after another, (n_l, P, P) each    outputs (N, O or 2, P)

P > W and Q > F are multiples of 8: products with such matrices are several times as fast as with, say, 30 columns.
The bias is column F of a first layer and column W of the others, where the inputs of all products have a constant 1.
Rows from W (in outputs: from O) are no parameters; they keep the values that `Packing.initialise` gives them.
"""

from collections.abc import Iterator, Sequence
from math import prod

import torch
from torch import Tensor

from resnet_cli.models import build_net
from resnet_cli.spec.run import Run
from resnet_cli.tasks.base import Data

_CONSTANT = {"relu": (1.0, 0.0), "tanh": (1000.0, 0.0), "sigmoid": (1000.0, -1000.0)}
"""Where an activation is exactly 1, for the constant unit, and exactly 0, for the padding."""


class Packing:
    """Where in a flat buffer the parameters of each net are.

    Attributes:
        runs: of the nets, deepest first; the order of all net axes.
        sizes: n_l for each hidden layer of the deepest net.
        length: of the buffer.
    """

    def __init__(self, runs: Sequence[Run], data: Data) -> None:
        self.runs = sorted(runs, key=lambda run: (-run.depth, run.seed, run.run_id))
        self.data, self.width, self.features = data, self.runs[0].width, prod(data.input_shape)
        self.columns, self.inputs = padded(self.width), padded(self.features)
        # A product with a single column takes another way, with other last bits, if it has one net only.
        self.outputs = max(2, data.outputs)
        self.sizes = [sum(run.depth > layer for run in self.runs) for layer in range(self.runs[0].depth)]
        nets, rows = len(self.runs), sum(self.sizes[1:])
        self.shapes = [
            (nets, self.columns, self.inputs),
            (rows, self.columns, self.columns),
            (nets, self.outputs, self.columns),
        ]
        self.length = sum(map(prod, self.shapes))
        self.real_rows = [self.width, self.width, data.outputs]
        every_net = torch.arange(nets, device=data.device)
        deeper = [every_net[:size] for size in self.sizes[1:]]
        self.nets = [every_net, torch.cat([every_net[:0], *deeper]), every_net]  # whose matrices they are, by block

    def blocks(self, flat: Tensor) -> list[Tensor]:
        """The three blocks of a buffer, without copying."""
        parts = torch.split(flat, [prod(shape) for shape in self.shapes])
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def layers(self, flat: Tensor) -> tuple[list[Tensor], Tensor]:
        """Each hidden layer, (n_l, P, Q or P), and the outputs, (N, O or 2, P), of a buffer, without copying."""
        first, others, outputs = self.blocks(flat)
        return [first, *torch.split(others, self.sizes[1:])], outputs

    def factors(self, values: list[float]) -> list[Tensor]:
        """A number of each net, for each block in a shape to multiply it with."""
        column = torch.tensor(values, dtype=self.data.dtype, device=self.data.device)
        return [column[nets][:, None, None] for nets in self.nets]

    def norms(self, flat: Tensor) -> Tensor:
        """The Euclidean norm of each net's part of a buffer, (N,)."""
        squares = flat.new_zeros(len(self.runs))
        for block, nets, real in zip(self.blocks(flat), self.nets, self.real_rows, strict=True):
            squares.index_add_(0, nets, block[:, :real].square().sum(dim=(1, 2)))
        return squares.sqrt()

    def initialise(self, flat: Tensor, skip: int) -> None:
        """Fill a buffer of zeros with the initial values of each net, and with what keeps the constant unit at 1.

        Args:
            flat: the buffer.
            skip: layers that a skip spans, as in `stacked`; 0 for plain nets.
        """
        built: dict[object, dict[str, Tensor]] = {}
        for place, run in enumerate(self.runs):
            draw = (run.seed, run.init, run.init_std)
            if draw not in built:  # values go by name and shape, so shallower nets have those of this one
                built[draw] = build_net(run, self.data.input_shape, self.data.outputs).state_dict()
            for name, weight, bias in self._net(flat, place):
                weight.copy_(built[draw][f"{name}.weight"])
                bias.copy_(built[draw][f"{name}.bias"])
        one, zero = _CONSTANT[self.runs[0].activation]
        for layer, weights in enumerate(self.layers(flat)[0]):
            bias_column = self.width if layer else self.features
            weights[:, self.width :, bias_column] = zero
            # Where a skip ends it brings the 1 that a ReLU needs; the other activations are flat there.
            has_one = closes_skip(layer, skip) and self.runs[0].activation == "relu"
            weights[:, self.width, bias_column] = 0.0 if has_one else one

    def state(self, flat: Tensor, place: int) -> dict[str, Tensor]:
        """The part of a buffer that belongs to the net at `place`, as the state dict of its `MLP`, on the CPU."""
        state = {}
        for name, weight, bias in self._net(flat, place):
            state[f"{name}.weight"] = weight.to("cpu", copy=True)
            state[f"{name}.bias"] = bias.to("cpu", copy=True)
        return state

    def _net(self, flat: Tensor, place: int) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Name, weight and bias of each layer of one net, as views."""
        hidden, outputs = self.layers(flat)
        inputs = self.features
        for layer in range(self.runs[place].depth):
            weights = hidden[layer][place]
            yield f"hidden.{layer}", weights[: self.width, :inputs], weights[: self.width, inputs]
            inputs = self.width
        yield "output", outputs[place, : self.data.outputs, :inputs], outputs[place, : self.data.outputs, inputs]


def padded(units: int) -> int:
    """Columns for `units` units and the constant one."""
    return (units // 8 + 1) * 8


def closes_skip(layer: int, skip: int) -> bool:
    """Whether hidden layer `layer`, from 0, is the last of a block that a skip spans."""
    return skip > 0 and layer > 0 and layer % skip == 0
