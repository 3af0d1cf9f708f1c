"""The parameters of many MLPs of one width, stacked layer by layer in one flat, padded buffer.

Nets are sorted by depth, deepest first, so that those with a hidden layer l are the first n_l. With N nets, W units, F
inputs and O outputs, the buffer holds the layers one after another, each for all nets:

    hidden layer 0 (N, P, Q)    hidden layers l > 0 (n_l, P, P)    outputs (N, O, P), at least two rows
    and, if the nets scale their residual branches, the scales of those that end with layer l, (n_l, 1, 64)

P > W and Q > F are multiples of 8: products of such matrices are several times as fast as with, say, 30 columns. The
bias is column F of layer 0 and column W of the others, where the inputs of all products have a constant 1. Rows from W
on (O in the outputs) are not parameters: nothing may change what `Packing.initialise` writes there. Of the 64 columns
of a scale only the first is one; the others have no gradient.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import prod

import torch
from torch import Tensor

from resnet_cli.models import build_net
from resnet_cli.models.activations import ACTIVATIONS
from resnet_cli.models.mlp import layer_names, scale_name
from resnet_cli.models.settings import (
    ACTIVATION,
    BLOCK_SIZE,
    INIT,
    INIT_BIAS_STD,
    INIT_STD,
    WIDTH,
    has_scaled_branches,
)
from resnet_cli.settings.run import Run
from resnet_cli.tasks.data import Data

SCALE_COLUMNS = 64
"""Every net's part of a layer fills whole vectors: values left over by a vectorised loop could get other last bits."""


class Packing:
    """The layout of the parameters of some nets in a flat buffer.

    Attributes:
        runs: of the nets, deepest first; the order of all net axes.
        depth: of the deepest net; layers 0 to depth - 1 are hidden, layer `depth` is the output layer.
        skip: how many layers a skip spans; 0 in plain nets.
        scaled: the hidden layers whose response has a scale; the scales follow the output layer as layers of their own.
        shapes: the shape of each layer in the buffer.
        real_rows: the number of rows of each layer that are parameters.
        ends: where each layer ends in the buffer.
    """

    def __init__(self, runs: Sequence[Run], data: Data) -> None:
        self.runs = sorted(runs, key=lambda run: (-run.depth, run.seed, run.run_id))
        self.input_shape, self.output_count = data.input_shape, data.outputs
        self.depth, self.width, self.features = self.runs[0].depth, self.runs[0][WIDTH], prod(data.input_shape)
        self.columns, self.inputs = padded(self.width), padded(self.features)
        self.skip = self.runs[0].get(BLOCK_SIZE) or 0
        has_scales = has_scaled_branches(self.runs[0])
        self.scaled = [layer for layer in range(self.depth) if has_scales and closes_skip(layer, self.skip)]
        self.sizes = [sum(run.depth > layer for run in self.runs) for layer in range(self.depth)]  # n_l
        # At least two rows: with one output, the product for a single net uses another kernel, with other last bits.
        outputs = (len(self.runs), max(2, data.outputs), self.columns)
        hidden = [(size, self.columns, self.columns if layer else self.inputs) for layer, size in enumerate(self.sizes)]
        self.shapes = [*hidden, outputs, *((self.sizes[layer], 1, SCALE_COLUMNS) for layer in self.scaled)]
        self.real_rows = [*([self.width] * self.depth), data.outputs, *(1 for _ in self.scaled)]
        self.ends = list(accumulate(map(prod, self.shapes)))

    def views(self, flat: Tensor) -> list[Tensor]:
        """The layers of a buffer, without copying."""
        parts = torch.split(flat, [prod(shape) for shape in self.shapes])
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def layer_groups(self, most: int) -> list[range]:
        """The layers, last first, in groups of equal shape; a group of several has at most `most` values.

        All scales are one group, the last: their values are needed until the gradients of all other layers are known.
        """
        groups: list[range] = []
        for layer in reversed(range(self.depth + 1)):
            longer = range(layer, groups[-1].stop) if groups else range(0)
            alike = layer < self.depth - 1 and self.shapes[layer][1:] == self.shapes[layer + 1][1:]
            if alike and sum(prod(self.shapes[member]) for member in longer) <= most:
                groups[-1] = longer
            else:
                groups.append(range(layer, layer + 1))
        if self.scaled:
            groups.append(range(self.depth + 1, len(self.shapes)))
        return groups

    def initialise(self, flat: Tensor) -> None:
        """Fill a buffer of zeros with each net's initial values and the weights that keep its constant unit at 1."""
        built: dict[object, dict[str, Tensor]] = {}
        for place, run in enumerate(self.runs):
            draw = (run.seed, run[INIT], run.get(INIT_STD), run.get(INIT_BIAS_STD))
            if draw not in built:  # values depend on name and shape only, so shallower nets share those of this one
                built[draw] = build_net(run, self.input_shape, self.output_count).state_dict()
            for name, values in self._net(flat, place):
                values.copy_(built[draw][name])
        activation = ACTIVATIONS[self.runs[0][ACTIVATION]]
        for layer, weights in enumerate(self.views(flat)[: self.depth]):
            constant = self.width if layer else self.features
            weights[:, self.width :, constant] = activation.zero
            # at the end of a skip, the skip itself adds 1 to the constant unit
            weights[:, self.width, constant] = activation.one - closes_skip(layer, self.skip)

    def parameters(self, flat: Tensor) -> list[Tensor]:
        """The layers of a buffer without what is no parameter: weights, then the bias as the last column."""
        columns = [self.features + 1] + [self.width + 1] * self.depth + [1] * len(self.scaled)
        return [
            layer[:, :rows, :used] for layer, rows, used in zip(self.views(flat), self.real_rows, columns, strict=True)
        ]

    def state(self, flat: Tensor, place: int) -> dict[str, Tensor]:
        """The parameters of the net at `place` in a buffer, as the state dict of its `MLP`, on the CPU."""
        return {name: values.to("cpu", copy=True) for name, values in self._net(flat, place)}

    def _net(self, flat: Tensor, place: int) -> Iterator[tuple[str, Tensor]]:
        """The parameters of one net by name, in the order of the state dict, as views."""
        layers = self.views(flat)
        scales = dict(zip(self.scaled, layers[self.depth + 1 :], strict=True))
        inputs, run = self.features, self.runs[place]
        for layer, name in enumerate(layer_names(run.depth, run.get(BLOCK_SIZE))):
            weights = layers[layer][place, : self.width]
            yield f"{name}.weight", weights[:, :inputs]
            yield f"{name}.bias", weights[:, inputs]
            if layer in scales:
                yield f"{scale_name(layer, self.skip)}.weight", scales[layer][place, 0, 0]
            inputs = self.width
        weights = layers[self.depth][place, : self.output_count]
        yield "output.weight", weights[:, :inputs]
        yield "output.bias", weights[:, inputs]


def padded(units: int) -> int:
    """Number of columns for `units` units and the constant unit."""
    return (units // 8 + 1) * 8


def closes_skip(layer: int, skip: int) -> bool:
    """Whether hidden layer `layer`, counted from 0, is the last of a block with a skip."""
    return skip > 0 and layer > 0 and layer % skip == 0
