"""The description of a model, and the layers that several models share."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from resnet_cli.models.activations import ACTIVATIONS
from resnet_cli.models.settings import ACTIVATION, BATCH_NORM
from resnet_cli.settings.errors import shorten
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
    depth_rule: DepthRule
    settings: tuple[Setting[Any], ...]  # that apply to it: shared ones (`models.settings`) and its own
    build: Callable[[Run, tuple[int, ...], int], nn.Module]
    role: Literal["plain", "residual", "other"] = "other"  # `--models plain,residual` picks by this
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
        names = {getattr(setting, "name", None) for setting in self.settings}
        if None not in names and (unknown := self.defaults.keys() - names):
            raise ValueError(f"defaults (={shorten(min(unknown))}) is not among the settings of {self.name}")


Step = Callable[[Tensor], Tensor]
"""A layer, or a function of activations."""


def activation_of(run: Run) -> Step:
    """The activation function of a run."""
    return ACTIVATIONS[run[ACTIVATION]].function


def convolution(run: Run, n_in: int, n_out: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution, padded so that stride 1 keeps the resolution; batch norm makes its bias redundant."""
    return nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, groups=groups, bias=not run[BATCH_NORM])


def norm_of(run: Run, channels: int) -> nn.Module:
    """Batch norm of images, or the identity if the run has none."""
    return nn.BatchNorm2d(channels) if run[BATCH_NORM] else nn.Identity()


class Drawing(nn.Module):
    """A layer that draws random numbers in training mode, from a generator of its own.

    The training loop sets `generator`, one for all layers with the same `stream`, and reseeds it for every step, so
    that a resumed run draws the same numbers.
    """

    stream: ClassVar[str]
    on_host: ClassVar[bool] = False  # whether the generator is on the CPU, whatever the device of the net

    def __init__(self, *, is_idle: bool = False) -> None:
        super().__init__()
        self.is_idle = is_idle  # whether the layer never draws
        self.generator: torch.Generator | None = None


def drawing_layers(net: nn.Module) -> list[Drawing]:
    """The layers of a net that draw random numbers in training."""
    return [layer for layer in net.modules() if isinstance(layer, Drawing) and not layer.is_idle]


class Dropout(Drawing):
    """Dropout (Srivastava et al. 2014) whose masks come from its own generator."""

    stream = "dropout"

    def __init__(self, probability: float) -> None:
        super().__init__(is_idle=probability == 0)
        self.probability = probability

    def forward(self, inputs: Tensor) -> Tensor:
        """Zero each element with the given probability and scale up the others; the identity in evaluation mode."""
        if not self.training or self.is_idle:
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
        super().__init__(is_idle=survival == 1)
        self.survival = survival

    def is_kept(self) -> bool:
        """Whether the branch is computed in this step; always true in evaluation mode."""
        if not self.training or self.is_idle:
            return True
        return torch.rand((), generator=self.generator, device="cpu").item() < self.survival

    def forward(self, response: Tensor) -> Tensor:
        """The response of a branch that was kept, scaled in evaluation mode."""
        return response if self.training or self.is_idle else response * self.survival


def linear_decay(block: int, blocks: int, survival: float) -> float:
    """Survival probability of block l of L, counted from 1: p_l = 1 − (l/L)(1 − p_L) (Huang et al. 2016, eq. 4)."""
    return 1 - block / blocks * (1 - survival)


class Addition(nn.Module):
    """Adds the response of a residual branch to the output of its shortcut.

    It is a layer of its own so that analyses can put hooks on it, to remove one of the two or to stop its gradient.
    """

    def forward(self, response: Tensor, skipped: Tensor) -> Tensor:
        """The sum of two tensors of the same shape."""
        return response + skipped


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
        """Complete the block, plain or with a shortcut; `survival` is the probability that a step keeps the branch."""
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
    """An auxiliary output (B, outputs) inside a net, whose loss, times `weight`, is added to the net's own."""

    def __init__(self, head: nn.Module, weight: float) -> None:
        super().__init__()
        self.head, self.weight = head, weight
        self.outputs: Tensor | None = None  # (B, outputs), of the last forward pass in training mode

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations unchanged; in training mode, keep the head's outputs for the training loop."""
        self.outputs = self.head(x) if self.training else None
        return x
