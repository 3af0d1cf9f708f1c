"""Shattered gradients: how fast the gradient of an untrained net changes with its input.

Balduzzi et al. 2017, "The Shattered Gradients Problem: If resnets are the answer, then what is the question?" (arXiv
1702.08591). Of a net with one input x and one output f(x), the gradient f'(x) is a function of x. In shallow nets it
resembles Brownian motion: inputs close to each other have similar gradients. In deep plain nets it resembles white
noise, although batch norm keeps its size: a gradient then says nothing about the loss a small step away.

**Three kinds of nets**, with and without batch norm, the input drawn from the range of the sine task. In a net of depth
d, d layers have a ReLU:

    plain            layer, (norm), ReLU, d times
    residual         the residual MLP of this program: skips over three layers, and a ReLU after each addition
    pre-activation   the nets of the paper's theorems: x + layer(ReLU(norm(x))), d - 1 times after a first layer, and
                     nothing after the addition; before the output, norm and ReLU

**What is compared with the theory.** The theorems give E[g(x) g(x')] / E[g(x)²] for a pair of inputs, where the mean is
over random nets. `correlation` is its estimate of one net: the mean of g(x) g(x') over all pairs of different inputs of
the grid, divided by the mean of g²; means over seeds follow. The theorems assume that

- weights are normal, of variance 2/fan-in (He et al. 2015), independent of which units are active;
- a unit is active at half of the inputs, and of the units active at one input a half is active at any other (`shared`
  is the measured share);
- nets are wide, and nothing comes after an addition.

Then each ReLU halves the covariance of gradients relative to their variance, and a skip adds 1 to both: for L layers
the correlation is 2⁻ᴸ in plain nets (Theorem 1); (3/4)ᴸ with a skip around each layer (Theorem 2); and about 1/√L with
batch norm as well, because the l-th layer then adds a share of 1/l only (Theorem 3). `predicted` is this argument for
the nets measured here. There is no theorem about the residual nets of this program, whose skips end before a ReLU.

Where the nets measured here differ: with He's variance all biases are zero, and without batch norm the gradient of such
a net of one input has two values only, one on either side of zero. So nets without batch norm start as PyTorch's layers
do, uniform ±1/√fan-in with biases, a sixth of He's gain. In nets with batch norm, biases have no effect. And pairs of
inputs on one line are not typical: the mean gradient over a range is the slope from one end to the other, so gradients
at some distance oppose each other where f is bounded.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from resnet_cli.analysis.trained_nets import hooked
from resnet_cli.models import build_net
from resnet_cli.models.initialisation import initialise, weight_std
from resnet_cli.models.mlp import build_layer
from resnet_cli.models.settings import BATCH_NORM, INIT, WIDTH, Independent
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.run import Run
from resnet_cli.tasks.sine import SINE_RANGE

Kind = Literal["plain", "residual", "pre-activation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
INITS: dict[bool, Independent] = {False: "default", True: "he"}
"""The initialisation of nets without and with batch norm."""
POINTS = 1024
LAGS = tuple(2**power for power in range(10))


def make_run(kind: Kind, depth: int, *, batch_norm: bool, width: int | None = None) -> Run:
    """A run of the sine with seed 0: a residual net's, or the plain one's, whose settings pre-activation nets have."""
    model = "residual" if kind == "residual" else "plain"
    request: dict[str, Any] = {"task": "sine", "models": model, "depths": depth, "seeds": 0}
    request |= {BATCH_NORM.name: batch_norm, INIT.name: INITS[batch_norm]}
    (run,) = plan_sweep(request | ({} if width is None else {WIDTH.name: width})).runs
    return run


class PreActivationBlock(nn.Module):
    """x + layer(ReLU(norm(x))): nothing comes after the addition (Balduzzi et al. 2017; He et al. 2016, Fig. 4e)."""

    def __init__(self, run: Run, number: int) -> None:
        super().__init__()
        self.norm = _norm_of(run)
        self.layer = build_layer(run, run[WIDTH], run[WIDTH], number)[0]

    def forward(self, x: Tensor) -> Tensor:
        """(B, W) to (B, W)."""
        return x + self.layer(self.norm(x).relu())  # type: ignore[no-any-return]


def _norm_of(run: Run) -> nn.Module:
    return nn.BatchNorm1d(run[WIDTH]) if run[BATCH_NORM] else nn.Identity()


def make_net(kind: Kind, run: Run) -> nn.Module:
    """A net of one input and one output with its initial values, in double precision."""
    if kind != "pre-activation":
        return build_net(run, (1,), 1).double()
    blocks = [PreActivationBlock(run, number) for number in range(1, run.depth)]
    net = nn.Sequential(build_layer(run, 1, run[WIDTH], 0), *blocks, _norm_of(run), nn.ReLU(), nn.Linear(run[WIDTH], 1))
    initialise(net, run[INIT], run.seed)
    return net.double()


def input_gradients(net: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of a net's output at each of some inputs, (B,), and which hidden units are active, (B, units).

    Batch norm uses the mean and variance of all `inputs`, (B, 1), as constants, so each output depends on its own input
    only. The net is left in evaluation mode with these statistics.
    """
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 1.0
    with torch.no_grad():
        net.train()(inputs)
    net.eval()
    _, *others = (module for module in net.modules() if isinstance(module, nn.Linear))
    active: list[Tensor] = []

    def note(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        active.append(args[0] > 0)

    with hooked(module.register_forward_pre_hook(note) for module in others):
        inputs = inputs.clone().requires_grad_()
        (gradients,) = torch.autograd.grad(net(inputs).sum(), inputs)
    return gradients[:, 0], torch.cat(active, dim=1)


def autocorrelation(values: np.ndarray) -> np.ndarray:
    """The correlation of a sequence, (n,), with itself shifted by 0 to n - 1 places; no mean is subtracted.

    It is 1 at all shifts if all values are equal, and 0 on average for white noise. Of zeros, as at the ends of the
    gradient of a net whose units are all closed there, it is nan.
    """
    squares = np.cumsum(values**2)
    first, last = squares[::-1], squares[-1] - np.append(0.0, squares[:-1])
    scale = np.sqrt(np.maximum(first * last, 0.0))
    products = np.correlate(values, values, "full")[len(values) - 1 :]
    found: np.ndarray = np.divide(products, scale, out=np.full(len(values), math.nan), where=scale > 0)
    return found


def mean_over_pairs(values: np.ndarray) -> float:
    """The mean product of two different members of a sequence, (n,), as a share of the mean square."""
    squares = float((values**2).sum())
    return (float(values.sum()) ** 2 - squares) / squares / (len(values) - 1) if squares else math.nan


def reach(correlations: np.ndarray) -> float:
    """The shift, interpolated, at which an autocorrelation first falls below a half; nan if it never does."""
    below = np.flatnonzero(correlations < 0.5)
    if not below.size:
        return math.nan
    before, after = correlations[below[0] - 1], correlations[below[0]]
    return float(below[0] - (0.5 - after) / (before - after))


def shared_activity(active: np.ndarray) -> float:
    """Of the units active at one input, the share that is active at another one too: (B, units), over all pairs."""
    counts, inputs = active.sum(axis=0), len(active)
    return float((counts * (counts - 1)).sum() / (inputs - 1) / counts.sum()) if counts.any() else math.nan


def predicted(kind: Kind, depth: int, *, batch_norm: bool, gain: float = 1.0) -> float:
    """The correlation of gradients that the paper's argument gives; nan for residual nets with a ReLU after additions.

    `gain` is by what a layer and its ReLU multiply the mean square: half of fan-in times the variance of weights, 1
    with He's. With it, a skip around each layer makes of the correlation, layer by layer,

        (1 + gain/2) / (1 + gain)                         without batch norm: 3/4 (Theorem 2)
        (1 + gain/2v) / (1 + gain/v), v = 1 + gain (l-1)  with it, where v is the variance before layer l: of the order
                                                          of 1/√L for L layers (Theorem 3)

    and the one ReLU outside of all blocks halves it, as each of a plain net's ReLUs does (Theorem 1).
    """
    if kind == "plain":
        return 0.5**depth
    if kind == "residual":
        return math.nan
    shares = [gain / (1 + gain * block if batch_norm else 1) for block in range(depth - 1)]
    return 0.5 * math.prod((1 + share / 2) / (1 + share) for share in shares)


def combinations(depths: Sequence[int]) -> list[tuple[bool, Kind, int]]:
    """Batch norm, kind and depth of the nets, in the order in which they are measured."""
    return list(itertools.product(INITS, KINDS, depths))


def measure(depths: Sequence[int], seeds: Sequence[int], width: int | None = None) -> Iterator[pd.DataFrame]:
    """The gradients of untrained nets over a grid of `POINTS` inputs from end to end of the sine task's range.

    Args:
        depths: of the nets.
        seeds: of their initial values.
        width: units per hidden layer; None is that of the sine task.

    Yields:
        For each of `combinations` a frame with one row per value: `kind`, `batch_norm`, `depth`, `seed`, `quantity`,
        `at` and `value`. Quantities are `autocorrelation` at a distance of inputs; `reach` (the distance at which that
        falls below a half), `correlation` (over all pairs), `predicted` (by the theory) and `shared` (see above), at
        nan; and of the first seed at the greatest depth the `gradient` at an input, as a multiple of its root mean
        square.
    """
    for batch_norm, kind, depth in combinations(depths):
        run = make_run(kind, depth, batch_norm=batch_norm, width=width)
        end = run[SINE_RANGE]
        inputs = torch.linspace(-end, end, POINTS, dtype=torch.float64)[:, None]
        gap = 2 * end / (POINTS - 1)
        gain = run[WIDTH] * weight_std(INITS[batch_norm], run[WIDTH], run[WIDTH]) ** 2 / 2
        rows: list[tuple[int, str, float, float]] = []
        for seed in seeds:
            gradients, active = (
                values.numpy() for values in input_gradients(make_net(kind, run.with_seed(seed)), inputs)
            )
            curve = autocorrelation(gradients)
            rows += [(seed, "autocorrelation", gap * lag, float(curve[lag])) for lag in LAGS]
            of_net = {
                "reach": gap * reach(curve),
                "correlation": mean_over_pairs(gradients),
                "predicted": predicted(kind, depth, batch_norm=batch_norm, gain=gain),
                "shared": shared_activity(active),
            }
            rows += [(seed, name, math.nan, value) for name, value in of_net.items()]
            if depth == max(depths) and seed == seeds[0]:
                scaled = gradients / (np.sqrt(np.mean(gradients**2)) or 1.0)  # of a net without active units all are 0
                rows += [(seed, "gradient", *pair) for pair in zip(inputs[:, 0].tolist(), scaled.tolist(), strict=True)]
        frame = pd.DataFrame(rows, columns=["seed", "quantity", "at", "value"])
        for place, (name, value) in enumerate({"kind": kind, BATCH_NORM.name: batch_norm, "depth": depth}.items()):
            frame.insert(place, name, value)
        yield frame


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds in a row for each `batch_norm`, `kind` and `depth`; of `reach`, the median.

    Beside it stand `neighbours`, the autocorrelation at the least distance, `correlation`, `predicted` and `shared`.
    """
    cell = [BATCH_NORM.name, "kind", "depth"]
    nearest = frame[frame["quantity"] == "autocorrelation"]
    nearest = nearest[nearest["at"] == nearest["at"].min()].groupby(cell, sort=False)["value"].mean()
    of_nets = frame[frame["at"].isna()]
    means = of_nets.pivot_table("value", cell, "quantity", "mean", sort=False, dropna=False)
    reached = of_nets[of_nets["quantity"] == "reach"].groupby(cell, sort=False)["value"].median()
    found = means.assign(neighbours=nearest, reach=reached)
    return found[["neighbours", "reach", "correlation", "predicted", "shared"]].reset_index()
