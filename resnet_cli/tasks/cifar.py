"""What CIFAR-10 and CIFAR-100 share: their binary records, and the recipe of He et al. 2015.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009): colour images of 32×32 pixels, in records of
classes and 3 × 1024 bytes for the red, green and blue planes, row by row. Defaults are those of "Deep Residual Learning
for Image Recognition" (arXiv 1512.03385), section 4.2.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from resnet_cli.settings.run import Run
from resnet_cli.tasks.archive import Archive, Part
from resnet_cli.tasks.base import Task
from resnet_cli.tasks.settings import AUGMENT, CLASSES, IMAGE_SIZE, NORMALISATION, TRAIN_SIZE, VALIDATION_SIZE

if TYPE_CHECKING:
    from torch import Tensor

    from resnet_cli.tasks.data import Data

IMAGE_BYTES = 3 * 32 * 32


def make_task(archive: Archive) -> Task:
    """The task of learning the last class in each record of an archive."""

    def load(run: Run, data_dir: Path | None = None) -> "Data":
        return load_images(archive, run, data_dir)

    classes = archive.classes[-1]
    train, test = (len(part.files) * part.records for part in (archive.train, archive.test))
    return Task(
        name=archive.task,
        title=archive.title,
        source="Krizhevsky 2009",
        families=("cnn", "mlp"),
        shape=(3, 32, 32),
        outputs=classes,
        train_examples=train,
        test_examples=test,
        class_sizes=([train // classes] * classes, [test // classes] * classes),
        settings=(TRAIN_SIZE, VALIDATION_SIZE, IMAGE_SIZE, AUGMENT, NORMALISATION, CLASSES),
        default_depths={"cnn": "20,32,44,56", "mlp": "2..20"},
        default_seeds="0",
        load=load,
        defaults={
            "image_size": 32,
            "augment": True,
            "optimizer": "momentum",
            "momentum": 0.9,
            "learning_rate": 0.1,
            "weight_decay": 1e-4,
            "batch_size": 128,
            "epochs": 164,  # of 390 batches: the 64k steps of He15
            "eval_every": 1,
            "schedule": "steps",
            "milestones": "0.5/0.75",  # 32k and 48k steps
            "decay_factor": 0.1,
        },
        family_defaults={"cnn": {"width": 16}, "mlp": {"width": 256, "learning_rate": 0.01}},
        archive=archive,
    )


def load_images(archive: Archive, run: Run, data_dir: Path | None) -> "Data":
    """The images, uint8 (N, 3, S, S) with S = `image_size`, and their last classes.

    Raises:
        UserError: the files are missing or broken, or there are fewer training images than `train_size` and
            `validation_size` together.
    """
    from resnet_cli.tasks.data.sampling import labelled_images

    folder, size = archive.place(data_dir), run[IMAGE_SIZE]
    train, test = (_read_part(archive, folder, part, size) for part in (archive.train, archive.test))
    padding = size // 8 if run[AUGMENT] else 0  # 4 pixels of 32, as in He15
    return labelled_images(run, train, test, archive.classes[-1], padding)


def _read_part(archive: Archive, folder: Path, part: Part, size: int) -> "tuple[Tensor, Tensor]":
    """Images, uint8 (N, 3, size, size), and classes, int64 (N,), of some files, in their order."""
    import torch

    images = torch.empty(len(part.files) * part.records, 3, size, size, dtype=torch.uint8)
    labels = torch.empty(len(images), dtype=torch.int64)
    for number, name in enumerate(part.files):
        records = torch.from_numpy(archive.read(folder / name, part.records))
        place = slice(number * part.records, (number + 1) * part.records)
        labels[place] = records[:, -IMAGE_BYTES - 1]
        images[place] = _shrink(records[:, -IMAGE_BYTES:].reshape(-1, 3, 32, 32), size)
    return images, labels


def _shrink(images: "Tensor", size: int) -> "Tensor":
    """Images (N, 3, 32, 32) averaged over squares of pixels to (N, 3, size, size), halves rounded up."""
    import torch

    side = 32 // size
    if side == 1:
        return images
    sums = images.reshape(-1, 3, size, side, size, side).sum(dim=(3, 5), dtype=torch.int16)
    return ((sums + side**2 // 2) // side**2).to(torch.uint8)
