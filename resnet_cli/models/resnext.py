"""ResNeXt for small images: bottleneck blocks with many narrow branches that are summed, in three equivalent forms.

Xie et al. 2017, "Aggregated Residual Transformations for Deep Neural Networks" (arXiv 1611.05431, §3.3, §4, §5.3).

A 3×3 convolution, three stages of n blocks at full, half and quarter resolution, global average pooling and a linear
output. A block of the first stage has C branches (the cardinality), each a 1×1 convolution to d channels (the group
width), a 3×3 convolution and a 1×1 convolution to 4W channels (W = width); their sum is added to the shortcut (eq. 3).
All numbers of channels double from stage to stage. The first 3×3 convolutions of stages two and three have stride 2.
The depth is 9n+2; with D = C·d:

    depth 11 (n = 1):  3→W | W→D, D→D, D→4W | 4W→2D, 2D→2D, 2D→8W | 8W→4D, 4D→4D, 4D→16W | 16W→out
    depth 20 (n = 2):  as above, and after each block one more: 4W→D, D→D, D→4W | ... | 16W→4D, 4D→4D, 4D→16W

Fig. 3 shows three forms of the branches that compute the same function:

    a  every convolution branch by branch, the outputs of the last ones summed
    b  the first two convolutions branch by branch, their outputs concatenated, then a single 1×1 convolution
    c  a 1×1 convolution, a grouped 3×3 convolution with C groups, a 1×1 convolution

All forms have the parameters of form c under the same names, so a state dict of one fits the others: the branches of a
and b use their parts of the weights. A norm follows every convolution; the last one comes after the branches are summed
(§4, footnote). Norm, activation and dropout treat every channel separately, so they are shared by all branches.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.models.base import Model, convolution
from resnet_cli.models.resnet import CifarNet, build_blocks
from resnet_cli.models.settings import BATCH_NORM, COMMON, SHORTCUT, WIDTH
from resnet_cli.settings.ranges import DepthRule
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Count, Setting

CARDINALITY = Setting[int]("cardinality", Count, "Cardinality (C): number of branches in a block.", default=8)
GROUP_WIDTH = Setting[int](
    "group_width",
    Count,
    "Channels of each branch in the first stage (d); unless set, 2·width / cardinality, rounded down, at least 1.",
)
FORM = Setting[Literal["a", "b", "c"]](
    "form",
    Literal["a", "b", "c"],
    "How the branches are computed (Xie et al. 2017, Fig. 3): a separately and summed, b concatenated before the last "
    "convolution, c as one grouped convolution.",
    default="c",
)


class BranchedConv2d(nn.Conv2d):
    """A convolution that is computed branch by branch, each with its part of the weights.

    Each branch has either all input channels or, with `splits_inputs`, its own; and either output channels of its own
    or, with `sums_outputs`, all of them, to be summed. Inputs are padded so that stride 1 keeps their size.
    """

    def __init__(
        self,
        run: Run,
        n_in: int,
        n_out: int,
        size: int,
        stride: int = 1,
        *,
        splits_inputs: bool = False,
        sums_outputs: bool = False,
    ) -> None:
        groups = run[CARDINALITY] if splits_inputs and not sums_outputs else 1
        super().__init__(n_in, n_out, size, stride, size // 2, groups=groups, bias=not run[BATCH_NORM])
        self.branches, self.splits_inputs, self.sums_outputs = run[CARDINALITY], splits_inputs, sums_outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        parts = inputs.chunk(self.branches, dim=1) if self.splits_inputs else [inputs] * self.branches
        weights = self.weight.chunk(self.branches, dim=1 if self.sums_outputs else 0)
        first, *others = (
            F.conv2d(part, weight, stride=self.stride, padding=self.padding)
            for part, weight in zip(parts, weights, strict=True)
        )
        outputs = sum(others, first) if self.sums_outputs else torch.cat([first, *others], dim=1)
        return outputs if self.bias is None else outputs + self.bias[:, None, None]


def _build(run: Run, input_shape: tuple[int, ...], outputs: int) -> CifarNet:
    group_width = run.get(GROUP_WIDTH) or max(1, 2 * run[WIDTH] // run[CARDINALITY])

    def convolutions(n_in: int, scale: int, stride: int) -> tuple[nn.Conv2d, ...]:
        inner = run[CARDINALITY] * group_width * scale  # channels of all branches together
        last = convolution(run, inner, 4 * run[WIDTH] * scale, 1)
        if run[FORM] == "c":
            middle = convolution(run, inner, inner, 3, stride, groups=run[CARDINALITY])
            return convolution(run, n_in, inner, 1), middle, last
        if run[FORM] == "a":
            last = BranchedConv2d(run, inner, last.out_channels, 1, splits_inputs=True, sums_outputs=True)
        middle = BranchedConv2d(run, inner, inner, 3, stride, splits_inputs=True)
        return BranchedConv2d(run, n_in, inner, 1), middle, last

    blocks, filters = build_blocks(run, [(run.depth - 2) // 9] * 3, convolutions)
    return CifarNet(run, input_shape, outputs, blocks, filters)


MODELS = (
    Model(
        name="resnext",
        title="ResNeXt, bottleneck blocks with many branches",
        paper="Xie et al. 2017, §3.3, §5.3",
        family="cnn",
        depth_rule=DepthRule(first=11, step=9, formula="9n+2"),
        settings=(*COMMON, SHORTCUT, CARDINALITY, GROUP_WIDTH, FORM),
        defaults={"batch_norm": True, "init": "he", "shortcut": "B"},
        build=_build,
    ),
)
