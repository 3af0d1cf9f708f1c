"""Updating some layers of a stack of nets at once, each net with its own learning rate and weight decay.

Torch's own optimiser runs, with learning rate 1 and without weight decay, on a buffer of zeros that carries the
gradient, and leaves the direction of the step in this buffer. The optimisers that can be stacked are linear in the
learning rate and depend on the parameters only through weight decay (`Optimizer.linear_in_rate`), so each net's
learning rate and weight decay can be applied to its part of the direction.
"""

from math import prod

import torch
from torch import Tensor, nn

from resnet_cli.training.optimizers import LEARNING_RATE, OPTIMIZER, OPTIMIZERS, WEIGHT_DECAY, build_optimizer
from resnet_cli.training.stacked.packing import Packing

GROUP_BYTES = {"cpu": 800_000, "cuda": 10**12}
"""Maximum size of the parameters that are updated together. On a CPU, they fit into a core's cache together with their
gradient, direction and moments."""


class ParameterGroup:
    """Consecutive layers of the same shape.

    All parameters lie in a flat buffer. The groups of a stack use two others, for the gradient and the direction, in
    turn, so that these stay in the cache.

    Attributes:
        gradients: buffers for the gradient of each layer, (n_l, rows, columns); an update may overwrite them.
    """

    def __init__(
        self, packing: Packing, layers: range, parameters: Tensor, gradient: Tensor, direction: Tensor
    ) -> None:
        lead, shapes = packing.runs[0], [packing.shapes[layer] for layer in layers]
        size, (_, *matrix) = sum(map(prod, shapes)), shapes[0]
        end = packing.ends[layers[-1]]
        self.layers, self.real_rows = layers, packing.real_rows[layers[0]]
        self.parameters = parameters[end - size : end].view(-1, *matrix)
        self.gradient = gradient[:size].view(-1, *matrix)
        self.gradients = torch.split(self.gradient, [nets for nets, *_ in shapes])
        every_net = torch.arange(len(packing.runs), device=parameters.device)
        self.nets = torch.cat([every_net[:nets] for nets, *_ in shapes])  # the net that each matrix belongs to
        self.decays = self._of_matrices(parameters.new_tensor([run[WEIGHT_DECAY] for run in packing.runs]))
        self.rates = torch.zeros_like(self.decays)
        self.has_decay, self.decoupled_decay = bool(self.decays.any()), OPTIMIZERS[lead[OPTIMIZER]].decoupled_decay

        self.direction = nn.Parameter(direction[:size].view(-1, *matrix), requires_grad=False)
        self.direction.grad = self.gradient
        neutral = lead.but({LEARNING_RATE: 1.0, WEIGHT_DECAY: 0.0})
        self.optimizer = build_optimizer(neutral, [self.direction])

    def set_capturable(self, capturable: bool) -> None:
        """Say whether updates are to be recorded in a CUDA graph; torch then counts steps on the device."""
        (settings,) = self.optimizer.param_groups
        settings["capturable"] = capturable and self.parameters.is_cuda
        for state in self.optimizer.state.values():
            if "step" in state and not settings.get("fused"):  # fused ones always count there
                state["step"] = state["step"].to(self.parameters.device if settings["capturable"] else "cpu")

    def set_rates(self, rates: Tensor) -> None:
        """Set the learning rate of each net, (N,)."""
        self.rates.copy_(self._of_matrices(rates))

    def update(self) -> None:
        """Take an optimiser step with the gradient in `gradients`."""
        if self.has_decay and not self.decoupled_decay:
            self.gradient.addcmul_(self.parameters, self.decays)
        self.direction.zero_()
        self.optimizer.step()
        if self.has_decay and self.decoupled_decay:
            self.direction.addcmul_(self.parameters, self.decays, value=-1)
        self.direction[:, self.real_rows :] = 0
        self.parameters.addcmul_(self.direction, self.rates)

    def add_squares(self, squares: Tensor) -> None:
        """Add each net's squared norm of the gradient in `gradients` to `squares`, (N,).

        Layers are added from the last to the first, so that a net's sum does not depend on how a stack is divided into
        groups.
        """
        for gradient in reversed(self.gradients):
            squares[: len(gradient)] += gradient[:, : self.real_rows].square().sum(dim=(1, 2))

    def _of_matrices(self, values: Tensor) -> Tensor:
        """A value per net, (N,), as one per matrix, to be multiplied with the parameters."""
        return values[self.nets][:, None, None]


def divide_parameters(packing: Packing, parameters: Tensor) -> list[ParameterGroup]:
    """The parameters of a stack in groups, in the order in which they are updated."""
    groups = packing.layer_groups(GROUP_BYTES[parameters.device.type] // parameters.itemsize)
    most = max(sum(prod(packing.shapes[layer]) for layer in layers) for layers in groups)
    gradient, direction = torch.zeros_like(parameters[:most]), torch.zeros_like(parameters[:most])
    return [ParameterGroup(packing, layers, parameters, gradient, direction) for layers in groups]
