"""Initial values of parameters, each drawn from a generator of its own.

Schemes: he - He et al. 2015 (arXiv 1502.01852), eq. 10; glorot - Glorot & Bengio 2010, eq. 12, but normal; default -
as PyTorch's own layers: weights and biases uniform within ±1/√fan_in.
"""

import math

import torch
from torch import Tensor, nn

from resnet_cli.models.settings import Initialisation
from resnet_cli.settings.seeding import derive_seed


@torch.no_grad()
def initialise(
    net: nn.Module, scheme: Initialisation, seed: int, std: float | None = None, *, bias_std: float = 0.0
) -> None:
    """Fill all parameters and buffers of `net`.

    A parameter's values depend only on its name, its shape, `scheme` and `seed` - not on the device, the precision or
    the net's other parameters. Biases are zero except under `default`; batch norm starts as the identity. A layer is
    drawn under its attribute `initial_name` if it has one, and its biases start at `initial_bias` if it has that. All
    parameters must be in linear, convolutional and batch-norm layers; `std` is that of the weights under `normal`, and
    `bias_std` that of its biases, which are zero without it.
    """
    for name, module in net.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            name = getattr(module, "initial_name", name)
            fan_in = module.weight[0].numel()
            fan_out = module.weight.numel() // module.weight.shape[1]
            layer_std = weight_std(scheme, fan_in, fan_out, std)
            module.weight.copy_(_draw(scheme, layer_std, module.weight.shape, seed, f"{name}.weight"))
            if module.bias is None:
                continue
            if (value := getattr(module, "initial_bias", None)) is not None:
                module.bias.fill_(value)
            elif scheme == "default":
                module.bias.copy_(_draw(scheme, layer_std, module.bias.shape, seed, f"{name}.bias"))
            elif scheme == "normal" and bias_std > 0:
                module.bias.copy_(_draw(scheme, bias_std, module.bias.shape, seed, f"{name}.bias"))
            else:
                module.bias.zero_()
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.reset_parameters()


def weight_std(scheme: Initialisation, fan_in: int, fan_out: int, std: float | None = None) -> float:
    """The standard deviation of a layer's initial weights under `scheme`."""
    if scheme == "default":
        return 1 / math.sqrt(3 * fan_in)
    if scheme == "he":
        return math.sqrt(2 / fan_in)
    if scheme == "glorot":
        return math.sqrt(2 / (fan_in + fan_out))
    if std is None:
        raise ValueError("std is needed with the scheme normal")
    return std


def _draw(scheme: Initialisation, std: float, shape: torch.Size, seed: int, name: str) -> Tensor:
    generator = torch.Generator().manual_seed(derive_seed(seed, "init", name))
    if scheme == "default":
        bound = math.sqrt(3) * std
        return torch.empty(shape, device="cpu").uniform_(-bound, bound, generator=generator)
    return torch.empty(shape, device="cpu").normal_(0, std, generator=generator)
