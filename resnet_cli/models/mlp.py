"""Multi-layer perceptrons, plain and with parameter-free skips over every k layers.

The residual net is the one of Kowsik (2021), "Residual Neural Networks", which follows He et al. 2015
(arXiv 1512.03385, eq. 1): a block's input is added to the block's last pre-activation. Stochastic depth as in Huang et
al. 2016 (arXiv 1603.09382). Branches can be scaled by a learnt zero: SkipInit (De & Smith 2020, arXiv 2002.10444).

Depth d means d hidden layers, then a linear output (W = width):

    d = 1:  in→W, W→out
    d = 2:  in→W, W→W, W→out
    d = 3:  in→W, W→W, W→W, W→out

Hidden layers 2 to d are grouped into blocks of k, starting from layer 2. An incomplete last block has no skip, so a
residual net of depth ≤ k is the plain net.
"""

import math
from collections.abc import Iterable

from torch import Tensor, nn

from resnet_cli.models.base import Block, Dropout, Model, Step, activation_of, linear_decay
from resnet_cli.models.settings import (
    BATCH_NORM,
    BLOCK_SIZE,
    BRANCH_SCALE,
    COMMON,
    DROPOUT,
    SURVIVAL,
    WIDTH,
    has_scaled_branches,
)
from resnet_cli.settings.ranges import DepthRule
from resnet_cli.settings.run import Run


def build_layer(run: Run, n_in: int, n_out: int, number: int) -> nn.Sequential:
    """A linear layer and its batch norm, if the run has any, which makes a bias redundant.

    Layers with the same number, that of hidden layers before, have the same initial values in all MLPs.
    """
    linear = nn.Linear(n_in, n_out, bias=not run[BATCH_NORM])
    linear.initial_name = f"hidden.{number}"  # type: ignore[assignment]
    return nn.Sequential(linear, nn.BatchNorm1d(n_out) if run[BATCH_NORM] else nn.Identity())


class MLPBlock(Block):
    """Consecutive hidden layers and, in a residual block, a skip past them to the last pre-activation.

    Its hidden layers have `numbers` as in `build_layer`; `survival` is the probability that a step computes them.
    """

    def __init__(self, run: Run, numbers: range, *, is_residual: bool, survival: float = 1.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList([build_layer(run, run[WIDTH], run[WIDTH], number) for number in numbers])
        self.dropout = Dropout(run[DROPOUT])
        self.exit: list[Step] = [activation_of(run), self.dropout]
        first, *others = self.layers
        self.branch = [first]
        for layer in others:
            self.branch += [*self.exit, layer]
        self.add_shortcut(nn.Identity() if is_residual else None, survival, is_scaled=has_scaled_branches(run))


class FlatNet(nn.Module):
    """A hidden layer, blocks from W to W units (W = width), and a linear output; images are flattened."""

    def __init__(
        self, run: Run, input_shape: tuple[int, ...], outputs: int, blocks: Iterable[nn.Module], dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.entry = build_layer(run, math.prod(input_shape), run[WIDTH], 0)
        self.activation = activation_of(run)
        self.dropout = Dropout(dropout)
        self.blocks = nn.Sequential(*blocks)
        self.output = nn.Linear(run[WIDTH], outputs)

    def pass_blocks(self, x: Tensor) -> Tensor:
        """(B, W) to (B, W)."""
        return self.blocks(x)  # type: ignore[no-any-return]

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, …) to (B, outputs)."""
        x = self.dropout(self.activation(self.entry(inputs.flatten(1))))  # (B, W)
        return self.output(self.pass_blocks(x))  # type: ignore[no-any-return]


class MLP(FlatNet):
    """Blocks of `block_size` hidden layers with skips; in the plain net, without that setting, a block is one layer."""

    def __init__(self, run: Run, input_shape: tuple[int, ...], outputs: int) -> None:
        size = run.get(BLOCK_SIZE) or 1
        residual_blocks = (run.depth - 1) // size if run.get(BLOCK_SIZE) else 0
        blocks = []
        for block, start in enumerate(range(1, run.depth, size), 1):
            is_residual = block <= residual_blocks
            survival = linear_decay(block, residual_blocks, run[SURVIVAL]) if is_residual else 1.0
            numbers = range(start, min(start + size, run.depth))
            blocks.append(MLPBlock(run, numbers, is_residual=is_residual, survival=survival))
        super().__init__(run, input_shape, outputs, blocks, run[DROPOUT])


def layer_names(depth: int, block_size: int | None) -> list[str]:
    """The module names of the hidden layers of an `MLP`, in order."""
    places = [divmod(number, block_size or 1) for number in range(depth - 1)]
    return ["entry.0", *(f"blocks.{block}.layers.{index}.0" for block, index in places)]


def scale_name(layer: int, block_size: int) -> str:
    """The module name, in an `MLP`, of the scale of the residual branch that hidden layer `layer`, from 0, ends."""
    return f"blocks.{layer // block_size - 1}.branch_scale"


_DEFAULTS = {"batch_norm": False, "init": "default"}
_EVERY_DEPTH = DepthRule(first=1, step=1, formula="n")

MODELS = (
    Model(
        name="plain-mlp",
        title="plain MLP",
        paper="Kowsik 2021",
        family="mlp",
        role="plain",
        depth_rule=_EVERY_DEPTH,
        settings=COMMON,
        can_stack=True,
        defaults=_DEFAULTS,
        build=MLP,
    ),
    Model(
        name="residual-mlp",
        title="residual MLP, a skip over every k layers",
        paper="Kowsik 2021; He et al. 2015, eq. 1",
        family="mlp",
        role="residual",
        depth_rule=_EVERY_DEPTH,
        settings=(*COMMON, BLOCK_SIZE, SURVIVAL, BRANCH_SCALE),
        can_stack=True,
        defaults=_DEFAULTS | {"block_size": 3},
        build=MLP,
    ),
)
