"""The description of a model, and the layers that several models share."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from resnet_cli.settings.ranges import DepthRule
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Setting


@dataclass(frozen=True)
class Model:
    """What is known about a model without building it, and how to build it.

    `build(run, input_shape, outputs)` returns the module with uninitialised parameters (`initialise` fills them).
    Twins that are to be compared name corresponding parameters alike, so that they get the same initial values.
    A net made of blocks holds them in a Sequential called `blocks`.
    """

    name: str
    title: str
    paper: str
    family: Literal["mlp", "cnn"]
    role: Literal["plain", "residual", "other"]  # `--models plain,residual` picks by this
    depth_rule: DepthRule
    settings: tuple[Setting[Any], ...]  # that apply to it: shared ones (`models.settings`) and its own
    build: Callable[[Run, tuple[int, ...], int], nn.Module]
    defaults: Mapping[str, Any] = field(default_factory=dict)  # where its setting has another, by name
    can_stack: bool = False  # whether the stacked engine knows its layers and skips

    def __post_init__(self) -> None:
        if self.name in ("all", "plain", "residual"):
            raise ValueError(f"name (={self.name}) stands for several models; choose another")
        if self.role not in ("plain", "residual", "other"):
            raise ValueError(f"role (={self.role}) must be plain, residual or other")
        if not isinstance(self.depth_rule, DepthRule) or self.depth_rule.step < 1:
            raise ValueError(f"depth_rule (={self.depth_rule}) must be a DepthRule with a step of at least 1")
        if not isinstance(self.settings, tuple) or not isinstance(self.defaults, Mapping):
            raise ValueError("settings must be a tuple, and defaults a dict by name")


class Drawing(nn.Module):
    """A layer that draws random numbers in training mode, from a generator of its own.

    The training loop sets `generator`, one for all layers with the same `stream`, and reseeds it for every step, so
    that a resumed run draws the same numbers.
    """

    stream: ClassVar[str]
    on_host: ClassVar[bool] = False  # whether the generator is on the CPU, whatever the device of the net

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
        """Zero each element with the given probability and scale up the others; the identity in evaluation mode."""
        if not self.training or self.probability == 0:
            return inputs
        keep = torch.rand(inputs.shape, generator=self.generator, device=inputs.device) >= self.probability
        return inputs * keep / (1 - self.probability)


class StochasticDepth(Drawing):
    """Drops a residual branch at random while training (Huang et al. 2016, arXiv 1603.09382, §3).

    A block first asks `is_kept()` and computes its branch only if the answer is yes; the branch's response then goes
    through this layer, which scales it by the survival probability in evaluation mode (eq. 5) and leaves it unchanged
    in training mode. The draw is made on the host, so that nothing waits for the device. A dropped branch gets no
    gradient, so its parameters, their momentum and its batch-norm statistics do not change in that step.
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
        """Whether the branch is computed in this step; always true in evaluation mode."""
        if not self.training or self.is_idle:
            return True
        return torch.rand((), generator=self.generator, device="cpu").item() < self.survival

    def forward(self, response: Tensor) -> Tensor:
        """The response of a branch that was kept, scaled in evaluation mode."""
        return response if self.training or self.is_idle else response * self.survival


def linear_decay(block: int, blocks: int, survival: float) -> float:
    """The survival probability of a block, p_l = 1 − (l/L)(1 − p_L) (Huang et al. 2016, eq. 4).

    Args:
        block: l, counted from 1.
        blocks: L, the number of blocks.
        survival: p_L, the survival probability of the last block.
    """
    return 1 - block / blocks * (1 - survival)


class Addition(nn.Module):
    """Adds the response of a residual branch to the output of its shortcut.

    It is a layer of its own so that analyses can put hooks on it, to remove one of the two or to stop its gradient.
    """

    def forward(self, response: Tensor, skipped: Tensor) -> Tensor:
        """The sum of two tensors of the same shape."""
        return response + skipped


Step = Callable[[Tensor], Tensor]
"""A layer, or a function of activations."""


def apply_in_order(steps: Iterable[Step], x: Tensor) -> Tensor:
    """The activations after some steps."""
    for step in steps:
        x = step(x)
    return x


class Block(nn.Module):
    """A branch of layers and, unless the block is plain, a shortcut around it that is added to the branch's response.

    A subclass lists the steps in `__init__`, and calls `add_shortcut` once it has registered the branch's layers.
    """

    entry: Sequence[Step] = ()  # before the branch; a shortcut with parameters begins after these, others before them
    branch: Sequence[Step]
    exit: Sequence[Step]  # after the addition
    shortcut: nn.Module | None

    def add_shortcut(self, shortcut: nn.Module | None, survival: float = 1.0) -> None:
        """Complete the block.

        Args:
            shortcut: around the branch, or None for a plain block.
            survival: probability that the branch of a residual block is computed in a training step.
        """
        self.shortcut = shortcut
        if shortcut is not None:
            self.stochastic_depth, self.addition = StochasticDepth(survival), Addition()
            self.has_free_shortcut = not list(shortcut.parameters())

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, n_in) to (B, n_out), or (B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        if self.shortcut is None:
            return apply_in_order((*self.entry, *self.branch, *self.exit), inputs)
        is_kept = self.stochastic_depth.is_kept()
        entered = apply_in_order(self.entry, inputs) if is_kept or not self.has_free_shortcut else inputs
        x = self.shortcut(inputs if self.has_free_shortcut else entered)
        if is_kept:
            response = self.stochastic_depth(apply_in_order(self.branch, entered))
            x = self.addition(response, x)
        return apply_in_order(self.exit, x)


class AuxiliaryHead(nn.Module):
    """An auxiliary output inside a net, whose loss is added to the net's own while training.

    Args:
        head: maps activations inside the net to outputs (B, outputs).
        weight: of the head's loss.
    """

    def __init__(self, head: nn.Module, weight: float) -> None:
        super().__init__()
        self.head, self.weight = head, weight
        self.outputs: Tensor | None = None  # (B, outputs), of the last forward pass in training mode

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations unchanged; in training mode, keep the head's outputs for the training loop."""
        self.outputs = self.head(x) if self.training else None
        return x
