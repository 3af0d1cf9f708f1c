"""Highway networks: layers with a gate that learns how much of their input to change.

Srivastava et al. 2015, "Highway Networks" (arXiv 1505.00387) and "Training Very Deep Networks" (arXiv 1507.06228,
§2, eq. 3). A Highway layer computes

    y = H(x) · T(x) + x · (1 − T(x)),    T(x) = sigmoid(W_T x + b_T),

where H is a plain layer and T, its transform gate, is an affine map or a convolution of the same size (§2.1). Gates are
nearly closed at first because b_T starts at `gate_bias`: §2.2 suggests −1, −2 and −3 for convolutional nets of about
10, 20 and 30 layers, and 1505.00387, §4, uses −2 for an MLP. A layer that changes the size is plain, without a gate
(§2.1).

MLP: depth d means d hidden layers, of which the first is plain (§3.1), then a linear output, as in mlp.py. Layers with
a gate are in brackets (W = width):

    d = 1:  in→W, W→out
    d = 2:  in→W, [W→W], W→out

CNN: depth 6n+2, with the layers of the plain CNN of He et al. 2015 (arXiv 1512.03385, §4.2; see resnet.py):

    depth  8 (n = 1):  3→W | [W→W, W→W] | W→2W, [2W→2W] | 2W→4W, [4W→4W] | 4W→out
    depth 14 (n = 2):  3→W | 4 × [W→W] | W→2W, 3 × [2W→2W] | 2W→4W, 3 × [4W→4W] | 4W→out

Gates are parallel to the layers and not counted; they roughly double a layer's parameters. H starts from the initial
values of the plain net's layer. Batch norm, which the papers do not use, comes before the activation in H, and dropout
after it; a gate has neither, so a layer whose gate is closed is the identity. The nets published for CIFAR-10 (§3.3)
cannot be built here: Highway-19 (2.3 M parameters) has the widths of a FitNet, and in Highway-32 (1.25 M) every second
layer is 1×1.
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from resnet_cli.models.base import Dropout, Model, activation_of, norm_of
from resnet_cli.models.mlp import build_layer
from resnet_cli.models.resnet import CifarNet, numbered_convolution
from resnet_cli.models.settings import COMMON, DROPOUT, WIDTH
from resnet_cli.settings.ranges import DepthRule
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Setting

GATE_BIAS = Setting[float](
    "gate_bias",
    Annotated[float, Field(allow_inf_nan=False)],
    "Initial bias of the transform gates in Highway layers; the lower it is, the more of its input a layer passes on.",
    default=-2.0,
)


class PlainLayer(nn.Module):
    """A linear or convolutional layer and its norm, activation and dropout."""

    def __init__(self, run: Run, layer: nn.Sequential) -> None:
        super().__init__()
        self.layer = layer
        self.activation = activation_of(run)
        self.dropout = Dropout(run[DROPOUT])

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, n_in) to (B, n_out), or (B, n_in, H, W) to (B, n_out, H / stride, W / stride)."""
        return self.dropout(self.activation(self.layer(inputs)))  # type: ignore[no-any-return]


class HighwayLayer(PlainLayer):
    """A plain layer that keeps the shape, and a gated path around it; the gate always has a bias, and no norm."""

    def __init__(self, run: Run, layer: nn.Sequential, gate: nn.Linear | nn.Conv2d) -> None:
        super().__init__(run, layer)
        gate.initial_bias = run[GATE_BIAS]  # type: ignore[assignment]
        self.gate = gate

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, n) to (B, n), or (B, n, H, W) to (B, n, H, W)."""
        response = super().forward(inputs)
        gate = torch.sigmoid(self.gate(inputs))
        return response * gate + inputs * (1 - gate)


class HighwayMLP(nn.Module):
    """A plain hidden layer, Highway layers and a linear output; images are flattened."""

    def __init__(self, run: Run, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        width = run[WIDTH]
        layers = [build_layer(run, width, width, number) for number in range(1, run.depth)]
        self.entry = PlainLayer(run, build_layer(run, math.prod(input_shape), width, 0))
        self.blocks = nn.Sequential(*(HighwayLayer(run, layer, nn.Linear(width, width)) for layer in layers))
        self.output = nn.Linear(width, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, …) to (B, outputs)."""
        return self.output(self.blocks(self.entry(inputs.flatten(1))))  # type: ignore[no-any-return]


def _convolutional(run: Run, input_shape: tuple[int, ...], outputs: int) -> CifarNet:
    layers: list[PlainLayer] = []
    n_in = run[WIDTH]
    for stage in range(3):
        n_out = run[WIDTH] * 2**stage
        for _ in range((run.depth - 2) // 3):
            layer = nn.Sequential(numbered_convolution(run, n_in, n_out, len(layers)), norm_of(run, n_out))
            gate = nn.Conv2d(n_in, n_out, 3, padding=1)
            layers.append(HighwayLayer(run, layer, gate) if n_in == n_out else PlainLayer(run, layer))
            n_in = n_out
    return CifarNet(run, input_shape, outputs, layers, n_in)


MODELS = (
    Model(
        name="highway-mlp",
        title="Highway MLP",
        paper="Srivastava et al. 2015",
        family="mlp",
        depth_rule=DepthRule(first=1, step=1, formula="n"),
        settings=(*COMMON, GATE_BIAS),
        defaults={"batch_norm": False, "init": "default"},
        build=HighwayMLP,
    ),
    Model(
        name="highway-cnn",
        title="Highway CNN",
        paper="Srivastava et al. 2015",
        family="cnn",
        depth_rule=DepthRule(first=8, step=6, formula="6n+2"),
        settings=(*COMMON, GATE_BIAS),
        defaults={"batch_norm": True, "init": "he"},
        build=_convolutional,
    ),
)
