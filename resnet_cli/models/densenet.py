"""Densely connected networks for small images: DenseNet, and DenseNet-BC with bottleneck layers and compression.

Huang et al. 2017, "Densely Connected Convolutional Networks" (arXiv 1608.06993, §3; dropout: §4.2).

A layer adds k maps (the growth rate) to all those that it reads (eq. 2), so layer l of a dense block reads k0 + k(l−1)
of them, k0 being what enters the block. It is batch norm, activation, 3×3 convolution; in BC a 1×1 convolution to 4k
maps comes before, with a norm and an activation of its own. Three dense blocks of m layers work on maps of full, half
and quarter size. Between them stand transitions: norm, activation, a 1×1 convolution to θ times as many maps
(compression θ, 1 without BC), and 2×2 average pooling. Before the first block stands a 3×3 convolution alone; after the
last come norm, activation, global average pooling and a linear output.

Convolutions and output make a depth of 3m+4, in BC 6m+4 (W = width, the filters of the first convolution; 16 in the
paper, 2k in BC). Transitions stand between bars, numbers are maps read and given:

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

from resnet_cli.models.base import ACTIVATIONS, Dropout, Model
from resnet_cli.spec.ranges import DepthRule
from resnet_cli.spec.run import Count, Run, Share
from resnet_cli.spec.setting import Setting

GROWTH_RATE = Setting("growth_rate", Count, 12, "Maps that each layer adds (k).")
COMPRESSION = Setting("compression", Share, 0.5, "Share of its maps that a transition keeps (theta).")


class Composite(nn.Module):
    """Batch norm, activation, convolution (§3, "Composite function") and dropout; sizes of maps stay as they are."""

    def __init__(self, run: Run, n_in: int, n_out: int, kernel_size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(n_in) if run.batch_norm else nn.Identity()
        self.activation = ACTIVATIONS[run.activation]
        self.conv = nn.Conv2d(n_in, n_out, kernel_size, padding=kernel_size // 2, bias=not run.batch_norm)
        self.dropout = Dropout(run.dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, n_out, H, W)."""
        return self.dropout(self.conv(self.activation(self.norm(inputs))))  # type: ignore[no-any-return]


class DenseLayer(nn.Sequential):
    """Some steps, whose result is appended to what they read (eq. 2)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C + k, H, W): first the maps that came in, then the new ones."""
        return torch.cat([inputs, super().forward(inputs)], dim=1)  # type: ignore[no-untyped-call]


class DenseNet(nn.Module):
    """A 3×3 convolution, dense layers and transitions, norm and activation, global average pooling, a linear output.

    For images (C, H, W) whose sides are multiples of four.

    Args:
        run: for `width`, `activation` and `batch_norm`.
        channels: C.
        blocks: layers and transitions in order, from `width` to `filters` maps.
        filters: maps that the last layer gives.
        outputs: number of outputs.
    """

    def __init__(self, run: Run, channels: int, blocks: Sequence[nn.Module], filters: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, run.width, 3, padding=1, bias=not run.batch_norm)
        self.blocks = nn.Sequential(*blocks)
        self.last_norm = nn.BatchNorm2d(filters) if run.batch_norm else nn.Identity()
        self.activation = ACTIVATIONS[run.activation]
        self.output = nn.Linear(filters, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, outputs)."""
        signal = self.blocks(self.conv(images))  # (B, filters, H/4, W/4)
        signal = self.activation(self.last_norm(signal))
        return self.output(signal.mean(dim=(2, 3)))  # type: ignore[no-any-return]


def _build_layer(run: Run, n_in: int, *, has_bottleneck: bool) -> DenseLayer:
    growth = run["growth_rate"]
    if has_bottleneck:
        return DenseLayer(Composite(run, n_in, 4 * growth, 1), Composite(run, 4 * growth, growth, 3))
    return DenseLayer(Composite(run, n_in, growth, 3))


def _build(
    run: Run, input_shape: tuple[int, ...], outputs: int, layers: int, compression: float, *, has_bottlenecks: bool
) -> DenseNet:
    """A net of three dense blocks with `layers` layers each."""
    blocks: list[nn.Module] = []
    filters = run.width
    for number in range(3):
        if number > 0:
            # As the decimal fraction that a person wrote: 0.29 of 100 maps are 29, in floating point 28.99...
            kept = max(1, int(Fraction(str(compression)) * filters))
            blocks.append(nn.Sequential(Composite(run, filters, kept, 1), nn.AvgPool2d(2)))
            filters = kept
        for _ in range(layers):
            blocks.append(_build_layer(run, filters, has_bottleneck=has_bottlenecks))
            filters += run["growth_rate"]
    return DenseNet(run, input_shape[0], blocks, filters, outputs)


def _densenet(run: Run, input_shape: tuple[int, ...], outputs: int) -> DenseNet:
    return _build(run, input_shape, outputs, (run.depth - 4) // 3, compression=1, has_bottlenecks=False)


def _densenet_bc(run: Run, input_shape: tuple[int, ...], outputs: int) -> DenseNet:
    return _build(run, input_shape, outputs, (run.depth - 4) // 6, run["compression"], has_bottlenecks=True)


_SETTINGS = frozenset({"width", "activation", "batch_norm", "dropout", "init", "init_std"})
_DEFAULTS = {"batch_norm": True, "init": "he"}

MODELS = (
    Model(
        name="densenet",
        title="DenseNet",
        paper="Huang et al. 2017, §3",
        family="cnn",
        role="other",
        depth_rule=DepthRule(first=7, step=3, formula="3m+4"),
        settings=_SETTINGS,
        options=(GROWTH_RATE,),
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
        settings=_SETTINGS,
        options=(GROWTH_RATE, COMPRESSION),
        defaults=_DEFAULTS,
        build=_densenet_bc,
    ),
)
