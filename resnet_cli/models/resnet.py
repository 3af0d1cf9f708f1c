"""CIFAR networks of He et al., plain and residual: basic and bottleneck blocks, five orderings, three shortcuts.

He15: He et al. 2015, "Deep Residual Learning" (arXiv 1512.03385, §4.2); He16: He et al. 2016, "Identity Mappings in
Deep Residual Networks" (arXiv 1603.05027); Huang et al. 2016, "Deep Networks with Stochastic Depth" (arXiv 1603.09382).

A 3×3 convolution, three stages of 2n 3×3 convolutions at full, half and quarter resolution with W, 2W and 4W filters,
global average pooling and a linear output: depth 6n+2 (W = width, 16 in the papers):

    depth  8 (n = 1):  3→W | W→W, W→W | W→2W, 2W→2W | 2W→4W, 4W→4W | 4W→out
    depth 14 (n = 2):  3→W | 4 × W→W | W→2W, 3 × 2W→2W | 2W→4W, 3 × 4W→4W | 4W→out

The plain net is the same without shortcuts. A shortcut spans `block_size` convolutions (2 in the papers), counted from
the start of each stage; an incomplete last block has none. With bottlenecks (He15 §4.1; He16 §4) a block is a 1×1, a
3×3 and a 1×1 convolution, and n blocks per stage make a depth of 9n+2; the shortcuts carry 4W, 8W and 16W channels:

    depth 11 (n = 1):  3→W | W→W, W→W, W→4W | 4W→2W, 2W→2W, 2W→8W | 8W→4W, 4W→4W, 4W→16W | 16W→out
    depth 20 (n = 2):  as above, and after each block one more: 4W→W, W→W, W→4W | ... | 16W→4W, 4W→4W, 4W→16W

A shortcut is the identity where shapes agree. Otherwise (He15 §3.3, §4.1) it takes every second pixel and pads the new
channels with zeros (option A) or is a strided 1×1 convolution (option B). Option C has 1×1 convolutions everywhere.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.models.activations import ACTIVATIONS
from resnet_cli.models.base import Block, Dropout, Model, Step, linear_decay
from resnet_cli.models.settings import (
    ACTIVATION,
    BATCH_NORM,
    BLOCK_SIZE,
    COMMON,
    DROPOUT,
    ORDERING,
    SHORTCUT,
    SURVIVAL,
    WIDTH,
    Ordering,
)
from resnet_cli.settings.ranges import DepthRule
from resnet_cli.settings.run import Run

Operations = tuple[Literal["norm", "activation"], ...]


class Order(NamedTuple):
    """Where a block has its norms and activations."""

    before: Operations = ()  # each convolution
    after: Operations = ()  # each convolution but the last
    after_last: Operations = ()  # the last convolution
    exit: Operations = ()  # after the addition


ORDERS: dict[Ordering, Order] = {
    "original": Order(after=("norm", "activation"), after_last=("norm",), exit=("activation",)),
    "norm-after-addition": Order(after=("norm", "activation"), exit=("norm", "activation")),
    "relu-before-addition": Order(after=("norm", "activation"), after_last=("norm", "activation")),
    "relu-only-preactivation": Order(before=("activation",), after=("norm",), after_last=("norm",)),
    "full-preactivation": Order(before=("norm", "activation")),
}


class ZeroPaddingShortcut(nn.Module):
    """Option A: subsample by `stride` and append `extra_filters` channels of zeros. No parameters."""

    def __init__(self, stride: int, extra_filters: int) -> None:
        super().__init__()
        self.stride, self.extra_filters = stride, extra_filters

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C + extra, H / stride, W / stride)."""
        sampled = inputs[:, :, :: self.stride, :: self.stride]
        return F.pad(sampled, (0, 0, 0, 0, 0, self.extra_filters))


def build_shortcut(option: str, n_in: int, n_out: int, stride: int, *, batch_norm: bool) -> nn.Module:
    """The shortcut around a block: option A, B or C; `batch_norm` normalises projections."""
    same_shape = n_in == n_out and stride == 1
    if option == "C" or (option == "B" and not same_shape):
        projection = nn.Conv2d(n_in, n_out, 1, stride, bias=not batch_norm)
        return nn.Sequential(projection, nn.BatchNorm2d(n_out)) if batch_norm else projection
    return nn.Identity() if same_shape else ZeroPaddingShortcut(stride, n_out - n_in)


