"""Initial values of parameters, each drawn from a generator of its own.

Schemes whose weights are drawn one by one: he - He et al. 2015 (arXiv 1502.01852), eq. 10; glorot - Glorot & Bengio
2010, eq. 12, but normal; default - as PyTorch's own layers: weights and biases uniform within ±1/√fan_in.

orthogonal - Saxe et al. 2014 (arXiv 1312.6120): WᵀW = g²I, drawn uniformly from all such matrices. A layer that changes
the number of units has orthogonal columns if it has more outputs than inputs, else orthogonal rows: WWᵀ = g²I. The gain
g is that of the activation function. A convolution's matrix, or that of each of its groups, stands in the middle of the
kernel, among zeros (delta-orthogonal: Xiao et al. 2018, arXiv 1806.05393).

identity - W = I, or "dirac" for convolutions: layers of blocks that keep the number of units pass on their input. All
others, such as the first and the last of a net, start as under default.
"""

import math
from typing import TypeGuard

import torch
from torch import Tensor, nn

from resnet_cli.models.base import BranchScale
from resnet_cli.models.settings import Independent, Initialisation
from resnet_cli.settings.seeding import derive_seed

Layer = nn.Linear | nn.Conv2d


@torch.no_grad()
def initialise(
    net: nn.Module,
    scheme: Initialisation,
    seed: int,
    std: float | None = None,
    *,
    bias_std: float = 0.0,
    gain: float = 1.0,
) -> None:
    """Fill all parameters and buffers of `net`.

    A parameter's values depend only on its name, its shape, `scheme` and `seed` - not on the device, the precision or
    the net's other parameters. Biases are zero except under `default`; batch norm starts as the identity. A layer is
    drawn under its attribute `initial_name` if it has one, and its biases start at `initial_bias` if it has that. All
    parameters must be in linear, convolutional and batch-norm layers and in scales of branches, which start at 0; `std`
    is that of the weights under `normal`, `bias_std` that of its biases, which are zero without it, and `gain` the
    factor of orthogonal weights.
    """
    for name, module in net.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            of_layer = scheme
            if scheme == "identity" and not (name.startswith("blocks.") and _keeps_number(module)):
                of_layer = "default"
            name = getattr(module, "initial_name", name)
            _fill_weight(module, of_layer, seed, name, std, gain)
            _fill_bias(module, of_layer, seed, name, bias_std)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, BranchScale)):
            module.reset_parameters()


def weight_std(scheme: Independent, fan_in: int, fan_out: int, std: float | None = None) -> float:
    """The standard deviation of a layer's initial weights under a `scheme` that draws them one by one."""
    if scheme == "default":
        return 1 / math.sqrt(3 * fan_in)
    if scheme == "he":
        return math.sqrt(2 / fan_in)
    if scheme == "glorot":
        return math.sqrt(2 / (fan_in + fan_out))
    if std is None:
        raise ValueError("std is needed with the scheme normal")
    return std


def _fill_weight(layer: Layer, scheme: Initialisation, seed: int, name: str, std: float | None, gain: float) -> None:
    shape, groups = layer.weight.shape, _groups(layer)
    if _is_independent(scheme):
        layer_std = weight_std(scheme, layer.weight[0].numel(), layer.weight.numel() // shape[1], std)
        layer.weight.copy_(_draw(scheme, layer_std, shape, seed, f"{name}.weight"))
        return
    matrices = torch.eye(shape[1], device="cpu").expand(groups, -1, -1)
    if scheme == "orthogonal":
        matrices = gain * _draw_orthogonal(groups, shape[0] // groups, shape[1], seed, f"{name}.weight")
    middle: tuple[slice | int, ...] = (slice(None), slice(None), *(side // 2 for side in shape[2:]))
    layer.weight.zero_()
    layer.weight[middle] = matrices.flatten(0, 1).to(layer.weight)


def _fill_bias(layer: Layer, scheme: Initialisation, seed: int, name: str, std: float) -> None:
    if layer.bias is None:
        return
    if (value := getattr(layer, "initial_bias", None)) is not None:
        layer.bias.fill_(value)
    elif scheme == "default":
        layer_std = weight_std(scheme, layer.weight[0].numel(), len(layer.weight))
        layer.bias.copy_(_draw(scheme, layer_std, layer.bias.shape, seed, f"{name}.bias"))
    elif scheme == "normal" and std > 0:
        layer.bias.copy_(_draw(scheme, std, layer.bias.shape, seed, f"{name}.bias"))
    else:
        layer.bias.zero_()


def _groups(layer: Layer) -> int:
    return layer.groups if isinstance(layer, nn.Conv2d) else 1


def _keeps_number(layer: Layer) -> bool:
    return layer.weight.shape[0] == layer.weight.shape[1] * _groups(layer)


def _is_independent(scheme: Initialisation) -> TypeGuard[Independent]:
    return scheme not in ("orthogonal", "identity")


def _generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(seed, "init", name))


def _draw(scheme: Independent, std: float, shape: torch.Size, seed: int, name: str) -> Tensor:
    generator = _generator(seed, name)
    if scheme == "default":
        bound = math.sqrt(3) * std
        return torch.empty(shape, device="cpu").uniform_(-bound, bound, generator=generator)
    return torch.empty(shape, device="cpu").normal_(0, std, generator=generator)


def _draw_orthogonal(count: int, n_out: int, n_in: int, seed: int, name: str) -> Tensor:
    """Matrices (count, n_out, n_in) whose rows or columns, whichever are fewer, are orthonormal.

    They come from QR decompositions of normal matrices, with the signs of Mezzadri 2007 (arXiv math-ph/0609050), §5,
    and are rounded from float64, so that they do not depend on the machine.
    """
    normal = torch.empty(count, max(n_out, n_in), min(n_out, n_in), device="cpu")
    found = torch.linalg.qr(normal.normal_(generator=_generator(seed, name)).double())
    tall: Tensor = found.Q * found.R.diagonal(dim1=-2, dim2=-1).sgn()[:, None]
    return (tall if n_out >= n_in else tall.mT).float()
