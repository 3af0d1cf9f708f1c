"""ImageNet networks: VGG, ResNet and its plain twin, and DenseNet, for counting and for small images.

VGG: Simonyan & Zisserman 2014, "Very Deep Convolutional Networks" (arXiv 1409.1556, Table 1, configurations A, B, D
and E). ResNet and the plain net: He et al. 2015, "Deep Residual Learning" (arXiv 1512.03385, §3.3, §4.1, Fig. 3, Table
1). DenseNet: Huang et al. 2017, "Densely Connected Convolutional Networks" (arXiv 1608.06993, Table 1).

W = width (64 in the papers). VGG consists of five stages of 3×3 convolutions, each ending in 2×2 max pooling, and three
linear layers, which are counted as well; dropout follows the two hidden ones:

    depth 11:  3→W | W→2W | 2W→4W, 4W→4W | 4W→8W, 8W→8W | 8W→8W, 8W→8W | 392W→64W, 64W→64W, 64W→out
    depth 13:  3→W, W→W | W→2W, 2W→2W | the rest as in depth 11

Depths 16 and 19 have one and two more 3×3 convolutions in each of the last three stages. The paper uses no batch norm
and a learning rate of 0.01, and initialises deep nets from trained shallow ones; He initialisation makes the latter
unnecessary.

ResNet is a 7×7 convolution with stride 2, 3×3 max pooling with stride 2, four stages of blocks, global average pooling
and a linear output. Projections in shortcuts (option B) are not counted; depths from 50 on have bottlenecks:

    depth 18:  3→W | 4 × W→W | W→2W, 3 × 2W→2W | 2W→4W, 3 × 4W→4W | 4W→8W, 3 × 8W→8W | 8W→out
    depth 34:  3→W | 6 × W→W | W→2W, 7 × 2W→2W | 2W→4W, 11 × 4W→4W | 4W→8W, 5 × 8W→8W | 8W→out
    depth 50:  3→W | W→W, W→W, W→4W, 2 × (4W→W, W→W, W→4W) | ... | ..., 2 × (32W→8W, 8W→8W, 8W→32W) | 32W→out

The stride of a bottleneck is on its 3×3 convolution, as in all later implementations, so depth 50 has 4.1 G
multiply-adds at 224×224. The paper's 3.8 G result from a stride on the first 1×1 convolution. The plain net is the
ResNet of depth 18 or 34 without shortcuts.

DenseNet begins like ResNet. Four dense blocks of bottleneck layers follow (densenet.py; k = growth rate, 32 in the
paper), with transitions that halve the channels and the resolution between them; then norm, activation, global average
pooling and a linear output. Each layer is two convolutions, so the depth is 2(6 + 12 + 24 + 16) + 5 = 121:

    depth 121:   6,  12,  24,  16 layers in the four dense blocks
    depth 169:   6,  12,  32,  32

What the paper calls DenseNet-264 (6, 12, 64, 48) has 265 such layers.

Smaller images work too: feature maps stop shrinking at 1×1. The input of VGG's first linear layer is 7×7 pixels where
the image is 224×224. Larger feature maps are averaged to 7×7 and smaller ones stay as they are, so that the layer has
49 times fewer weights for images of up to 32×32. No other layer depends on the image size.
"""

from math import ceil, prod

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.models.base import Dropout, Model, activation_of, convolution, norm_of
from resnet_cli.models.densenet import COMPRESSION, GROWTH_RATE, build_dense_blocks
from resnet_cli.models.resnet import CifarNet, build_blocks
from resnet_cli.models.settings import COMMON, DROPOUT, SHORTCUT, WIDTH
from resnet_cli.settings.ranges import DepthRule
from resnet_cli.settings.run import Run

SIDE = 224
CLASSES = 1000

VGG_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions in each stage, by depth."""

RESNET_STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks in each stage, by depth."""

SHALLOWEST_BOTTLENECKS = 50

DENSENET_STAGES = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32), 264: (6, 12, 64, 48)}
"""Layers in each dense block, by depth."""