class ConvBlock(Block):
    """Some convolutions and possibly a shortcut around them, in one of five orderings.

    With x the block's input and F its residual branch, the block computes (He16, Fig. 4)

        original                  relu(x + F(x)),        F = conv, norm, relu, conv, norm
        norm-after-addition       relu(norm(x + F(x))),  F = conv, norm, relu, conv
        relu-before-addition      x + F(x),              F = conv, norm, relu, conv, norm, relu
        relu-only-preactivation   x + F(x),              F = relu, conv, norm, relu, conv, norm
        full-preactivation        x + F(x),              F = norm, relu, conv, norm, relu, conv

    A projection shortcut has the same input as the first convolution of a pre-activated branch, as in the paper's code.

    Args:
        run: for `activation`, `batch_norm` and `dropout` (before every convolution but the first of several).
        convolutions: of the branch, in order.
        shortcut: around the branch, or None for a plain block.
        ordering: of norms, activations and the addition.
        survival: probability that the branch is computed in a training step.
        is_activated: whether the input has been through an activation already, so that a pre-activated branch begins
            with its convolution (He16, appendix: the first block).
    """

    def __init__(
        self,
        run: Run,
        convolutions: Sequence[nn.Module],
        shortcut: nn.Module | None,
        *,
        ordering: Ordering = "original",
        survival: float = 1.0,
        is_activated: bool = False,
    ) -> None:
        super().__init__()
        order = ORDERS[ordering]
        dropout = Dropout(run[DROPOUT])
        self.branch: list[Step] = []
        for number, convolution in enumerate(convolutions, 1):
            has_norm_first = "norm" in order.before
            filters: Any = convolution.in_channels if has_norm_first else convolution.out_channels
            has_norm = run[BATCH_NORM] and not (has_norm_first and number == 1 and is_activated)
            norm = nn.BatchNorm2d(filters) if has_norm else nn.Identity()
            self.add_module(f"conv{number}", convolution)
            self.add_module(f"norm{number}", norm)
            steps: dict[str, Step] = {"norm": norm, "activation": ACTIVATIONS[run[ACTIVATION]].function}
            before = [steps[name] for name in order.before]
            after = order.after_last if number == len(convolutions) else order.after
            if number > 1:
                self.branch += before
            elif not is_activated:
                self.entry = before
            if number > 1 or len(convolutions) == 1:
                self.branch.append(dropout)
            self.branch += [convolution, *(steps[name] for name in after)]
        self.exit = [steps[name] for name in order.exit]
        self.dropout = dropout
        self.add_shortcut(shortcut, survival)


