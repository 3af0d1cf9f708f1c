"""Fixed, stratified draws of examples, and statistics of images."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.settings.seeding import derive_seed
from resnet_cli.tasks.data import Data
from resnet_cli.tasks.settings import CLASSES, TRAIN_SIZE, chosen_classes


def generator(*names: object) -> torch.Generator:
    """The random generator called `names`. It belongs to the data, so it never depends on a run's seed."""
    return torch.Generator().manual_seed(derive_seed(0, *names))


def stratified_order(labels: Tensor, random: torch.Generator) -> Tensor:
    """A random order of examples in which the first m have the same class proportions as the whole, for every m.

    Each class is shuffled and then spread evenly over the order: a class with n of the N examples has n·m/N, give or
    take one, among the first m. From class numbers, int64 (N,), to a permutation of 0 to N − 1, int64 (N,).
    """
    shuffled = torch.randperm(len(labels), generator=random)
    place = torch.empty(len(labels), dtype=torch.float64)
    for label in range(int(labels.max()) + 1):
        members = shuffled[labels[shuffled] == label]
        place[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    # a stable sort keeps examples that share a place in the random order of the shuffle
    return shuffled[place[shuffled].argsort(stable=True)]


def labelled_images(
    run: Run, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], classes: int, crop_padding: int = 0
) -> Data:
    """The data of a run from all images, uint8 (N, C, H, W), and their classes, int64 (N,).

    Mean and deviation are those of all training images, whatever `train_size` and `classes` keep. Classes keep their
    numbers, and a net has outputs for those that are left out, too.

    Raises:
        UserError: `train_size` exceeds the number of training images, or there is no such class.
    """
    mean, deviation = channel_statistics(train[0])
    if run.get(CLASSES) is not None:
        train, test = (_of_classes(part, chosen_classes(run, classes)) for part in (train, test))
    images, labels = train
    if (size := run.get(TRAIN_SIZE)) is not None:
        kept = training_subset(labels, size, run.task)
        images, labels = images[kept], labels[kept]
    return Data(images, labels, *test, "cross_entropy", classes, mean, deviation, crop_padding=crop_padding)


def _of_classes(part: tuple[Tensor, Tensor], chosen: list[int]) -> tuple[Tensor, Tensor]:
    """The images and labels of some classes."""
    images, labels = part
    kept = torch.isin(labels, torch.tensor(chosen))
    return images[kept], labels[kept]


def training_subset(labels: Tensor, size: int, task: str) -> Tensor:
    """The indices of the training examples that `--train-size` keeps, ascending, int64, from all classes, (N,).

    The choice is fixed for a task and has the class proportions of the whole set; a larger subset contains every
    smaller one.

    Raises:
        UserError: `size` exceeds N.
    """
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
