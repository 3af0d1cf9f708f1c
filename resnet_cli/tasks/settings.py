"""The settings that several tasks share; importing them does not import torch."""

from typing import Literal

from resnet_cli.settings.setting import Count, Setting

TRAIN_SIZE = Setting[int](
    "train_size", Count, "Number of training examples to use (all unless set).", affects=("data", "cost"), smoke=64
)
IMAGE_SIZE = Setting[Literal[8, 16, 32]](
    "image_size",
    Literal[8, 16, 32],
    "Height and width of CIFAR images in pixels: 32, or averaged down to 16 or 8.",
    affects=("data", "shape"),
)
AUGMENT = Setting[bool](
    "augment",
    bool,
    "CIFAR augmentation (pad by 4 pixels, random crop, horizontal flip): on or off.",
    affects=("data", "cost"),
)
