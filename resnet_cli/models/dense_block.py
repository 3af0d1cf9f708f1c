"""The residual dense block of Data Basecamp's article on ResNets, and an MLP of such blocks.

Data Basecamp, "ResNet: Residual Neural Networks - easily explained!", describes it in words: a dense layer of 1024
units is followed by a block of a dropout layer and two dense layers, which reduce the width to 512 units and restore it
to 1024; then the block's input is added. The article mentions no activations. They are placed as in He et al. 2015
(arXiv 1512.03385, §3.2, Fig. 2), between the two layers and after the addition:

    y = relu(x + W₂ relu(W₁ dropout(x)))

Depth 2n+1 means 2n+1 hidden layers, of which 2n in n blocks, then a linear output (W = width, V = inner width; 1024
and 512 in the article):

    depth 3 (n = 1):  in→W, (W→V, V→W), W→out
    depth 5 (n = 2):  in→W, (W→V, V→W), (W→V, V→W), W→out

With V = W and without dropout it is the residual MLP with a skip over every two layers (mlp.py), including the initial
values. Batch norm, which the article does not mention, comes before each activation.
"""

from torch import nn

from resnet_cli.models.base import Block, Dropout, Model, activation_of
from resnet_cli.models.mlp import FlatNet, build_layer
from resnet_cli.models.settings import COMMON, DROPOUT, WIDTH
from resnet_cli.settings.ranges import DepthRule
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Count, Setting

INNER_WIDTH = Setting[int](
    "inner_width",
    Count,
    "Units of the narrow layer in a residual dense block; unless set, half the width, rounded up.",
)


class ResidualDenseBlock(Block):
    """Dropout, a layer W→V, a layer V→W, and the input added back; `first` hidden layers are before the block."""

    def __init__(self, run: Run, first: int) -> None:
        super().__init__()
        inner = run.get(INNER_WIDTH) or (run[WIDTH] + 1) // 2
        self.dropout = Dropout(run[DROPOUT])
        self.narrow = build_layer(run, run[WIDTH], inner, first)
        self.widen = build_layer(run, inner, run[WIDTH], first + 1)
        activation = activation_of(run)
        self.branch = self.dropout, self.narrow, activation, self.widen
        self.exit = (activation,)
        self.add_shortcut(nn.Identity())


def _build(run: Run, input_shape: tuple[int, ...], outputs: int) -> FlatNet:
    return FlatNet(run, input_shape, outputs, (ResidualDenseBlock(run, first) for first in range(1, run.depth, 2)))


MODELS = (
    Model(
        name="residual-dense-mlp",
        title="MLP of residual dense blocks",
        paper="Data Basecamp; He et al. 2015, Fig. 2",
        family="mlp",
        depth_rule=DepthRule(first=3, step=2, formula="2n+1"),
        settings=(*COMMON, INNER_WIDTH),
        defaults={"batch_norm": False, "init": "default"},
        build=_build,
    ),
)
