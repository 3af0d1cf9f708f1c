"""The settings that several tasks share; importing them does not import torch."""

from typing import Literal

from resnet_cli.settings.setting import Count, Setting

TRAIN_SIZE = Setting[int](
    "train_size", Count, "Number of training examples to use (all unless set).", affects=("data", "cost"), smoke=64
)
VALIDATION_SIZE = Setting[int](
    "validation_size",
    Count,
    "Number of training images that are held out and evaluated in place of the test images (none unless set).",
    affects=("data",),
    came_later=True,
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
NORMALISATION = Setting[Literal["channel", "pixel"]](
    "normalisation",
    Literal["channel", "pixel"],
    "Normalisation of CIFAR images: channel (mean 0 and standard deviation 1 in each channel; crops padded with black) "
    "or pixel (the mean of each pixel subtracted; crops padded with that mean; He et al. 2015).",
    default="channel",
    affects=("data",),
    before={"cifar10": "channel", "cifar100": "channel"},
    came_later=True,
)
