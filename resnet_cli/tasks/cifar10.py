"""CIFAR-10: 60,000 colour images of 32×32 pixels in ten classes, read from its binary version.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009). A file of the binary version is a
row of records, each one byte for the class and 3 × 1024 bytes for the red, green and blue planes, row by row.
Nothing is unpickled, so a file can hold nothing but pixels. Defaults are the recipe of He et al., "Deep Residual
Learning for Image Recognition" (2015, arXiv 1512.03385), section 4.2.
"""

import errno
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.request import expand_home
from resnet_cli.settings.run import Run
from resnet_cli.tasks.base import Task
from resnet_cli.tasks.settings import AUGMENT, IMAGE_SIZE, TRAIN_SIZE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from resnet_cli.tasks.data import Data

FOLDER = "cifar-10-batches-bin"
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILES = ("test_batch.bin",)
RECORDS_PER_FILE = 10_000
RECORD_BYTES = 1 + 3 * 32 * 32
CLASSES = 10
FETCH = "resnet-exp data fetch cifar10"


def load(run: Run, data_dir: Path | None = None) -> "Data":
    """The images, uint8 (N, 3, S, S) with S = `image_size`, 50,000 for training and 10,000 for testing.

    Mean and deviation are those of all 50,000 at that size, whatever `train_size` keeps.

    Raises:
        UserError: the files are missing or broken, or `train_size` exceeds 50,000.
    """
    from resnet_cli.tasks.data import Data
    from resnet_cli.tasks.data.sampling import channel_statistics, training_subset

    folder = batches_folder(data_dir)
    size = run[IMAGE_SIZE]
    train_images, train_labels = _read_part(folder, TRAIN_FILES, size)
    test_images, test_labels = _read_part(folder, TEST_FILES, size)
    mean, deviation = channel_statistics(train_images)
    if (train_size := run.get(TRAIN_SIZE)) is not None:
        kept = training_subset(train_labels, train_size, "cifar10")
        train_images, train_labels = train_images[kept], train_labels[kept]
    return Data(
        train_inputs=train_images,
        train_targets=train_labels,
        test_inputs=test_images,
        test_targets=test_labels,
        loss="cross_entropy",
        outputs=CLASSES,
        mean=mean,
        deviation=deviation,
        crop_padding=size // 8 if run[AUGMENT] else 0,  # 4 pixels of 32, as in He15
    )


def data_folder(data_dir: Path | None) -> Path:
    """Where data sets are kept: `data_dir`, else $RESNET_EXP_DATA, else the user's cache folder."""
    if data_dir is not None:
        return expand_home("data_dir", data_dir)
    if from_environment := os.environ.get("RESNET_EXP_DATA"):
        return expand_home("RESNET_EXP_DATA", Path(from_environment))
    import platformdirs

    return Path(platformdirs.user_cache_dir("resnet-exp"))


def batches_folder(data_dir: Path | None) -> Path:
    """The folder of the six CIFAR-10 files: the data folder where they lie in it, else the one inside it."""
    folder = data_folder(data_dir)
    holds_files = any((folder / name).exists() for name in TRAIN_FILES + TEST_FILES)
    return folder if folder.name == FOLDER or holds_files else folder / FOLDER


def read_records(path: Path, records: int) -> "npt.NDArray[np.uint8]":
    """The records of one file, (records, 3073): the class, then the planes.

    Raises:
        UserError: the file is missing, cannot be read, has another size, or holds a class above 9.
    """
    import numpy as np

    place = path.parent.parent if path.parent.name == FOLDER else path.parent
    fetch = f"run `{FETCH} --data-dir {shlex.quote(str(place))}`"
    try:
        if path.exists() and not path.is_file():  # a pipe would not come to an end
            raise OSError(errno.EINVAL, "not a regular file")
        content = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError:
        raise UserError(
            f"CIFAR-10 is not in {path.parent} ({path.name} is missing); {fetch} to download it, "
            "or name another --data-dir."
        ) from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path} cannot be read ({reason}); mend that, or name another --data-dir.") from None
    if content.size != records * RECORD_BYTES:
        raise UserError(
            f"{path} has {content.size:,} bytes where {records:,} records of {RECORD_BYTES:,} bytes make "
            f"{records * RECORD_BYTES:,}; {fetch} to get it again."
        )
    content = content.reshape(records, RECORD_BYTES)
    wrong = np.flatnonzero(content[:, 0] >= CLASSES)
    if wrong.size:
        raise UserError(
            f"{path} holds class {content[wrong[0], 0]} in record {wrong[0] + 1:,} where classes are 0 to "
            f"{CLASSES - 1}; {fetch} to get it again."
        )
    return content


def _read_part(folder: Path, names: tuple[str, ...], size: int) -> "tuple[Tensor, Tensor]":
    """Images, uint8 (N, 3, size, size), and classes, int64 (N,), of some files, in their order."""
    import torch

    images = torch.empty(len(names) * RECORDS_PER_FILE, 3, size, size, dtype=torch.uint8)
    labels = torch.empty(len(images), dtype=torch.int64)
    for number, name in enumerate(names):
        records = torch.from_numpy(read_records(folder / name, RECORDS_PER_FILE))
        place = slice(number * RECORDS_PER_FILE, (number + 1) * RECORDS_PER_FILE)
        labels[place] = records[:, 0]
        images[place] = _shrink(records[:, 1:].view(-1, 3, 32, 32), size)
    return images, labels


def _shrink(images: "Tensor", size: int) -> "Tensor":
    """Images (N, 3, 32, 32) averaged over squares of pixels to (N, 3, size, size), halves rounded up."""
    import torch

    side = 32 // size
    if side == 1:
        return images
    sums = images.reshape(-1, 3, size, side, size, side).sum(dim=(3, 5), dtype=torch.int16)
    return ((sums + side**2 // 2) // side**2).to(torch.uint8)


TASK = Task(
    name="cifar10",
    title="CIFAR-10",
    source="Krizhevsky 2009",
    families=("cnn", "mlp"),
    shape=(3, 32, 32),
    outputs=CLASSES,
    settings=(TRAIN_SIZE, IMAGE_SIZE, AUGMENT),
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
)