class CifarNet(nn.Module):
    """A 3×3 convolution with norm and activation, blocks, global average pooling and a linear output.

    For images (C, H, W) whose sides are multiples of four.

    Args:
        run: for `width`, `activation` and `batch_norm`.
        channels: C.
        blocks: from `width` to `filters` channels.
        filters: number of channels after the last block.
        outputs: number of outputs.
        ordering: of the blocks; if they are pre-activated, the last is followed by the norm and activation with which
            another block would begin.
    """

    def __init__(
        self,
        run: Run,
        channels: int,
        blocks: Sequence[nn.Module],
        filters: int,
        outputs: int,
        ordering: Ordering = "original",
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, run[WIDTH], 3, padding=1, bias=not run[BATCH_NORM])
        self.norm = nn.BatchNorm2d(run[WIDTH]) if run[BATCH_NORM] else nn.Identity()
        self.activation = ACTIVATIONS[run[ACTIVATION]].function
        self.blocks = nn.Sequential(*blocks)
        before = ORDERS[ordering].before
        self.last_norm = nn.BatchNorm2d(filters) if run[BATCH_NORM] and "norm" in before else nn.Identity()
        self.last_activation = self.activation if before else nn.Identity()
        self.output = nn.Linear(filters, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, outputs)."""
        x = self.activation(self.norm(self.conv(images)))  # (B, W, H, W)
        x = self.blocks(x)  # (B, filters, H/4, W/4)
        x = self.last_activation(self.last_norm(x))
        return self.output(x.mean(dim=(2, 3)))  # type: ignore[no-any-return]


def build_basic_blocks(
    run: Run, shortcut: str | None, block_size: int, ordering: Ordering = "original"
) -> list[ConvBlock]:
    """Three stages of (depth − 2) / 3 convolutions of 3×3, in blocks of `block_size`.

    A convolution has the same initial values whatever the block size, so that nets of all block sizes can be compared
    with each other and with the plain net.
    """
    layers_per_stage = (run.depth - 2) // 3
    residual_blocks = 3 * (layers_per_stage // block_size) if shortcut else 0
    number = 0  # of residual blocks so far
    blocks: list[ConvBlock] = []
    n_in = run[WIDTH]
    for stage in range(3):
        n_out = run[WIDTH] * 2**stage
        for first in range(0, layers_per_stage, block_size):
            layers = range(first, min(first + block_size, layers_per_stage))
            stride = 2 if stage > 0 and first == 0 else 1
            convolutions = []
            block_in = n_in
            for layer in layers:
                convolution = nn.Conv2d(
                    n_in, n_out, 3, stride if layer == first else 1, padding=1, bias=not run[BATCH_NORM]
                )
                pair, second = divmod(stage * layers_per_stage + layer, 2)
                convolution.initial_name = f"blocks.{pair}.conv{second + 1}"  # type: ignore[assignment]
                convolutions.append(convolution)
                n_in = n_out
            is_residual = shortcut is not None and len(layers) == block_size
            survival = 1.0
            path = None
            if shortcut is not None and is_residual:
                path = build_shortcut(shortcut, block_in, n_out, stride, batch_norm=run[BATCH_NORM])
                number += 1
                survival = linear_decay(number, residual_blocks, run[SURVIVAL])
            is_first = not blocks
            blocks.append(
                ConvBlock(run, convolutions, path, ordering=ordering, survival=survival, is_activated=is_first)
            )
    return blocks


def build_bottleneck_blocks(run: Run, expansion: int = 4) -> list[ConvBlock]:
    """Three stages of (depth − 2) / 9 blocks: 1×1 (strided), 3×3, and 1×1 to `expansion` times as many channels."""
    per_stage = (run.depth - 2) // 9
    blocks: list[ConvBlock] = []
    n_in, bias = run[WIDTH], not run[BATCH_NORM]
    for stage in range(3):
        inner = run[WIDTH] * 2**stage
        n_out = expansion * inner
        for index in range(per_stage):
            stride = 2 if stage > 0 and index == 0 else 1
            convolutions = (
                nn.Conv2d(n_in, inner, 1, stride, bias=bias),
                nn.Conv2d(inner, inner, 3, padding=1, bias=bias),
                nn.Conv2d(inner, n_out, 1, bias=bias),
            )
            blocks.append(
                ConvBlock(
                    run,
                    convolutions,
                    build_shortcut(run[SHORTCUT], n_in, n_out, stride, batch_norm=run[BATCH_NORM]),
                    ordering=run[ORDERING],
                    survival=linear_decay(len(blocks) + 1, 3 * per_stage, run[SURVIVAL]),
                    is_activated=not blocks,
                )
            )
            n_in = n_out
    return blocks


def _plain(run: Run, input_shape: tuple[int, ...], outputs: int) -> CifarNet:
    blocks = build_basic_blocks(run, shortcut=None, block_size=2)
    return CifarNet(run, input_shape[0], blocks, 4 * run[WIDTH], outputs)


def _residual(run: Run, input_shape: tuple[int, ...], outputs: int) -> CifarNet:
    blocks = build_basic_blocks(run, run[SHORTCUT], run[BLOCK_SIZE], run[ORDERING])
    return CifarNet(run, input_shape[0], blocks, 4 * run[WIDTH], outputs, run[ORDERING])


def _bottleneck(run: Run, input_shape: tuple[int, ...], outputs: int) -> CifarNet:
    return CifarNet(run, input_shape[0], build_bottleneck_blocks(run), 16 * run[WIDTH], outputs, run[ORDERING])


_DEFAULTS = {"batch_norm": True, "init": "he"}
_DEPTHS = DepthRule(first=8, step=6, formula="6n+2")

MODELS = (
    Model(
        name="plain-cnn",
        title="plain CNN, VGG-like",
        paper="He et al. 2015, §4.2",
        family="cnn",
        role="plain",
        depth_rule=_DEPTHS,
        settings=COMMON,
        defaults=_DEFAULTS,
        build=_plain,
    ),
    Model(
        name="resnet",
        title="CIFAR ResNet, basic blocks",
        paper="He et al. 2015, §4.2",
        family="cnn",
        role="residual",
        depth_rule=_DEPTHS,
        settings=(*COMMON, SHORTCUT, BLOCK_SIZE, ORDERING, SURVIVAL),
        defaults=_DEFAULTS | {"shortcut": "A", "block_size": 2},
        build=_residual,
    ),
    Model(
        name="bottleneck-resnet",
        title="CIFAR ResNet, bottleneck blocks",
        paper="He et al. 2015, §4.1; He et al. 2016, §4",
        family="cnn",
        role="other",
        depth_rule=DepthRule(first=11, step=9, formula="9n+2"),
        settings=(*COMMON, SHORTCUT, ORDERING, SURVIVAL),
        defaults=_DEFAULTS | {"shortcut": "B"},
        build=_bottleneck,
    ),
)
