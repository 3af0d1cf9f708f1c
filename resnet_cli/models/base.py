"""What every model is made of, and the layers that several share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from resnet_cli.spec.ranges import DepthRule
from resnet_cli.spec.run import Run


@dataclass(frozen=True)
class Model:
    """What can be known about a model without building it, and how to build it.

    `build(run, input_shape, outputs)` gives the module with its parameters uninitialised (`initialise` fills them).
    Twins that are to be compared give corresponding parameters the same names, so that they get the same values.
    """

    name: str
    title: str
    paper: str
    family: Literal["mlp", "cnn"]
    role: Literal["plain", "residual", "other"]  # `--models plain,residual` picks by this
    depth_rule: DepthRule
    settings: frozenset[str]  # the model settings that it takes
    build: Callable[[Run, tuple[int, ...], int], nn.Module]
    defaults: Mapping[str, Any] = field(default_factory=dict)


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) whose masks come from its own generator.

    The training loop sets `generator` and reseeds it for every step, so that a resumed run draws the same masks.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.generator: torch.Generator | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Zero each element with the given probability and scale the others up; the identity in evaluation mode."""
        if not self.training or self.probability == 0:
            return inputs
        keep = torch.rand(inputs.shape, generator=self.generator, device=inputs.device) >= self.probability
        return inputs * keep / (1 - self.probability)


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}
