"""Fixed, stratified draws of examples, and statistics of images."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.seeding import derive_seed
from resnet_cli.tasks.settings import TRAIN_SIZE


def generator(*names: object) -> torch.Generator:
    """The random generator called `names`. It belongs to the data, so it never depends on a run's seed."""
    return torch.Generator().manual_seed(derive_seed(0, *names))


def stratified_order(labels: Tensor, random: torch.Generator) -> Tensor:
    """A random order of examples in which the first m have the same class proportions as the whole, for every m.

    Each class is shuffled and then spread evenly over the order: a class with n of the N examples has n·m/N, give or
    take one, among the first m.

    Args:
        labels: class numbers, int64 (N,).
        random: the generator of the shuffle.

    Returns:
        A permutation of 0 to N − 1, int64 (N,).
    """
    shuffled = torch.randperm(len(labels), generator=random)
    place = torch.empty(len(labels), dtype=torch.float64)
    for label in range(int(labels.max()) + 1):
        members = shuffled[labels[shuffled] == label]
        place[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    # a stable sort keeps examples that share a place in the random order of the shuffle
    return shuffled[place[shuffled].argsort(stable=True)]


def training_subset(labels: Tensor, size: int | None, task: str) -> Tensor:
    """The indices of the training examples that `--train-size` keeps, ascending, int64.

    The choice is fixed for a task and has the class proportions of the whole set; a larger subset contains every
    smaller one.

    Args:
        labels: classes of all training examples, int64 (N,).
        size: how many to keep; None keeps all.
        task: the task's name, from which the random generator is derived.

    Raises:
        UserError: `size` exceeds N.
    """
    if size is None:
        return torch.arange(len(labels))
    if size > len(labels):
        raise UserError(
            f"train_size (={size}) must be at most {len(labels):,}, the number of training examples of {task}; "
            "lower it, or leave it out to use all of them."
        )
    return stratified_order(labels, generator(task, TRAIN_SIZE.name))[:size].sort().values


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of uint8 images (N, C, H, W), on the scale 0 to 1.

    Both are float32 (C,). They are computed from the counts of the 256 values, so they are exact up to the final
    rounding.
    """
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts: npt.NDArray[np.int64] = torch.bincount(images[:, channel].flatten(), minlength=256).numpy()
        mean = np.average(values, weights=counts)
        means.append(mean)
        deviations.append(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
    return torch.tensor(means, dtype=torch.float32), torch.tensor(deviations, dtype=torch.float32)
