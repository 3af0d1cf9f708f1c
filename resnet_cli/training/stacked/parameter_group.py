"""Updating some layers of a stack of nets at once, each net with its own learning rate and weight decay.

Torch's own optimiser runs, with learning rate 1 and without weight decay, on a buffer of zeros that carries the
gradient, and leaves the direction of the step in this buffer. All update rules are linear in the learning rate and
depend on the parameters only through weight decay, so each net's learning rate and weight decay can be applied to its
part of the direction.
"""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from resnet_cli.training.optimizers import build_optimizer
from resnet_cli.training.settings import LEARNING_RATE, OPTIMIZER, WEIGHT_DECAY
from resnet_cli.training.stacked.packing import Packing


@dataclass(frozen=True)
class Scratch:
    """Flat buffers that the pieces of a stack use in turn, so that they stay in the cache."""

    gradient: Tensor
    penalised: Tensor  # the gradient plus weight decay; the gradient itself if weight decay is not added to it
    direction: Tensor


class Piece:
    """Consecutive layers of the same shape.

    Attributes:
        layers: their numbers.
        gradients: buffers for the gradient of each layer, (n_l, rows, columns).
    """

    def __init__(self, packing: Packing, layers: range, parameters: Tensor, scratch: Scratch) -> None:
        lead, shapes = packing.runs[0], [packing.shapes[layer] for layer in layers]
        sizes, (_, *matrix) = [prod(shape) for shape in shapes], shapes[0]
        end = packing.ends[layers[-1]]
        self.layers, self.real = layers, packing.real_rows[layers[0]]
        self.parameters = parameters[end - sum(sizes) : end].view(-1, *matrix)
        self.gradient, self.penalised, direction = (
            buffer[: sum(sizes)].view(-1, *matrix)
            for buffer in (scratch.gradient, scratch.penalised, scratch.direction)
        )
        self.gradients = torch.split(self.gradient, [nets for nets, *_ in shapes])
        every_net = torch.arange(len(packing.runs), device=parameters.device)
        self.nets = torch.cat([every_net[:nets] for nets, *_ in shapes])  # the net that each matrix belongs to
        decays = torch.tensor(
            [run[WEIGHT_DECAY] for run in packing.runs], dtype=parameters.dtype, device=parameters.device
        )
        self.decays = decays[self.nets][:, None, None]
        self.rates = torch.zeros_like(self.decays)
        self.penalises = scratch.penalised is not scratch.gradient
        self.shrinks = lead[OPTIMIZER] == "adamw" and bool(decays.any())

        self.direction = nn.Parameter(direction, requires_grad=False)
        self.direction.grad = self.penalised
        self.optimizer = build_optimizer(lead.but({LEARNING_RATE: 1.0, WEIGHT_DECAY: 0.0}), [self.direction])

    def set_rates(self, rates: Tensor) -> None:
        """Set the learning rate of each net, (N,)."""
        self.rates.copy_(rates[self.nets][:, None, None])

    def update(self) -> None:
        """Take an optimiser step with the gradient in `gradients`."""
        if self.penalises:
            torch.addcmul(self.gradient, self.parameters, self.decays, out=self.penalised)
        self.direction.zero_()
        self.optimizer.step()
        if self.shrinks:
            self.direction.addcmul_(self.parameters, self.decays, value=-1)
        self.direction[:, self.real :] = 0
        self.parameters.addcmul_(self.direction, self.rates)

    def add_squares(self, squares: Tensor) -> None:
        """Add each net's squared norm of the gradient in `gradients` to `squares`, (N,).

        Layers are added from the last to the first, so that a net's sum does not depend on how a stack is divided into
        pieces.
        """
        for gradient in reversed(self.gradients):
            squares[: len(gradient)] += gradient[:, : self.real].square().sum(dim=(1, 2))
