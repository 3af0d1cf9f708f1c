"""Densely connected networks for small images: DenseNet, and DenseNet-BC with bottleneck layers and compression.

Huang et al. 2017, "Densely Connected Convolutional Networks" (arXiv 1608.06993, §3; dropout: §4.2).

A layer appends k new channels (the growth rate) to its input channels (eq. 2). Layer l of a dense block therefore has
k0 + k(l−1) input channels, where k0 is the number that enter the block. A layer is batch norm, activation and a 3×3
convolution; in BC these are preceded by a 1×1 convolution to 4k channels, with a norm and an activation of its own.
Three dense blocks of m layers work at full, half and quarter resolution. Between them are transitions: norm,
activation, a 1×1 convolution to θ times as many channels (compression θ, 1 without BC), and 2×2 average pooling. A
single 3×3 convolution precedes the first block; norm, activation, global average pooling and a linear output follow the
last.

Counting convolutions and the output, the depth is 3m+4, or 6m+4 in BC (W = width, the filters of the first convolution;
16 in the paper, 2k in BC). Transitions are between bars; the numbers are input and output channels:

    depth  7 (m = 1):  3→W, W→k | W+k→W+k | W+k→k | W+2k→W+2k | W+2k→k, W+3k→out
    depth 10 (m = 2):  3→W, W→k, W+k→k | W+2k→W+2k | W+2k→k, W+3k→k | W+4k→W+4k | W+4k→k, W+5k→k, W+6k→out

    BC, with T = ⌊θ(W+mk)⌋ and U = ⌊θ(T+mk)⌋:
    depth 10 (m = 1):  3→W, W→4k→k | W+k→T | T→4k→k | T+k→U | U→4k→k, U+k→out
    depth 16 (m = 2):  3→W, W→4k→k, W+k→4k→k | W+2k→T | T→4k→k, T+k→4k→k | T+2k→U | U→4k→k, U+k→4k→k, U+2k→out
"""

from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor, nn

from resnet_cli.models.base import Dropout, Model, activation_of, convolution, norm_of
from resnet_cli.models.resnet import CifarNet
from resnet_cli.models.settings import COMMON, DROPOUT, WIDTH
from resnet_cli.settings.ranges import DepthRule
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Count, Setting, Share

GROWTH_RATE = Setting[int](
    "growth_rate", Count, "Growth rate (k): number of channels that each layer adds.", default=12
)
COMPRESSION = Setting[float](
    "compression", Share, "Compression (theta): fraction of the channels that a transition keeps.", default=0.5
)


class Composite(nn.Module):
    """Batch norm, activation, convolution (§3, "Composite function") and dropout; the resolution does not change."""

    def __init__(self, run: Run, n_in: int, n_out: int, kernel_size: int) -> None:
        super().__init__()
        self.norm = norm_of(run, n_in)
        self.activation = activation_of(run)
        self.conv = convolution(run, n_in, n_out, kernel_size)
        self.dropout = Dropout(run[DROPOUT])

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, n_out, H, W)."""
        return self.dropout(self.conv(self.activation(self.norm(inputs))))  # type: ignore[no-any-return]


class DenseLayer(nn.Sequential):
    """Some operations, whose output is appended to their input (eq. 2)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C + k, H, W): first the input channels, then the new ones."""
        return torch.cat([inputs, super().forward(inputs)], dim=1)  # type: ignore[no-untyped-call]


def build_dense_blocks(run: Run, counts: Sequence[int]) -> tuple[list[nn.Module], int]:
    """Dense blocks with `counts` layers each and the transitions between them, as one list.

    Runs with a compression have bottleneck layers. Returns the layers and transitions, and the number of channels after
    the last.
    """
    growth, compression = run[GROWTH_RATE], run.get(COMPRESSION)
    blocks: list[nn.Module] = []
    filters = run[WIDTH]
    for number, count in enumerate(counts):
        if number > 0:
            # As an exact decimal fraction: 0.29 of 100 channels are 29, in floating point 28.99...
            kept = max(1, int(Fraction(str(compression or 1)) * filters))
            # Odd sides are rounded up, so that feature maps stop shrinking at 1×1.
            blocks.append(nn.Sequential(Composite(run, filters, kept, 1), nn.AvgPool2d(2, ceil_mode=True)))
            filters = kept
        for _ in range(count):
            if compression is None:
                layer = DenseLayer(Composite(run, filters, growth, 3))
            else:
                layer = DenseLayer(Composite(run, filters, 4 * growth, 1), Composite(run, 4 * growth, growth, 3))
            blocks.append(layer)
            filters += growth
    return blocks, filters


class DenseNet(CifarNet):
    """A 3×3 convolution, dense layers and transitions, norm and activation, global average pooling, a linear output.

    For images (C, H, W) whose sides are multiples of four.
    """

    def __init__(self, run: Run, input_shape: tuple[int, ...], outputs: int) -> None:
        layers = (run.depth - 4) // (3 if run.get(COMPRESSION) is None else 6)
        blocks, filters = build_dense_blocks(run, [layers] * 3)
        super().__init__(run, input_shape, outputs, blocks, filters, "full-preactivation")
        self.norm = nn.Identity()

    def begin(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, W, H, W): the first layer has the norm and the activation."""
        return self.conv(images)  # type: ignore[no-any-return]


_DEFAULTS = {"batch_norm": True, "init": "he"}

MODELS = (
    Model(
        name="densenet",
        title="DenseNet",
        paper="Huang et al. 2017, §3",
        family="cnn",
        depth_rule=DepthRule(first=7, step=3, formula="3m+4"),
        settings=(*COMMON, GROWTH_RATE),
        defaults=_DEFAULTS,
        build=DenseNet,
    ),
    Model(
        name="densenet-bc",
        title="DenseNet with bottleneck layers and compression",
        paper="Huang et al. 2017, §3",
        family="cnn",
        depth_rule=DepthRule(first=10, step=6, formula="6m+4"),
        settings=(*COMMON, GROWTH_RATE, COMPRESSION),
        defaults=_DEFAULTS,
        build=DenseNet,
    ),
)
