"""The loss around a trained net, along random directions in the space of its weights.

Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets" (arXiv 1712.09913): with θ the trained weights, and δ
and η two random directions, L(θ + xδ) is drawn for a range of x, and L(θ + xδ + yη) for a grid. Scaling the weights of
one layer up and those of another down leaves a net of ReLUs as it is, so a direction is first normalised filter by
filter (§4): each filter of δ, drawn from a normal distribution, is scaled to the norm of the same filter of θ. A filter
is the weights into one output channel or one unit. So at x = 1 the direction is as large as the weights themselves. The
paper finds the surface around plain nets of 56 layers chaotic, and that around residual nets smooth.

Batch norm is handled as in the paper's figures: directions are zero for biases and for the parameters of batch norm,
and the loss is that of evaluation mode, with the running means and variances of the trained net everywhere.

In a high-dimensional space a random direction says little, so there are several draws of both, each from a generator
of its own. Plain and residual twins with the same seed get the same draws, before normalisation.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.func import functional_call

from resnet_cli.analysis.trained_nets import StoredNet, table_of
from resnet_cli.models import get_model
from resnet_cli.settings.seeding import derive_seed
from resnet_cli.tasks import get_task

AXES = ("x", "y")
MOST_VALUES = 2**26
"""Weights and activations of so many numbers are held at once."""
RISE = 0.01
"""Valleys of a cut are told apart by a rise of this share of the constant answer's loss."""


