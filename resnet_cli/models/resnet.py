"""CIFAR networks of He et al. 2015, "Deep Residual Learning" (arXiv 1512.03385, §4.2), plain and residual.

A 3×3 convolution, three stages of 2n 3×3 convolutions on maps of full, half and quarter size with W, 2W and 4W
filters, global average pooling and a linear output: depth 6n+2 (W = width, 16 in the paper):

    depth  8 (n = 1):  3→W | W→W, W→W | W→2W, 2W→2W | 2W→4W, 4W→4W | 4W→out
    depth 14 (n = 2):  3→W | 4 × W→W | W→2W, 3 × 2W→2W | 2W→4W, 3 × 4W→4W | 4W→out

The plain net is the same without shortcuts. A shortcut spans two convolutions and is the identity where shapes agree.
Where a stage begins they do not, and the shortcut is (§3.3, §4.1) A: every second pixel, with zeros for the new
filters; B: a strided 1×1 convolution; C: 1×1 convolutions for all shortcuts.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.models.base import ACTIVATIONS, Dropout, Model
from resnet_cli.spec.ranges import DepthRule
from resnet_cli.spec.run import Run


class ZeroPaddingShortcut(nn.Module):
    """Option A: subsample the map by `stride` and append `extra_filters` maps of zeros. No parameters."""

    def __init__(self, stride: int, extra_filters: int) -> None:
        super().__init__()
        self.stride, self.extra_filters = stride, extra_filters

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C + extra, H / stride, W / stride)."""
        sampled = inputs[:, :, :: self.stride, :: self.stride]
        return F.pad(sampled, (0, 0, 0, 0, 0, self.extra_filters))


def _shortcut(option: str, n_in: int, n_out: int, stride: int, batch_norm: bool) -> nn.Module:
    same_shape = n_in == n_out and stride == 1
    if option == "C" or (option == "B" and not same_shape):
        projection = nn.Conv2d(n_in, n_out, 1, stride, bias=not batch_norm)
        return nn.Sequential(projection, nn.BatchNorm2d(n_out)) if batch_norm else projection
    return nn.Identity() if same_shape else ZeroPaddingShortcut(stride, n_out - n_in)


class Block(nn.Module):
    """Two 3×3 convolutions; with a shortcut option (A, B, C) the input is added before the last activation."""

    def __init__(self, run: Run, n_in: int, n_out: int, stride: int, shortcut: str | None) -> None:
        super().__init__()
        bias = not run.batch_norm
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=bias)
        self.norm1 = nn.BatchNorm2d(n_out) if run.batch_norm else nn.Identity()
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=bias)
        self.norm2 = nn.BatchNorm2d(n_out) if run.batch_norm else nn.Identity()
        self.dropout = Dropout(run.dropout)
        self.activation = ACTIVATIONS[run.activation]
        self.shortcut = _shortcut(shortcut, n_in, n_out, stride, run.batch_norm) if shortcut else None

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        response = self.dropout(self.activation(self.norm1(self.conv1(inputs))))
        response = self.norm2(self.conv2(response))
        if self.shortcut is not None:
            response = response + self.shortcut(inputs)
        return self.activation(response)


class CifarNet(nn.Module):
    """The whole net for images (C, H, W) whose sides are multiples of four."""

    def __init__(self, run: Run, input_shape: tuple[int, ...], outputs: int, shortcut: str | None) -> None:
        super().__init__()
        blocks_per_stage = (run.depth - 2) // 6
        filters = [run.width, 2 * run.width, 4 * run.width]
        self.conv = nn.Conv2d(input_shape[0], run.width, 3, padding=1, bias=not run.batch_norm)
        self.norm = nn.BatchNorm2d(run.width) if run.batch_norm else nn.Identity()
        self.activation = ACTIVATIONS[run.activation]
        blocks: list[Block] = []
        n_in = run.width
        for stage, n_out in enumerate(filters):
            for index in range(blocks_per_stage):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(Block(run, n_in, n_out, stride, shortcut))
                n_in = n_out
        self.blocks = nn.Sequential(*blocks)
        self.output = nn.Linear(n_in, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, outputs)."""
        signal = self.activation(self.norm(self.conv(images)))  # (B, W, H, W)
        signal = self.blocks(signal)  # (B, 4W, H/4, W/4)
        return self.output(signal.mean(dim=(2, 3)))  # type: ignore[no-any-return]


def _plain(run: Run, input_shape: tuple[int, ...], outputs: int) -> CifarNet:
    return CifarNet(run, input_shape, outputs, shortcut=None)


def _residual(run: Run, input_shape: tuple[int, ...], outputs: int) -> CifarNet:
    return CifarNet(run, input_shape, outputs, shortcut=run.shortcut)


_SETTINGS = frozenset({"width", "activation", "batch_norm", "dropout", "init", "init_std"})
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
        settings=_SETTINGS,
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
        settings=_SETTINGS | {"shortcut"},
        defaults=_DEFAULTS | {"shortcut": "A"},
        build=_residual,
    ),
)
