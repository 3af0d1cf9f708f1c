"""CIFAR-100: 60,000 colour images of 32×32 pixels in a hundred classes, read from its binary version (see `cifar`).

Each record begins with two bytes, one of 20 coarse classes and one of 100 fine classes; the fine ones are learnt.
"""

from resnet_cli.tasks.archive import Archive, Part
from resnet_cli.tasks.cifar import IMAGE_BYTES, make_task

ARCHIVE = Archive(
    task="cifar100",
    title="CIFAR-100",
    url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    md5="03b5dce01913d631647c71ecec9e9cb8",  # as published on https://www.cs.toronto.edu/~kriz/cifar.html
    folder="cifar-100-binary",
    train=Part(files=("train.bin",), records=50_000),
    test=Part(files=("test.bin",), records=10_000),
    others=("coarse_label_names.txt", "fine_label_names.txt"),
    classes=(20, 100),
    image_bytes=IMAGE_BYTES,
)

TASK = make_task(ARCHIVE)