def random_direction(weights: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """A direction in the space of a net's parameters, each filter as long as the weights' own; zero for vectors."""
    direction = {}
    for name, weight in weights.items():
        if weight.dim() <= 1:  # a bias, or the scale or the shift of batch norm
            direction[name] = torch.zeros_like(weight)
            continue
        drawn = torch.randn(weight.shape, generator=generator, device="cpu").to(weight)
        lengths = (part.flatten(1).norm(dim=1) for part in (weight, drawn))
        ratio = next(lengths) / next(lengths)
        direction[name] = drawn * ratio.view(-1, *[1] * (weight.dim() - 1))
    return direction


def directions_of(stored: StoredNet, draw: int) -> list[dict[str, Tensor]]:
    """The two directions of a net's draw number `draw`."""
    weights = {name: weight.detach() for name, weight in stored.net.named_parameters()}
    seeds = [derive_seed(stored.run.seed, "landscape", draw, axis) for axis in AXES]
    return [random_direction(weights, torch.Generator().manual_seed(seed)) for seed in seeds]


def loss_at(stored: StoredNet, directions: Sequence[Mapping[str, Tensor]], examples: int) -> Callable[[Tensor], Tensor]:
    """The training loss as a function of a place, (directions,), over the first `examples` training examples."""
    data = stored.data
    inputs, targets = data.prepare(data.train_inputs[:examples]), data.train_targets[:examples]
    weights = {name: weight.detach() for name, weight in stored.net.named_parameters()}
    buffers = dict(stored.net.named_buffers())

    def loss(place: Tensor) -> Tensor:
        moved = {
            name: weight + sum(at * direction[name] for at, direction in zip(place, directions, strict=True))
            for name, weight in weights.items()
        }
        outputs = functional_call(stored.net, (moved, buffers), (inputs,))
        return data.losses(outputs, targets).mean()

    return loss


@torch.no_grad()
def losses_at(
    stored: StoredNet, directions: Sequence[Mapping[str, Tensor]], places: np.ndarray, examples: int
) -> np.ndarray:
    """The training loss at each of some places, (places, directions).

    Those of an MLP are computed in one stacked pass, or a few if memory demands it; those of a CNN one after another,
    because a stack of convolutions is no faster.
    """
    loss = loss_at(stored, directions, examples)
    points = torch.as_tensor(places, dtype=stored.data.dtype, device=stored.data.device)
    if get_model(stored.run.model).family == "mlp":
        values = [parameter.numel() for parameter in stored.net.parameters()]
        widest = max(parameter.shape[0] for parameter in stored.net.parameters())
        chunk = max(1, MOST_VALUES // (2 * sum(values) + 4 * examples * widest))
        found: Tensor = torch.vmap(loss, chunk_size=chunk)(points)
    else:
        found = torch.stack([loss(point) for point in points])
    return found.cpu().double().numpy()


def measure_landscape(
    stored: StoredNet,
    draws: int,
    settings: Sequence[str] = (),
    *,
    cut: int,
    surface: int,
    radius: float = 1.0,
    examples: int,
) -> pd.DataFrame:
    """The loss of a trained net along random directions.

    Args:
        stored: the net.
        draws: number of draws of two directions.
        settings: names of the settings in which nets of the same depth and seed differ.
        cut: number of places on each side of the net along the first direction.
        surface: the same in a grid along both directions; 0 leaves it out.
        radius: distance of the outermost places, as a share of the weights' own lengths.
        examples: the number of training examples, from the first.

    Returns:
        One row per place: `run_id`, `task`, `model`, `depth`, `seed`, `settings`, `part` (cut or surface), `draw`, `x`,
        `y` (0 in a cut), `loss`, and `constant_loss`, the loss of the best constant answer.
    """
    frames = []
    for draw in range(draws):
        directions = directions_of(stored, draw)
        line, sides = (radius * np.arange(-steps, steps + 1) / max(steps, 1) for steps in (cut, surface))
        parts = {"cut": np.stack([line, np.zeros_like(line)], axis=1)}
        if surface:
            parts["surface"] = np.stack(np.meshgrid(sides, sides, indexing="ij"), axis=-1).reshape(-1, 2)
        for part, places in parts.items():
            found = {"part": part, "draw": draw, "x": places[:, 0], "y": places[:, 1]}
            frames.append(pd.DataFrame(found | {"loss": losses_at(stored, directions, places, examples)}))
    constant = get_task(stored.run.task).constant_answer(stored.run)["loss"]
    return table_of(stored.run, pd.concat(frames, ignore_index=True).assign(constant_loss=constant), settings)


def half_distance(distances: np.ndarray, losses: np.ndarray, level: float) -> float:
    """The distance, interpolated, at which losses first exceed a level; 0 from the start, infinite if never.

    `distances` ascend from 0; a loss that is no number is above every level.
    """
    above = np.flatnonzero(~(losses <= level))
    if not above.size:
        return math.inf
    first = above[0]
    if first == 0 or not np.isfinite(losses[first]):
        return float(distances[first])
    share = (level - losses[first - 1]) / (losses[first] - losses[first - 1])
    return float(distances[first - 1] + share * (distances[first] - distances[first - 1]))


def valleys(losses: np.ndarray, rise: float) -> int:
    """The number of valleys in a cut, between any two of which the loss rises by `rise` or more; 1 if it is convex."""
    count, falling, turn = 0, True, math.inf
    for loss in losses:
        turn = min(turn, loss) if falling else max(turn, loss)
        if falling and loss >= turn + rise:
            count, falling, turn = count + 1, False, loss
        elif not falling and loss <= turn - rise:
            falling, turn = True, loss
    return count + falling


def measure_cuts(frame: pd.DataFrame) -> pd.DataFrame:
    """What the cuts of `measure_landscape` look like: a row for each net and draw.

    Beside the net it holds `draw`, `centre` (the loss of the net itself), `half` (the distance at which the loss first
    exceeds half of the constant answer's, mean of both sides) and `valleys`.
    """
    cuts = frame[frame["part"] == "cut"]
    who = [name for name in frame if name not in ("part", "x", "y", "loss", "constant_loss")]
    rows = []
    for key, cut in cuts.groupby(who, sort=False, dropna=False):
        at, losses, level = cut["x"].to_numpy(), cut["loss"].to_numpy(), cut["constant_loss"].iloc[0]
        sides = [(at[at >= 0], losses[at >= 0]), (-at[at <= 0][::-1], losses[at <= 0][::-1])]
        found = {
            "centre": losses[at == 0][0],
            "half": float(np.mean([half_distance(*side, level / 2) for side in sides])),
            "valleys": valleys(losses, RISE * level),
        }
        rows.append(dict(zip(who, key, strict=True)) | found)
    return pd.DataFrame(rows)


def summarise(frame: pd.DataFrame, settings: Sequence[str] = ()) -> pd.DataFrame:
    """The cuts of nets in a row for each combination of `settings`, `depth` and `model`.

    It holds the numbers of `seeds` and `draws`, and medians over both of the loss at the `centre`, of `half`, with the
    lowest and the highest, and of the number of `valleys`.
    """
    group = [*settings, "depth", "model"]
    cuts = measure_cuts(frame).groupby(group, dropna=False)
    found = cuts.agg(
        seeds=("seed", "nunique"),
        draws=("draw", "nunique"),
        centre=("centre", "median"),
        half=("half", "median"),
        lowest=("half", "min"),
        highest=("half", "max"),
        valleys=("valleys", "median"),
    )
    return found.reset_index()
