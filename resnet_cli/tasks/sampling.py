"""Fixed draws of examples, class by class."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resnet_cli.spec.errors import UserError
from resnet_cli.spec.seeding import derive_seed


def generator(*names: object) -> torch.Generator:
    """The random stream called `names`. It belongs to the data, so it never depends on a run's seed."""
    return torch.Generator().manual_seed(derive_seed(0, *names))


def stratified_order(labels: Tensor, random: torch.Generator) -> Tensor:
    """A random order of examples in which every beginning has the classes in the proportions of the whole.

    Each class is shuffled and then spread evenly over the order: among the first m of N examples a class of n
    has n·m/N, give or take one.

    Args:
        labels: class numbers, int64 (N,).
        random: the stream of the draw.

    Returns:
        A permutation of 0 to N − 1, int64 (N,).
    """
    shuffled = torch.randperm(len(labels), generator=random)
    place = torch.empty(len(labels), dtype=torch.float64)
    for label in range(int(labels.max()) + 1):
        members = shuffled[labels[shuffled] == label]
        place[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    # a stable sort leaves classes that share a place in the random order of the shuffle
    return shuffled[place[shuffled].argsort(stable=True)]


def training_subset(labels: Tensor, size: int | None, task: str) -> Tensor:
    """The places of the training examples that `--train-size` keeps, ascending, int64.

    The choice is fixed for a task, has the classes in the proportions of the whole set, and a larger one
    contains every smaller one.

    Args:
        labels: classes of all training examples, int64 (N,).
        size: how many to keep; None keeps all.
        task: the task's name, which names the random stream.

    Raises:
        UserError: `size` exceeds N.
    """
    if size is None:
        return torch.arange(len(labels))
    if size > len(labels):
        raise UserError(
            f"train_size (={size}) must be at most {len(labels):,}, the training examples of {task}; "
            "lower it, or leave it out to use all of them."
        )
    return stratified_order(labels, generator(task, "train_size"))[:size].sort().values


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of uint8 images (N, C, H, W), on the scale 0 to 1.

    Both are exact up to the final rounding (computed from the counts of the 256 values) and float32 (C,).
    """
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts: npt.NDArray[np.int64] = torch.bincount(images[:, channel].flatten(), minlength=256).numpy()
        mean = np.average(values, weights=counts)
        means.append(mean)
        deviations.append(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
    return torch.tensor(means, dtype=torch.float32), torch.tensor(deviations, dtype=torch.float32)
