"""Gradients along single paths of a residual net, by the length of the path.

Veit et al. 2016, "Residual Networks Behave Like Ensembles of Relatively Shallow Networks" (arXiv 1605.06431, §5,
Fig. 6). A residual block hands its signal on through its branch and through its shortcut, so L blocks make 2^L paths,
of which C(L, k) pass k branches: the length of a path. With the forward pass held fixed, the gradient of the loss at
the net's input is the sum of the gradients that come along the single paths. A path is drawn as in the paper: a batch
passes the whole net, and on the way back the gradient takes the branches of k blocks and the shortcuts of the others.

The number of paths times the mean norm of their gradients, the paper's total gradient magnitude, is an upper bound for
the norm of what they bring together, since gradients of different paths may cancel.
"""

from collections.abc import Sequence
from math import comb

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from resnet_cli.analysis.nets import Route, StoredNet, addition_of, blocks_of, gradient_through
from resnet_cli.figures.paths import effective_range, over_seeds
from resnet_cli.models import describe_net
from resnet_cli.spec.errors import UserError
from resnet_cli.spec.run import IDENTITY, Run
from resnet_cli.spec.seeding import derive_seed
from resnet_cli.store.reader import StoredRun
from resnet_cli.tasks import get_task

BATCH = 32
"""Training examples in a batch."""


def with_paths(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """Those of some runs whose nets have residual blocks.

    Raises:
        UserError: there are none.
    """
    found = [stored for stored in runs if _has_residual_blocks(stored.run)]
    if not found:
        models = ", ".join(sorted({stored.run.model for stored in runs}))
        raise UserError(
            f"The nets selected ({models}) have no residual blocks, so a single path leads through each; "
            "select residual nets with --models or --depths."
        )
    return found


def count_paths(blocks: int) -> list[int]:
    """The number of paths of each length, from 0 to `blocks`, through so many residual blocks."""
    return [comb(blocks, length) for length in range(blocks + 1)]


def measure_paths(stored: StoredNet, *, draws: int, settings: Sequence[str] = ()) -> pd.DataFrame:
    """Gradient norms of random paths of every length, at the input of a net in evaluation mode.

    A draw is a random batch of training examples and a random order of the residual blocks; its path of length k takes
    the branches of the first k of them. So all paths of a length are equally likely, and all lengths are compared on
    the same batches. Blocks that are not residual belong to every path.

    Returns one row per length:

        run_id, task, model, depth, seed, and the `settings`
        blocks           residual blocks of the net, L
        length           of the path, k
        paths            their exact number, a Python int
        path_share       of all 2^L paths
        draws            paths measured
        gradient         norm of the gradient of a batch's mean loss, mean over draws
        gradient_low     its 10th percentile
        gradient_high    its 90th percentile
        gradient_share   paths × gradient, as a share of the sum over all lengths

    Raises:
        UserError: the net has no residual block, or no gradient reaches its input.
    """
    places = blocks_of(stored)
    residual = [block.index for block in places if block.is_residual]
    if not residual:
        raise UserError(
            f"{stored.label} has no residual block, so a single path leads through it; take a residual net."
        )
    norms: list[list[float]] = []
    for draw in range(draws):
        generator = torch.Generator().manual_seed(derive_seed(stored.run.seed, "paths", draw))
        inputs, targets = _random_batch(stored, generator)
        routes: list[Route] = ["skip" if block.is_residual else "both" for block in places]
        norms.append([_norm(path_gradient(stored, inputs, targets, routes))])
        for position in torch.randperm(len(residual), generator=generator).tolist():
            routes[residual[position]] = "branch"
            norms[-1].append(_norm(path_gradient(stored, inputs, targets, routes)))

    paths = count_paths(len(residual))
    path_shares = np.array([number / 2 ** len(residual) for number in paths])
    measured = np.array(norms)  # (draws, L + 1)
    gradients = measured.mean(axis=0)
    totals = path_shares * gradients
    if not totals.sum() > 0:
        raise UserError(f"No gradient reaches the input of {stored.label}; take a net that has learned something.")
    identity = {"run_id": stored.run.run_id} | {name: stored.run[name] for name in (*IDENTITY, *settings)}
    return pd.DataFrame(
        identity
        | {
            "blocks": len(residual),
            "length": range(len(paths)),
            "paths": pd.Series(paths, dtype=object),
            "path_share": path_shares,
            "draws": draws,
            "gradient": gradients,
            "gradient_low": np.quantile(measured, 0.1, axis=0),
            "gradient_high": np.quantile(measured, 0.9, axis=0),
            "gradient_share": totals / totals.sum(),
        }
    )


def path_gradient(stored: StoredNet, inputs: Tensor, targets: Tensor, routes: Sequence[Route]) -> Tensor:
    """The gradient of the mean loss at `inputs`, in their shape, that comes back by one route through each block.

    Args:
        stored: the net.
        inputs: what it reads, (B, …).
        targets: (B,) or (B, outputs).
        routes: one for each block; a block that is not residual has `both` only.
    """
    with gradient_through(stored, routes):
        entered = inputs.detach().requires_grad_()
        loss = stored.data.losses(stored.net(entered), targets).mean()
    (gradient,) = torch.autograd.grad(loss, entered)
    return gradient


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """What the figure of paths shows, in numbers.

    Args:
        frame: as the figure takes it.

    Returns:
        One row per net: `heading` and `depth` as in the figure, `blocks`, `seeds`, the shortest ranges of lengths that
        hold 95 % of the paths (`first_path` to `last_path`) and of the total gradient magnitude (`first` to `last`),
        the latter's share of all paths (`path_share`), and what a block more multiplies the gradient by (`factor`, the
        geometric mean over all lengths).
    """
    rows = []
    for (heading, depth), line in over_seeds(frame).groupby(["heading", "depth"], sort=False):
        line = line.set_index("length")
        blocks = int(line.index[-1])
        first_path, last_path = effective_range(line["path_share"])
        first, last = effective_range(line["gradient_share"])
        with np.errstate(divide="ignore"):  # where no gradient comes by the shortcuts alone
            factor = (line["gradient"].iloc[-1] / line["gradient"].iloc[0]) ** (1 / blocks)
        rows.append(
            {
                "heading": heading,
                "depth": depth,
                "blocks": blocks,
                "seeds": line["seeds"].iloc[0],
                "first_path": first_path,
                "last_path": last_path,
                "first": first,
                "last": last,
                "path_share": line.loc[first:last, "path_share"].sum(),
                "factor": factor,
            }
        )
    return pd.DataFrame(rows)


def _has_residual_blocks(run: Run) -> bool:
    task = get_task(run.task)
    net = describe_net(run, task.input_shape(run), task.outputs)
    return any(addition_of(block) is not None for block in getattr(net, "blocks", ()))


def _random_batch(stored: StoredNet, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    data = stored.data
    chosen = torch.randperm(len(data.train_inputs), generator=generator)[:BATCH].to(data.device)
    inputs = data.train_inputs[chosen]
    if inputs.dim() == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    return data.prepare(inputs), data.train_targets[chosen]


def _norm(gradient: Tensor) -> float:
    """In double precision: the squares of a norm of 1e-25 would be zero in float32."""
    return float(gradient.cpu().double().norm())
