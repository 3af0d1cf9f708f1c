"""Plain nets with an auxiliary loss half-way, a remedy for vanishing gradients that predates residual nets.

Lee et al. 2014, "Deeply-Supervised Nets" (arXiv 1409.5185): hidden layers get losses of their own. Szegedy et al. 2014,
"Going Deeper with Convolutions" (arXiv 1409.4842, §5): intermediate classifiers, whose losses are added with weight 0.3
while training and which are discarded at test time. He et al. 2015 (arXiv 1512.03385, §2) count them among the
predecessors of shortcuts.

Here a plain MLP (mlp.py) or plain CNN (resnet.py) has one such head. It is built like the net's own output: linear, in
a CNN after global average pooling. Its input is the output of the middle hidden layer or block (| below), or of the
first of two middle ones. The depth is that of the plain net; the head is not counted. MLPs (W = width) start at depth
2, because at depth 1 no hidden layer follows the middle one:

    d = 2:  in→W | W→W, W→out
    d = 3:  in→W, W→W | W→W, W→out

CNNs have 6n+2 layers in 3n blocks of two:

    depth  8 (n = 1):  3→W, (W→W, W→W), (W→2W, 2W→2W) | (2W→4W, 4W→4W), 4W→out
    depth 14 (n = 2):  3→W, 2 × (W→W, W→W), (W→2W, 2W→2W) | (2W→2W, 2W→2W), 2 × (…4W→4W), 4W→out

Except for the head, all names and initial values are those of the plain net; with weight 0 it trains exactly like it.
"""

from torch import Tensor, nn

from resnet_cli.models.base import AuxiliaryHead, Model
from resnet_cli.models.mlp import MLP
from resnet_cli.models.resnet import CifarNet, build_basic_blocks
from resnet_cli.models.settings import COMMON, WIDTH
from resnet_cli.settings.ranges import DepthRule
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import NotNegative, Setting

AUXILIARY_WEIGHT = Setting[float](
    "auxiliary_weight",
    NotNegative,
    "Weight of the auxiliary loss, which is added to the net's own loss.",
    default=0.3,
)


class HalfWay(nn.Module):
    """A net with an auxiliary head after its first `half_way` blocks."""

    blocks: nn.Sequential
    half_way: int
    auxiliary: AuxiliaryHead

    def pass_blocks(self, x: Tensor) -> Tensor:
        """What the last block returns, given the input of the first."""
        x = self.auxiliary(self.blocks[: self.half_way](x))
        return self.blocks[self.half_way :](x)  # type: ignore[no-any-return]


class AuxiliaryMLP(HalfWay, MLP):
    """A plain MLP with a linear head after its middle hidden layer."""

    def __init__(self, run: Run, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(run, input_shape, outputs)
        self.half_way = (run.depth + 1) // 2 - 1  # in blocks; the first hidden layer is not one
        self.auxiliary = AuxiliaryHead(nn.Linear(run[WIDTH], outputs), run[AUXILIARY_WEIGHT])


class AuxiliaryCNN(HalfWay, CifarNet):
    """A plain CNN with a head after its middle block: global average pooling and a linear layer."""

    def __init__(self, run: Run, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(run, input_shape, outputs, build_basic_blocks(run), 4 * run[WIDTH])
        self.half_way = (len(self.blocks) + 1) // 2
        filters = 2 * run[WIDTH]  # the middle block is always in the second stage
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(filters, outputs))
        self.auxiliary = AuxiliaryHead(head, run[AUXILIARY_WEIGHT])


MODELS = (
    Model(
        name="auxiliary-mlp",
        title="plain MLP with an auxiliary loss half-way",
        paper="Lee et al. 2014; Szegedy et al. 2014, §5",
        family="mlp",
        depth_rule=DepthRule(first=2, step=1, formula="n"),
        settings=(*COMMON, AUXILIARY_WEIGHT),
        defaults={"batch_norm": False, "init": "default"},
        build=AuxiliaryMLP,
    ),
    Model(
        name="auxiliary-cnn",
        title="plain CNN with an auxiliary loss half-way",
        paper="Lee et al. 2014; Szegedy et al. 2014, §5",
        family="cnn",
        depth_rule=DepthRule(first=8, step=6, formula="6n+2"),
        settings=(*COMMON, AUXILIARY_WEIGHT),
        defaults={"batch_norm": True, "init": "he"},
        build=AuxiliaryCNN,
    ),
)
