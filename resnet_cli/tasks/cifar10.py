"""CIFAR-10: 60,000 colour images of 32×32 pixels in ten classes, read from its binary version (see `cifar`)."""

from resnet_cli.tasks.archive import Archive, Part
from resnet_cli.tasks.cifar import IMAGE_BYTES, make_task

ARCHIVE = Archive(
    task="cifar10",
    title="CIFAR-10",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",  # 170,052,171 bytes
    md5="c32a1d4ab5d03f1284b67883e8d87530",  # as published on https://www.cs.toronto.edu/~kriz/cifar.html
    folder="cifar-10-batches-bin",
    train=Part(
        files=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        records=10_000,
        fingerprint="d17523651dcffdf1be45e6671e5077f61b15cbf5376a64e556c870e6fb6066d3",
    ),
    test=Part(
        files=("test_batch.bin",),
        records=10_000,
        fingerprint="ab21d127e2bbf4b95f1588dcadf3c8502b8fedb328dd5315bc7fa51b5ab965c0",
    ),
    others=("batches.meta.txt",),
    classes=(10,),
    image_bytes=IMAGE_BYTES,
)

TASK = make_task(ARCHIVE)
