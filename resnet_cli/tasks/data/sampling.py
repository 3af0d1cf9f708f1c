"""Fixed, stratified draws of examples, and statistics of images."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.settings.seeding import derive_seed
from resnet_cli.tasks.base import check_held_out
from resnet_cli.tasks.data import Data
from resnet_cli.tasks.settings import CLASSES, NORMALISATION, TRAIN_SIZE, VALIDATION_SIZE, chosen_classes


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

    Means and deviation are those of all training images, also of classes that are left out, whatever `train_size`
    keeps; where images are held out, those of the images that are left. Classes keep their numbers, and a net has
    outputs for those that are left out, too.

    Raises:
        UserError: there are fewer training images than `train_size` and `validation_size` together, or there is no such
            class.
    """
    known = train[0]
    if run.get(CLASSES) is not None:
        train, test = (_of_classes(part, chosen_classes(run, classes)) for part in (train, test))
    images, labels = train
    most = len(images)
    if (held_out := run.get(VALIDATION_SIZE)) is not None:
        left, others = validation_split(labels, held_out, run.task)
        known, test, most = images[left], (images[others], labels[others]), len(left)
    size = run.get(TRAIN_SIZE) or most
    if size > most:
        rest = f" without the {held_out:,} of {VALIDATION_SIZE.name}" if held_out else ""
        raise UserError(
            f"{TRAIN_SIZE.name} (={size}) must be at most {most:,}, the number of training examples of "
            f"{run.task}{rest}; lower it, or leave it out to use all of them."
        )
    mean, deviation = (pixel_statistics if run.get(NORMALISATION) == "pixel" else channel_statistics)(known)
    if size < len(images):
        kept = training_subset(labels, size, run.task)
        images, labels = images[kept], labels[kept]
    return Data(images, labels, *test, "cross_entropy", classes, mean, deviation, crop_padding=crop_padding)


def _of_classes(part: tuple[Tensor, Tensor], chosen: list[int]) -> tuple[Tensor, Tensor]:
    """The images and labels of some classes."""
    images, labels = part
    kept = torch.isin(labels, torch.tensor(chosen))
    return images[kept], labels[kept]


def training_subset(labels: Tensor, size: int, task: str) -> Tensor:
    """The indices of `size` training examples from all classes, ascending, int64, (size,), given those of all.

    The choice is fixed for a task and has the class proportions of the whole set; a larger subset contains every
    smaller one.
    """
    return stratified_order(labels, generator(task, TRAIN_SIZE.name))[:size].sort().values


def validation_split(labels: Tensor, held_out: int, task: str) -> tuple[Tensor, Tensor]:
    """The indices of the examples that are left for training and of those that are held out, ascending, int64.

    What is left is the training subset of that size: examples that are held out are in no smaller one either.

    Raises:
        UserError: nothing is left.
    """
    check_held_out(held_out, len(labels), task)
    left = training_subset(labels, len(labels) - held_out, task)
    is_held_out = torch.ones(len(labels), dtype=torch.bool)
    is_held_out[left] = False
    return left, is_held_out.nonzero()[:, 0]


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


def pixel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of each pixel of uint8 images (N, C, H, W), (C, H, W) on the scale 0 to 1, and a deviation of 1, (C,).

    Both are float32. The sums are whole numbers, so the mean is exact up to the final rounding.
    """
    sums = images.numpy().sum(axis=0, dtype=np.int64)  # torch would widen all images first, to 1.2 GB for CIFAR
    return torch.from_numpy(sums / (255 * len(images))).float(), torch.ones(images.shape[1])
