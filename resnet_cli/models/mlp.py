"""Multi-layer perceptrons, plain and with a weightless skip over every k layers.

The residual net is the one of Kowsik (2021), "Residual Neural Networks", which follows He et al. 2015
(arXiv 1512.03385, eq. 1): a block's input is added to the block's last pre-activation. Stochastic depth as in Huang et
al. 2016 (arXiv 1603.09382).

Depth d means d hidden layers, then a linear output (W = width):

    d = 1:  in→W, W→out
    d = 2:  in→W, W→W, W→out
    d = 3:  in→W, W→W, W→W, W→out

Hidden layers 2 to d fall into blocks of k from the front; an incomplete last block has no skip, so a residual net of
depth ≤ k is the plain net.
"""

import itertools
import math

from torch import Tensor, nn

from resnet_cli.models.base import ACTIVATIONS, SURVIVAL, Dropout, Model, StochasticDepth, linear_decay
from resnet_cli.spec.ranges import DepthRule
from resnet_cli.spec.run import Run


class MLP(nn.Module):
    """`depth` hidden layers of `width` units and a linear output; images are flattened.

    Args:
        block_size: hidden layers that each skip spans; None builds the plain net.
    """

    def __init__(self, run: Run, input_shape: tuple[int, ...], outputs: int, block_size: int | None) -> None:
        super().__init__()
        features = [math.prod(input_shape)] + [run.width] * run.depth
        # Batch norm makes a bias before it redundant; without it the bias stays.
        self.hidden = nn.ModuleList(
            nn.Linear(n_in, n_out, bias=not run.batch_norm) for n_in, n_out in itertools.pairwise(features)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm1d(run.width) if run.batch_norm else nn.Identity() for _ in range(run.depth)
        )
        self.output = nn.Linear(run.width, outputs)
        self.dropout = Dropout(run.dropout)
        self.activation = ACTIVATIONS[run.activation]
        self.block_size = block_size or run.depth
        blocks = (run.depth - 1) // self.block_size
        survivals = [linear_decay(block, blocks, run["survival"]) for block in range(1, blocks + 1)]
        self.stochastic_depths = nn.ModuleList([StochasticDepth(survival) for survival in survivals])

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, …) to (B, outputs)."""
        signal = self._activated(self._pre_activation(0, inputs.flatten(1)))  # (B, W)
        first = 1
        for stochastic_depth in self.stochastic_depths:
            assert isinstance(stochastic_depth, StochasticDepth)
            pre_activation = signal
            if stochastic_depth.is_kept():
                branch = signal
                last = first + self.block_size - 1
                for index in range(first, last):
                    branch = self._activated(self._pre_activation(index, branch))
                pre_activation = stochastic_depth(self._pre_activation(last, branch)) + signal
            signal = self._activated(pre_activation)
            first += self.block_size
        for index in range(first, len(self.hidden)):
            signal = self._activated(self._pre_activation(index, signal))
        return self.output(signal)  # type: ignore[no-any-return]

    def _pre_activation(self, index: int, signal: Tensor) -> Tensor:
        return self.norms[index](self.hidden[index](signal))  # type: ignore[no-any-return]

    def _activated(self, pre_activation: Tensor) -> Tensor:
        return self.dropout(self.activation(pre_activation))  # type: ignore[no-any-return]


def _plain(run: Run, input_shape: tuple[int, ...], outputs: int) -> MLP:
    return MLP(run, input_shape, outputs, block_size=None)


def _residual(run: Run, input_shape: tuple[int, ...], outputs: int) -> MLP:
    return MLP(run, input_shape, outputs, block_size=run.block_size)


_SETTINGS = frozenset({"width", "activation", "batch_norm", "dropout", "init", "init_std"})
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
        settings=_SETTINGS,
        defaults=_DEFAULTS,
        build=_plain,
    ),
    Model(
        name="residual-mlp",
        title="residual MLP, a skip over every k layers",
        paper="Kowsik 2021; He et al. 2015, eq. 1",
        family="mlp",
        role="residual",
        depth_rule=_EVERY_DEPTH,
        settings=_SETTINGS | {"block_size"},
        options=(SURVIVAL,),
        defaults=_DEFAULTS | {"block_size": 3},
        build=_residual,
    ),
)
