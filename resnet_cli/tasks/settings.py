"""The settings that several tasks share; importing them does not import torch."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.ranges import compact, numbers, parse_ranges
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Count, Setting

MAX_CLASS = 9999


def _classes(text: str) -> str:
    try:
        chosen = numbers(parse_ranges(text.replace("/", ","), option="classes", minimum=0, maximum=MAX_CLASS))
    except UserError:
        raise ValueError("must be class numbers and ranges joined by /, such as 0..4 or 0..2/5") from None
    if len(chosen) < 2:
        raise ValueError("must name at least two classes, such as 0..4")
    return classes_text(chosen)


def classes_text(classes: list[int]) -> str:
    """Class numbers as the setting `classes` writes them, such as `0..4`."""
    return compact(classes).replace(",", "/")


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
CLASSES = Setting[str](
    "classes",
    Annotated[str, Field(max_length=1000), AfterValidator(_classes)],
    "Classes to learn: numbers and ranges joined by /, such as 0..4; examples of others are left out (all unless set).",
    affects=("data", "cost"),
    came_later=True,
)


def chosen_classes(run: Run, count: int) -> list[int]:
    """The classes that a run learns, of the `count` of its task; UserError if it names one beyond."""
    if (text := run.get(CLASSES)) is None:
        return list(range(count))
    chosen = numbers(parse_ranges(text.replace("/", ","), option=CLASSES.name, minimum=0, maximum=MAX_CLASS))
    if chosen[-1] >= count:
        raise UserError(
            f"{CLASSES.name} (={text}) names class {chosen[-1]}, but the {count} classes of {run.task} are 0 to "
            f"{count - 1}; leave it out."
        )
    return chosen
