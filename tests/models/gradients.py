"""The gradient check shared by the tests of all models."""

import torch
from torch import Tensor
from torch.func import functional_call

from resnet_cli.models import build_net
from resnet_cli.settings.run import Run


def check_gradients(run: Run, inputs: Tensor, *, fast_mode: bool = False) -> bool:
    """Compare the gradients of all parameters and of the inputs with finite differences, in float64.

    `fast_mode` compares the Jacobian in a random direction instead of its entries one by one.
    """
    net = build_net(run, tuple(inputs.shape[1:]), 2).double()
    names = [name for name, _ in net.named_parameters()]

    def outputs(inputs: Tensor, *parameters: Tensor) -> Tensor:
        result: Tensor = functional_call(net, dict(zip(names, parameters, strict=True)), (inputs,))
        return result

    arguments = (inputs.double().requires_grad_(), *net.parameters())
    return torch.autograd.gradcheck(outputs, arguments, fast_mode=fast_mode)
