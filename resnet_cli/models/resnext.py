"""ResNeXt for small images: bottleneck blocks whose residual is a sum over many narrow branches, in three equal forms.

Xie et al. 2017, "Aggregated Residual Transformations for Deep Neural Networks" (arXiv 1611.05431, §3.3, §4, §5.3).

A 3×3 convolution, three stages of n blocks on maps of full, half and quarter size, global average pooling and a linear
output. A block of the first stage has C branches (the cardinality), each a 1×1 convolution to d maps (the group width),
a 3×3 convolution and a 1×1 convolution to 4W maps (W = width); their sum is added to the shortcut (eq. 3). A stage has
twice as many maps as the one before, everywhere. The first 3×3 convolutions of stages two and three have stride 2.
Depth 9n+2, where D = C·d:

    depth 11 (n = 1):  3→W | W→D, D→D, D→4W | 4W→2D, 2D→2D, 2D→8W | 8W→4D, 4D→4D, 4D→16W | 16W→out
    depth 20 (n = 2):  as above, and after each block one more: 4W→D, D→D, D→4W | ... | 16W→4D, 4D→4D, 4D→16W

Fig. 3 gives three forms of the branches that compute the same function:

    a  every convolution branch by branch, the last ones summed
    b  the first two branch by branch, then their maps joined, and one 1×1 convolution of all
    c  one 1×1 convolution, a grouped 3×3 convolution with C groups, one 1×1 convolution

All forms have the parameters of form c, by the same names, so a state of one is a state of the others: the branches of
a and b read their shares of the weights. A norm follows every convolution, the last one after the branches are summed
(§4, footnote). Norm, activation and dropout treat every map by itself, so they serve all branches at once.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.models.base import Model
from resnet_cli.models.resnet import Block, CifarNet, build_shortcut
from resnet_cli.spec.ranges import DepthRule
from resnet_cli.spec.run import Count, Run
from resnet_cli.spec.setting import Setting

CARDINALITY = Setting("cardinality", Count, 8, "Number of branches of a block (C).")
GROUP_WIDTH = Setting(
    "group_width",
    Count,
    None,
    "Maps of a branch in the first stage (d); unless set 2·width / cardinality, rounded down, 1 at least.",
)
FORM = Setting(
    "form",
    Literal["a", "b", "c"],
    "c",
    "How branches are computed (Fig. 3): a apart and summed, b joined early, c as a grouped convolution.",
)


class BranchedConv2d(nn.Conv2d):
    """A convolution computed for each branch by itself, on its share of the weights of the whole.

    Args:
        n_in: maps read, by all branches together.
        n_out: maps given, by all branches together.
        kernel_size: height and width of the kernel; the map is padded to keep its size.
        branches: number of branches.
        step: split - each branch reads all maps and gives maps of its own; transform - it reads and gives its own (a
            grouped convolution); aggregate - it reads its own, and the branches are summed.
        stride: of the kernel.
        bias: whether to add a bias.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel_size: int,
        *,
        branches: int,
        step: Literal["split", "transform", "aggregate"],
        stride: int = 1,
        bias: bool,
    ) -> None:
        groups = branches if step == "transform" else 1
        super().__init__(n_in, n_out, kernel_size, stride, kernel_size // 2, groups=groups, bias=bias)
        self.branches, self.step = branches, step

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        read = [inputs] * self.branches if self.step == "split" else inputs.chunk(self.branches, dim=1)
        weights = self.weight.chunk(self.branches, dim=1 if self.step == "aggregate" else 0)
        branches = [
            F.conv2d(maps, weight, stride=self.stride, padding=self.padding)
            for maps, weight in zip(read, weights, strict=True)
        ]
        outputs = sum(branches[1:], branches[0]) if self.step == "aggregate" else torch.cat(branches, dim=1)
        return outputs if self.bias is None else outputs + self.bias[:, None, None]


def _convolutions(run: Run, n_in: int, inner: int, n_out: int, stride: int) -> tuple[nn.Conv2d, nn.Conv2d, nn.Conv2d]:
    """The convolutions of a block, with `inner` maps in all its branches together."""
    branches, form, bias = run["cardinality"], run["form"], not run.batch_norm
    if form == "c":
        return (
            nn.Conv2d(n_in, inner, 1, bias=bias),
            nn.Conv2d(inner, inner, 3, stride, padding=1, groups=branches, bias=bias),
            nn.Conv2d(inner, n_out, 1, bias=bias),
        )
    return (
        BranchedConv2d(n_in, inner, 1, branches=branches, step="split", bias=bias),
        BranchedConv2d(inner, inner, 3, branches=branches, step="transform", stride=stride, bias=bias),
        BranchedConv2d(inner, n_out, 1, branches=branches, step="aggregate", bias=bias)
        if form == "a"
        else nn.Conv2d(inner, n_out, 1, bias=bias),
    )


def _build(run: Run, input_shape: tuple[int, ...], outputs: int) -> CifarNet:
    assert run.shortcut is not None
    group_width = run["group_width"] or max(1, 2 * run.width // run["cardinality"])
    blocks: list[Block] = []
    n_in = run.width
    for stage in range(3):
        inner = run["cardinality"] * group_width * 2**stage
        n_out = 4 * run.width * 2**stage
        for index in range((run.depth - 2) // 9):
            stride = 2 if stage > 0 and index == 0 else 1
            shortcut = build_shortcut(run.shortcut, n_in, n_out, stride, batch_norm=run.batch_norm)
            blocks.append(Block(run, _convolutions(run, n_in, inner, n_out, stride), shortcut))
            n_in = n_out
    return CifarNet(run, input_shape[0], blocks, n_in, outputs)


MODELS = (
    Model(
        name="resnext",
        title="ResNeXt, bottleneck blocks with many branches",
        paper="Xie et al. 2017, §3.3, §5.3",
        family="cnn",
        role="other",
        depth_rule=DepthRule(first=11, step=9, formula="9n+2"),
        settings=frozenset({"width", "shortcut", "activation", "batch_norm", "dropout", "init", "init_std"}),
        options=(CARDINALITY, GROUP_WIDTH, FORM),
        defaults={"batch_norm": True, "init": "he", "shortcut": "B"},
        build=_build,
    ),
)
