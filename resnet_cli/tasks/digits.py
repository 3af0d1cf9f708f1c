"""Handwritten digits of 8×8 pixels: real images that need no download and train in seconds.

The 1,797 images are the test set of Alpaydin & Kaynak, "Optical Recognition of Handwritten Digits" (UCI, 1998), which
comes with scikit-learn.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from resnet_cli.settings.run import Run
from resnet_cli.tasks.base import Task
from resnet_cli.tasks.settings import CLASSES, TRAIN_SIZE, VALIDATION_SIZE

if TYPE_CHECKING:
    from resnet_cli.tasks.data import Data

TRAINING_IMAGES, TEST_IMAGES = 1400, 397
CLASS_SIZES = (139, 142, 138, 143, 141, 142, 141, 139, 135, 140), (39, 40, 39, 40, 40, 40, 40, 40, 39, 40)


def load(run: Run, data_dir: Path | None = None) -> "Data":
    """The digits, uint8 (N, 1, 8, 8), in a fixed split of 1,400 for training and 397 for testing.

    Both parts, and training sets of every `train_size`, have nearly the same proportions of the ten classes. `data_dir`
    is unused.

    Raises:
        UserError: `train_size` and `validation_size` together exceed 1,400.
    """
    import numpy as np
    import torch
    from sklearn.datasets import load_digits

    from resnet_cli.tasks.data.sampling import generator, labelled_images, stratified_order

    values, classes = load_digits(return_X_y=True)  # (1797, 64) whole numbers 0 to 16 as floats, (1797,)
    images = torch.from_numpy(np.rint(values * (255 / 16)).astype(np.uint8)).view(-1, 1, 8, 8)
    labels = torch.from_numpy(classes).long()

    order = stratified_order(labels, generator("digits", "split"))
    train, test = order[:TRAINING_IMAGES], order[TRAINING_IMAGES:]
    return labelled_images(run, (images[train], labels[train]), (images[test], labels[test]), classes=10)


TASK = Task(
    name="digits",
    title="handwritten digits (8×8)",
    source="scikit-learn's bundled digits; Alpaydin & Kaynak 1998",
    families=("cnn", "mlp"),
    shape=(1, 8, 8),
    outputs=10,
    train_examples=TRAINING_IMAGES,
    test_examples=TEST_IMAGES,
    settings=(TRAIN_SIZE, VALIDATION_SIZE, CLASSES),
    default_depths={"cnn": "8,20,32", "mlp": "2..20"},
    default_seeds="0",
    load=load,
    class_sizes=CLASS_SIZES,
    defaults={
        "optimizer": "momentum",
        "momentum": 0.9,
        "learning_rate": 0.1,
        "weight_decay": 1e-4,
        "batch_size": 128,
        "epochs": 20,
        "eval_every": 1,
    },
    family_defaults={"cnn": {"width": 8}, "mlp": {"width": 64}},
)
