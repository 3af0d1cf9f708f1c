"""What every model is made of, and the layers that several share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from resnet_cli.spec.ranges import DepthRule
from resnet_cli.spec.run import Run
from resnet_cli.spec.setting import Setting


@dataclass(frozen=True)
class Model:
    """What can be known about a model without building it, and how to build it.

    `build(run, input_shape, outputs)` gives the module with its parameters uninitialised (`initialise` fills them).
    Twins that are to be compared give corresponding parameters the same names, so that they get the same values.
    A net made of blocks holds them in a Sequential called `blocks`.
    """

    name: str
    title: str
    paper: str
    family: Literal["mlp", "cnn"]
    role: Literal["plain", "residual", "other"]  # `--models plain,residual` picks by this
    depth_rule: DepthRule
    settings: frozenset[str]  # the fields of `Run` that it takes; the names of its options are added
    build: Callable[[Run, tuple[int, ...], int], nn.Module]
    options: tuple[Setting, ...] = ()  # settings beyond the fields of `Run`; a run has them as `run["name"]`
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", self.settings | {option.name for option in self.options})


class Drawing(nn.Module):
    """A layer that draws at random in training mode, from a generator of its own.

    The training loop sets `generator`, one for all layers with the same `stream`, and reseeds it for every step, so
    that a resumed run draws the same values.
    """

    stream: ClassVar[str]
    on_host: ClassVar[bool] = False  # whether the generator is one of the CPU, whatever the device of the net

    def __init__(self) -> None:
        super().__init__()
        self.generator: torch.Generator | None = None

    @property
    def is_idle(self) -> bool:
        """Whether the layer never draws."""
        raise NotImplementedError


class Dropout(Drawing):
    """Dropout (Srivastava et al. 2014) whose masks come from its own generator."""

    stream = "dropout"

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    @property
    def is_idle(self) -> bool:
        """Whether nothing is ever dropped."""
        return self.probability == 0

    def forward(self, inputs: Tensor) -> Tensor:
        """Zero each element with the given probability and scale the others up; the identity in evaluation mode."""
        if not self.training or self.probability == 0:
            return inputs
        keep = torch.rand(inputs.shape, generator=self.generator, device=inputs.device) >= self.probability
        return inputs * keep / (1 - self.probability)


class StochasticDepth(Drawing):
    """Leaves a residual branch out at random while training (Huang et al. 2016, arXiv 1603.09382, §3).

    A block asks `is_kept()` first and computes its branch only if it is; the branch's response then goes through this
    layer, which scales it by the survival probability in evaluation mode (eq. 5) and leaves it alone in training. The
    draw is made on the host, so that nothing waits for the device. A branch that is left out gets no gradient, so its
    parameters, their momentum and the statistics of its batch norm stay as they are in that step.
    """

    stream = "stochastic depth"
    on_host = True

    def __init__(self, survival: float) -> None:
        super().__init__()
        self.survival = survival

    @property
    def is_idle(self) -> bool:
        """Whether the branch always survives."""
        return self.survival == 1

    def is_kept(self) -> bool:
        """Whether the branch is computed in this step; always so in evaluation mode."""
        if not self.training or self.is_idle:
            return True
        return torch.rand((), generator=self.generator, device="cpu").item() < self.survival

    def forward(self, response: Tensor) -> Tensor:
        """The response of a branch that was kept, scaled in evaluation mode."""
        return response if self.training or self.is_idle else response * self.survival


SURVIVAL = Setting(
    "survival",
    Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)],
    1.0,
    "Stochastic depth: probability that the last block is kept in a step, falling linearly from 1; 1 keeps all blocks.",
)


def linear_decay(block: int, blocks: int, survival: float) -> float:
    """The survival probability of a block, p_l = 1 − (l/L)(1 − p_L) (Huang et al. 2016, eq. 4).

    Args:
        block: l, from 1 on.
        blocks: L, their number.
        survival: p_L, the last block's.
    """
    return 1 - block / blocks * (1 - survival)


class Addition(nn.Module):
    """Adds a residual branch's response to what the shortcut passed on.

    A layer of its own, so that an analysis can take hold of both (hooks that remove one, or stop its gradient).
    """

    def forward(self, response: Tensor, skipped: Tensor) -> Tensor:
        """The sum of two signals of one shape."""
        return response + skipped


class AuxiliaryHead(nn.Module):
    """Marks an output half-way whose loss is added to the net's own while training.

    Args:
        head: from a signal inside the net to (B, outputs).
        weight: of its loss.
    """

    def __init__(self, head: nn.Module, weight: float) -> None:
        super().__init__()
        self.head, self.weight = head, weight
        self.outputs: Tensor | None = None  # (B, outputs), of the last forward pass in training mode

    def forward(self, signal: Tensor) -> Tensor:
        """Pass the signal on, and in training mode keep what the head makes of it for the training loop."""
        self.outputs = self.head(signal) if self.training else None
        return signal


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}
