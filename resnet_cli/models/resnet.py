"""CIFAR networks of He et al., plain and residual: basic and bottleneck blocks, five orderings, three shortcuts.

He15: He et al. 2015, "Deep Residual Learning" (arXiv 1512.03385, §4.2); He16: He et al. 2016, "Identity Mappings in
Deep Residual Networks" (arXiv 1603.05027); Huang et al. 2016, "Deep Networks with Stochastic Depth" (arXiv 1603.09382);
De & Smith 2020, "Batch Normalization Biases Residual Blocks Towards the Identity Function in Deep Networks" (arXiv
2002.10444): a learnt scalar that starts at 0 after each branch, to be used without batch norm.

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

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.models.base import Block, Dropout, Model, Step, activation_of, convolution, linear_decay, norm_of
from resnet_cli.models.settings import (
    BATCH_NORM,
    BLOCK_SIZE,
    BRANCH_SCALE,
    COMMON,
    DROPOUT,
    ORDERING,
    SHORTCUT,
    SURVIVAL,
    WIDTH,
    Ordering,
    has_scaled_branches,
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


def build_shortcut(run: Run, n_in: int, n_out: int, stride: int) -> nn.Module:
    """The shortcut around a block, by the options A, B or C; batch norm follows projections."""
    same_shape = n_in == n_out and stride == 1
    if run[SHORTCUT] == "C" or (run[SHORTCUT] == "B" and not same_shape):
        projection = convolution(run, n_in, n_out, 1, stride)
        return nn.Sequential(projection, norm_of(run, n_out)) if run[BATCH_NORM] else projection
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
        run: for `activation`, `batch_norm`, `dropout` (before every convolution but the first of several) and, where it
            applies, `branch_scale`.
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
        has_norm_first = "norm" in order.before
        for number, layer in enumerate(convolutions, 1):
            filters: Any = layer.in_channels if has_norm_first else layer.out_channels
            is_normed = has_norm_first and number == 1 and is_activated
            norm = nn.Identity() if is_normed else norm_of(run, filters)
            self.add_module(f"conv{number}", layer)
            self.add_module(f"norm{number}", norm)
            steps: dict[str, Step] = {"norm": norm, "activation": activation_of(run)}
            before = [steps[name] for name in order.before]
            after = order.after_last if number == len(convolutions) else order.after
            if number > 1:
                self.branch += before
            elif not is_activated:
                self.entry = before
            if number > 1 or len(convolutions) == 1:
                self.branch.append(dropout)
            self.branch += [layer, *(steps[name] for name in after)]
        self.exit = [steps[name] for name in order.exit]
        self.dropout = dropout
        self.add_shortcut(shortcut, survival, is_scaled=has_scaled_branches(run))


class CifarNet(nn.Module):
    """A 3×3 convolution with norm and activation, blocks, global average pooling and a linear output.

    For images (C, H, W) whose sides are multiples of four.

    Args:
        run: for `width`, `activation` and `batch_norm`.
        input_shape: (C, H, W).
        outputs: number of outputs.
        blocks: from `width` to `filters` channels.
        filters: number of channels after the last block.
        ordering: of the blocks; if they are pre-activated, the last is followed by the norm and activation with which
            another block would begin.
    """

    first_size, first_stride = 3, 1  # of the convolution before the blocks

    def __init__(
        self,
        run: Run,
        input_shape: tuple[int, ...],
        outputs: int,
        blocks: Sequence[nn.Module],
        filters: int,
        ordering: Ordering = "original",
    ) -> None:
        super().__init__()
        self.conv = convolution(run, input_shape[0], run[WIDTH], self.first_size, self.first_stride)
        self.norm = norm_of(run, run[WIDTH])
        self.activation = activation_of(run)
        self.blocks = nn.Sequential(*blocks)
        before = ORDERS[ordering].before
        self.last_norm = norm_of(run, filters) if "norm" in before else nn.Identity()
        self.last_activation = self.activation if before else nn.Identity()
        self.output = nn.Linear(filters, outputs)

    def begin(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to the input of the first block."""
        return self.activation(self.norm(self.conv(images)))

    def pass_blocks(self, x: Tensor) -> Tensor:
        """(B, W, H, W) to (B, filters, H/4, W/4)."""
        return self.blocks(x)  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, outputs)."""
        x = self.last_activation(self.last_norm(self.pass_blocks(self.begin(images))))
        return self.output(x.mean(dim=(2, 3)))  # type: ignore[no-any-return]


def numbered_convolution(run: Run, n_in: int, n_out: int, number: int) -> nn.Conv2d:
    """Convolution `number` of 3×3, from 0, with the same initial values in all nets; new channels make its stride 2."""
    pair, second = divmod(number, 2)
    numbered = convolution(run, n_in, n_out, 3, stride=1 if n_in == n_out else 2)
    numbered.initial_name = f"blocks.{pair}.conv{second + 1}"  # type: ignore[assignment]
    return numbered


def build_basic_blocks(run: Run) -> list[ConvBlock]:
    """Three stages of (depth − 2) / 3 convolutions of 3×3, in blocks of `block_size`; of two where it does not apply.

    A convolution has the same initial values whatever the block size, so that nets of all block sizes can be compared
    with each other and with the plain net.
    """
    per_stage, size, option = (run.depth - 2) // 3, run.get(BLOCK_SIZE) or 2, run.get(SHORTCUT)
    blocks: list[ConvBlock] = []
    n_in = run[WIDTH]
    for stage in range(3):
        n_out = run[WIDTH] * 2**stage
        for first in range(0, per_stage, size):
            layers = range(first, min(first + size, per_stage))
            convolutions = [
                numbered_convolution(run, n_in if layer == first else n_out, n_out, stage * per_stage + layer)
                for layer in layers
            ]
            shortcut, survival = None, 1.0
            if option is not None and len(layers) == size:
                shortcut = build_shortcut(run, n_in, n_out, convolutions[0].stride[0])
                number = stage * (per_stage // size) + first // size + 1  # of residual blocks
                survival = linear_decay(number, 3 * (per_stage // size), run[SURVIVAL])
            ordering = run.get(ORDERING) or "original"
            blocks.append(
                ConvBlock(run, convolutions, shortcut, ordering=ordering, survival=survival, is_activated=not blocks)
            )
            n_in = n_out
    return blocks


def build_blocks(
    run: Run, counts: Sequence[int], convolutions: Callable[[int, int, int], Sequence[nn.Conv2d]]
) -> tuple[list[ConvBlock], int]:
    """Stages of blocks, the first of which has stride 2 in all stages but the first; residual if runs have a shortcut.

    Args:
        run: for `width`, `shortcut` and, where they apply, `ordering` and `survival`.
        counts: number of blocks in each stage.
        convolutions: those of a block, from its input channels, 2 to the power of its stage (from 0), and its stride.

    Returns:
        The blocks, and the number of channels after the last.
    """
    blocks: list[ConvBlock] = []
    n_in = run[WIDTH]
    for stage, count in enumerate(counts):
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            of_block = convolutions(n_in, 2**stage, stride)
            n_out = of_block[-1].out_channels
            blocks.append(
                ConvBlock(
                    run,
                    of_block,
                    build_shortcut(run, n_in, n_out, stride) if run.get(SHORTCUT) else None,
                    ordering=run.get(ORDERING) or "original",
                    survival=linear_decay(len(blocks) + 1, sum(counts), run.get(SURVIVAL) or 1.0),
                    is_activated=not blocks,
                )
            )
            n_in = n_out
    return blocks, n_in


def _basic(run: Run, input_shape: tuple[int, ...], outputs: int) -> CifarNet:
    ordering = run.get(ORDERING) or "original"
    return CifarNet(run, input_shape, outputs, build_basic_blocks(run), 4 * run[WIDTH], ordering)


def _bottleneck(run: Run, input_shape: tuple[int, ...], outputs: int) -> CifarNet:
    def convolutions(n_in: int, scale: int, stride: int) -> tuple[nn.Conv2d, ...]:
        inner = run[WIDTH] * scale
        first = convolution(run, n_in, inner, 1, stride)
        return first, convolution(run, inner, inner, 3), convolution(run, inner, 4 * inner, 1)

    blocks, filters = build_blocks(run, [(run.depth - 2) // 9] * 3, convolutions)
    return CifarNet(run, input_shape, outputs, blocks, filters, run[ORDERING])


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
        build=_basic,
    ),
    Model(
        name="resnet",
        title="CIFAR ResNet, basic blocks",
        paper="He et al. 2015, §4.2",
        family="cnn",
        role="residual",
        depth_rule=_DEPTHS,
        settings=(*COMMON, SHORTCUT, BLOCK_SIZE, ORDERING, SURVIVAL, BRANCH_SCALE),
        defaults=_DEFAULTS | {"shortcut": "A", "block_size": 2},
        build=_basic,
    ),
    Model(
        name="bottleneck-resnet",
        title="CIFAR ResNet, bottleneck blocks",
        paper="He et al. 2015, §4.1; He et al. 2016, §4",
        family="cnn",
        depth_rule=DepthRule(first=11, step=9, formula="9n+2"),
        settings=(*COMMON, SHORTCUT, ORDERING, SURVIVAL),
        defaults=_DEFAULTS | {"shortcut": "B"},
        build=_bottleneck,
    ),
)