class PooledConvolution(nn.Module):
    """Max pooling at the start of a stage, then a 3×3 convolution, norm and activation."""

    def __init__(self, run: Run, n_in: int, n_out: int, *, pools: bool) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, ceil_mode=True) if pools else nn.Identity()
        self.conv = convolution(run, n_in, n_out, 3)
        self.norm = norm_of(run, n_out)
        self.activation = activation_of(run)

    def forward(self, images: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, n_out, H, W); `pools` halves height and width, rounded up."""
        return self.activation(self.norm(self.conv(self.pool(images))))


class VGG(nn.Module):
    """Convolutions, the first by itself and the others as blocks, then two hidden linear layers and the output."""

    def __init__(self, run: Run, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        layers: list[PooledConvolution] = []
        n_in, *sides = input_shape
        for stage, count in enumerate(VGG_STAGES[run.depth]):
            n_out = run[WIDTH] * min(2**stage, 8)
            for index in range(count):
                layers.append(PooledConvolution(run, n_in, n_out, pools=stage > 0 and index == 0))
                n_in = n_out
        self.first = layers[0]
        self.blocks = nn.Sequential(*layers[1:])
        height, width = (min(7, ceil(side / 2**5)) for side in sides)
        self.sides = height, width
        hidden = 64 * run[WIDTH]
        self.hidden = nn.ModuleList((nn.Linear(n_in * prod(self.sides), hidden), nn.Linear(hidden, hidden)))
        self.output = nn.Linear(hidden, outputs)
        self.dropout = Dropout(run[DROPOUT])
        self.activation = activation_of(run)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, outputs)."""
        x = self.blocks(self.first(images))  # (B, 8W, H/16, W/16)
        x = F.max_pool2d(x, 2, ceil_mode=True)
        x = F.adaptive_avg_pool2d(x, self.sides).flatten(1)
        for layer in self.hidden:
            x = self.dropout(self.activation(layer(x)))  # (B, 64W)
        return self.output(x)  # type: ignore[no-any-return]


class ImagenetNet(CifarNet):
    """A 7×7 convolution, max pooling, blocks, global average pooling and a linear output; arguments as of CifarNet."""

    first_size, first_stride = 7, 2

    def begin(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, W, H/4, W/4)."""
        return F.max_pool2d(super().begin(images), 3, stride=2, padding=1)


class ImagenetResNet(ImagenetNet):
    """Four stages of basic or bottleneck blocks, which are plain in a run without a shortcut."""

    def __init__(self, run: Run, input_shape: tuple[int, ...], outputs: int) -> None:
        def convolutions(n_in: int, scale: int, stride: int) -> tuple[nn.Conv2d, ...]:
            inner = run[WIDTH] * scale
            if run.depth < SHALLOWEST_BOTTLENECKS:
                return convolution(run, n_in, inner, 3, stride), convolution(run, inner, inner, 3)
            middle = convolution(run, inner, inner, 3, stride)
            return convolution(run, n_in, inner, 1), middle, convolution(run, inner, 4 * inner, 1)

        blocks, filters = build_blocks(run, RESNET_STAGES[run.depth], convolutions)
        super().__init__(run, input_shape, outputs, blocks, filters)


class ImagenetDenseNet(ImagenetNet):
    """Four dense blocks with transitions between them."""

    def __init__(self, run: Run, input_shape: tuple[int, ...], outputs: int) -> None:
        blocks, filters = build_dense_blocks(run, DENSENET_STAGES[run.depth])
        super().__init__(run, input_shape, outputs, blocks, filters, "full-preactivation")


MODELS = (
    Model(
        name="vgg",
        title="VGG",
        paper="Simonyan & Zisserman 2014, Table 1",
        family="cnn",
        depth_rule=DepthRule.of(*VGG_STAGES),
        settings=COMMON,
        defaults={"width": 64, "batch_norm": False, "dropout": 0.5, "init": "he"},
        build=VGG,
    ),
    Model(
        name="imagenet-resnet",
        title="ImageNet ResNet, basic and bottleneck blocks",
        paper="He et al. 2015, Table 1",
        family="cnn",
        depth_rule=DepthRule.of(*RESNET_STAGES),
        settings=(*COMMON, SHORTCUT),
        defaults={"width": 64, "batch_norm": True, "init": "he", "shortcut": "B"},
        build=ImagenetResNet,
    ),
    Model(
        name="imagenet-plain",
        title="ImageNet ResNet without shortcuts",
        paper="He et al. 2015, Fig. 3",
        family="cnn",
        depth_rule=DepthRule.of(*(depth for depth in RESNET_STAGES if depth < SHALLOWEST_BOTTLENECKS)),
        settings=COMMON,
        defaults={"width": 64, "batch_norm": True, "init": "he"},
        build=ImagenetResNet,
    ),
    Model(
        name="imagenet-densenet",
        title="ImageNet DenseNet",
        paper="Huang et al. 2017, Table 1",
        family="cnn",
        depth_rule=DepthRule.of(*DENSENET_STAGES),
        settings=(*COMMON, GROWTH_RATE, COMPRESSION),
        defaults={"width": 64, "batch_norm": True, "init": "he", "growth_rate": 32},
        build=ImagenetDenseNet,
    ),
)

COMPARED = {
    "VGG": ("vgg", (16, 19)),
    "ResNet": ("imagenet-resnet", tuple(RESNET_STAGES)),
    "DenseNet": ("imagenet-densenet", tuple(DENSENET_STAGES)),
}
"""The nets that papers compare by size: model and depths by the name that they use."""

DRAWN = {"VGG-19": ("vgg", 19), "plain-34": ("imagenet-plain", 34), "ResNet-34": ("imagenet-resnet", 34)}
"""The nets of He et al. 2015, Fig. 3: model and depth by the name there."""
