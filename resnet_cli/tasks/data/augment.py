"""Random crops and flips of a whole batch in one tensor operation.

He et al., "Deep Residual Learning for Image Recognition" (2015, arXiv 1512.03385), section 4.2: pad by 4 pixels, crop
at random to the original size, flip horizontally with probability 1/2. The padding is 0: black in images that are still
bytes, as with torchvision's RandomCrop before normalisation, and the mean in images whose mean has been subtracted, as
in the paper.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def draw(count: int, padding: int, generator: torch.Generator) -> Tensor:
    """The crop and flip of each of `count` images, int64 (count, 3): row and column, 0 to 2 · `padding`, and 0 or 1.

    They are drawn on the CPU, for a whole epoch at a time, so that they are the same on every device.
    """
    crops = torch.randint(2 * padding + 1, (count, 2), generator=generator)
    flips = torch.randint(2, (count, 1), generator=generator)
    return torch.cat((crops, flips), dim=1)


def apply(images: Tensor, draws: Tensor, padding: int) -> Tensor:
    """Pad images with `padding` pixels of 0 on every side, then crop and flip them as `draw` says, (B, 3).

    (B, C, H, W), bytes or floats, to the same, in the channels_last memory format. Never waits for the device of the
    tensors.
    """
    count, _, height, width = images.shape
    top, left, flip = (choice[:, None] for choice in draws.unbind(dim=1))  # (B, 1) each
    rows = top + torch.arange(height, device=images.device)  # (B, H)
    columns = torch.arange(width, device=images.device)
    columns = left + torch.where(flip == 1, columns.flip(0), columns)  # (B, W)
    padded = F.pad(images, (padding,) * 4).permute(0, 2, 3, 1)  # (B, H + 2p, W + 2p, C)
    number = torch.arange(count, device=images.device)[:, None, None]
    crops = padded[number, rows[:, :, None], columns[:, None, :]]  # (B, H, W, C)
    return crops.permute(0, 3, 1, 2)
