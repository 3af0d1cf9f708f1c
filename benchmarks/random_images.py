"""Random images with the shapes of CIFAR-10, for measurements that no data set should be downloaded for."""

import torch
from torch.nn import functional as F

from resnet_cli.tasks.data import Data


def random_images(count: int) -> Data:
    """`count` training images, uint8 (count, 3, 32, 32), of 10 classes, with crops and flips; as many for testing.

    They are coarse patterns under noise. Of noise alone, nets would see little but its mean, and what differs between
    images, on which gradients depend, would be lost in rounding.
    """
    generator = torch.Generator().manual_seed(0)

    def images() -> torch.Tensor:
        patterns = F.interpolate(torch.rand(count, 3, 4, 4, generator=generator), size=32, mode="bilinear")
        return (200 * patterns + 55 * torch.rand(count, 3, 32, 32, generator=generator)).to(torch.uint8)

    labels = torch.arange(count) % 10
    mean, deviation = torch.full((3,), 0.5), torch.full((3,), 0.25)
    return Data(images(), labels, images(), labels, "cross_entropy", 10, mean, deviation, crop_padding=4)
