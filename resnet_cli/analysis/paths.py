"""Gradients along single paths of a residual net, by the length of the path.

Veit et al. 2016, "Residual Networks Behave Like Ensembles of Relatively Shallow Networks" (arXiv 1605.06431, §5,
Fig. 6). Activations pass through the branch and through the shortcut of a residual block, so L blocks make 2^L paths.
C(L, k) of these go through k branches; k is the length of a path. With the forward pass held fixed, the gradient of the
loss with respect to the net's input is the sum of the gradients along all paths. Paths are sampled as in the paper: a
batch is passed through the whole net, and in the backward pass the gradient flows through the branches of k blocks and
through the shortcuts of the others.

The number of paths times the mean norm of their gradients, the paper's total gradient magnitude, is an upper bound on
the norm of the sum of their gradients, since gradients of different paths may cancel.
"""

from collections.abc import Sequence
from math import comb

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from resnet_cli.analysis.trained_nets import (
    Route,
    StoredNet,
    addition_of,
    blocks_of,
    gradient_through,
    norm_of,
    table_of,
)
from resnet_cli.figures.paths import effective_range, over_seeds
from resnet_cli.models import describe_net
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.settings.seeding import derive_seed
from resnet_cli.store.reader import Results
from resnet_cli.store.record import RunRecord
from resnet_cli.tasks import get_task

MOST_ROWS = 6
BATCH = 32
"""Number of training examples in a batch."""


def with_paths(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs whose nets have residual blocks; UserError if there are none."""
    found = [stored for stored in runs if _has_residual_blocks(stored.run)]
    if not found:
        models = ", ".join(sorted({stored.run.model for stored in runs}))
        raise UserError(
            f"The nets selected ({models}) have no residual blocks, so each has only a single path; "
            "select residual nets with --models or --depths."
        )
    return found


def check_rows(results: Results) -> None:
    """Raise UserError where the nets have more models or settings than one figure shows."""
    rows = {tuple(stored.run.get(name) for name in ("model", *results.varying)) for stored in results.runs}
    if len(rows) > MOST_ROWS:
        raise UserError(
            f"{results.folder} holds residual nets of {len(rows)} models or settings, but one figure shows at most "
            f"{MOST_ROWS}; select some with --models."
        )


def count_paths(blocks: int) -> list[int]:
    """The number of paths of each length, from 0 to `blocks`, through `blocks` residual blocks."""
    return [comb(blocks, length) for length in range(blocks + 1)]


def measure_paths(stored: StoredNet, *, draws: int, settings: Sequence[str] = ()) -> pd.DataFrame:
    """Gradient norms of random paths of every length, at the input of a net in evaluation mode.

    A draw is a random batch of training examples and a random order of the residual blocks; its path of length k goes
    through the branches of the first k of them. So all paths of a length are equally likely, and all lengths are
    compared on the same batches. Blocks that are not residual belong to every path.

    Returns one row per length:

        run_id, task, model, depth, seed, and the `settings`
        blocks           number of residual blocks in the net, L
        length           of the path, k
        paths            exact number of paths of this length, a Python int
        path_share       their share of all 2^L paths
        draws            number of paths measured
        gradient         norm of the gradient of a batch's mean loss, averaged over draws
        gradient_low     its 10th percentile
        gradient_high    its 90th percentile
        gradient_share   paths × gradient, as a share of the sum over all lengths

    Raises:
        UserError: the net has no residual block, or no gradient reaches its input.
    """
    places = blocks_of(stored)
    residual = [block.index for block in places if block.is_residual]
    if not residual:
        raise UserError(f"{stored.label} has no residual block, so it has only a single path; choose a residual net.")
    norms: list[list[float]] = []
    for draw in range(draws):
        generator = torch.Generator().manual_seed(derive_seed(stored.run.seed, "paths", draw))
        inputs, targets = _random_batch(stored, generator)
        routes: list[Route] = ["skip" if block.is_residual else "both" for block in places]
        norms.append([norm_of(path_gradient(stored, inputs, targets, routes))])
        for position in torch.randperm(len(residual), generator=generator).tolist():
            routes[residual[position]] = "branch"
            norms[-1].append(norm_of(path_gradient(stored, inputs, targets, routes)))

    paths = count_paths(len(residual))
    path_shares = np.array([number / 2 ** len(residual) for number in paths])
    measured = np.array(norms)  # (draws, L + 1)
    gradients = measured.mean(axis=0)
    totals = path_shares * gradients
    if not totals.sum() > 0:
        raise UserError(f"No gradient reaches the input of {stored.label}; choose a net that has learned something.")
    columns = {
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
    return table_of(stored.run, columns, settings)


def path_gradient(stored: StoredNet, inputs: Tensor, targets: Tensor, routes: Sequence[Route]) -> Tensor:
    """The gradient of the mean loss with respect to `inputs`, (B, …), along the given route through each block.

    `targets` are (B,) or (B, outputs). The route through a block that is not residual must be `both`.
    """
    with gradient_through(stored, routes):
        inputs = inputs.detach().requires_grad_()
        loss = stored.data.losses(stored.net(inputs), targets).mean()
    (gradient,) = torch.autograd.grad(loss, inputs)
    return gradient


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """What the figure of paths shows, in numbers.

    A row for each net: `heading` and `depth` as in the figure, `blocks`, `seeds`, the shortest ranges of lengths that
    contain 95 % of the paths (`first_path` to `last_path`) and of the total gradient magnitude (`first` to `last`), the
    share of all paths in the latter range (`path_share`), and the factor by which one more block multiplies the
    gradient (`factor`, the geometric mean over all lengths).
    """
    rows = []
    for (heading, depth), line in over_seeds(frame).groupby(["heading", "depth"], sort=False):
        line = line.set_index("length")
        blocks = int(line.index[-1])
        first_path, last_path = effective_range(line["path_share"])
        first, last = effective_range(line["gradient_share"])
        with np.errstate(divide="ignore"):  # where no gradient flows through the shortcuts alone
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
    return data.prepare(data.train_inputs[chosen]), data.train_targets[chosen]
