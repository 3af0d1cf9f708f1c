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

from resnet_cli.models.activations import ACTIVATIONS
from resnet_cli.models.base import Dropout, Model
from resnet_cli.models.settings import ACTIVATION, BATCH_NORM, COMMON, DROPOUT, WIDTH
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
        self.norm = nn.BatchNorm2d(n_in) if run[BATCH_NORM] else nn.Identity()
        self.activation = ACTIVATIONS[run[ACTIVATION]].function
        self.conv = nn.Conv2d(n_in, n_out, kernel_size, padding=kernel_size // 2, bias=not run[BATCH_NORM])
        self.dropout = Dropout(run[DROPOUT])

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, n_out, H, W)."""
        return self.dropout(self.conv(self.activation(self.norm(inputs))))  # type: ignore[no-any-return]


class DenseLayer(nn.Sequential):
    """Some operations, whose output is appended to their input (eq. 2)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C + k, H, W): first the input channels, then the new ones."""
        return torch.cat([inputs, super().forward(inputs)], dim=1)  # type: ignore[no-untyped-call]


class DenseNet(nn.Module):
    """A 3×3 convolution, dense layers and transitions, norm and activation, global average pooling, a linear output.

    For images (C, H, W) whose sides are multiples of four.

    Args:
        run: for `width`, `activation` and `batch_norm`.
        channels: C.
        blocks: layers and transitions in order, from `width` to `filters` channels.
        filters: number of channels after the last layer.
        outputs: number of outputs.
    """

    def __init__(self, run: Run, channels: int, blocks: Sequence[nn.Module], filters: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, run[WIDTH], 3, padding=1, bias=not run[BATCH_NORM])
        self.blocks = nn.Sequential(*blocks)
        self.last_norm = nn.BatchNorm2d(filters) if run[BATCH_NORM] else nn.Identity()
        self.activation = ACTIVATIONS[run[ACTIVATION]].function
        self.output = nn.Linear(filters, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, outputs)."""
        x = self.blocks(self.conv(images))  # (B, filters, H/4, W/4)
        x = self.activation(self.last_norm(x))
        return self.output(x.mean(dim=(2, 3)))  # type: ignore[no-any-return]


def _build_layer(run: Run, n_in: int, *, has_bottleneck: bool) -> DenseLayer:
    growth = run[GROWTH_RATE]
    if has_bottleneck:
        return DenseLayer(Composite(run, n_in, 4 * growth, 1), Composite(run, 4 * growth, growth, 3))
    return DenseLayer(Composite(run, n_in, growth, 3))


def _build(
    run: Run, input_shape: tuple[int, ...], outputs: int, layers: int, compression: float, *, has_bottlenecks: bool
) -> DenseNet:
    """A net of three dense blocks with `layers` layers each."""
    blocks: list[nn.Module] = []
    filters = run[WIDTH]
    for number in range(3):
        if number > 0:
            # As an exact decimal fraction: 0.29 of 100 channels are 29, in floating point 28.99...
            kept = max(1, int(Fraction(str(compression)) * filters))
            blocks.append(nn.Sequential(Composite(run, filters, kept, 1), nn.AvgPool2d(2)))
            filters = kept
        for _ in range(layers):
            blocks.append(_build_layer(run, filters, has_bottleneck=has_bottlenecks))
            filters += run[GROWTH_RATE]
    return DenseNet(run, input_shape[0], blocks, filters, outputs)


def _densenet(run: Run, input_shape: tuple[int, ...], outputs: int) -> DenseNet:
    return _build(run, input_shape, outputs, (run.depth - 4) // 3, compression=1, has_bottlenecks=False)


def _densenet_bc(run: Run, input_shape: tuple[int, ...], outputs: int) -> DenseNet:
    return _build(run, input_shape, outputs, (run.depth - 4) // 6, run[COMPRESSION], has_bottlenecks=True)


_DEFAULTS = {"batch_norm": True, "init": "he"}

MODELS = (
    Model(
        name="densenet",
        title="DenseNet",
        paper="Huang et al. 2017, §3",
        family="cnn",
        role="other",
        depth_rule=DepthRule(first=7, step=3, formula="3m+4"),
        settings=(*COMMON, GROWTH_RATE),
        defaults=_DEFAULTS,
        build=_densenet,
    ),
    Model(
        name="densenet-bc",
        title="DenseNet with bottleneck layers and compression",
        paper="Huang et al. 2017, §3",
        family="cnn",
        role="other",
        depth_rule=DepthRule(first=10, step=6, formula="6m+4"),
        settings=(*COMMON, GROWTH_RATE, COMPRESSION),
        defaults=_DEFAULTS,
        build=_densenet_bc,
    ),
)
