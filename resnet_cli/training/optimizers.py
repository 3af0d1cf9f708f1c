"""Optimisers, each declared once. Torch is imported when one is built, so that help pages know their names without it.

Weight decay acts on all parameters, as in He et al. 2015.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from resnet_cli.models.settings import SURVIVAL
from resnet_cli.settings.run import Run

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer as TorchOptimizer


@dataclass(frozen=True)
class Optimizer:
    """How torch builds an optimiser, and what the stacked engine must know of it.

    Args:
        name: what runs call it.
        torch_class: the name of its class in `torch.optim`.
        arguments: of the class, besides parameters, learning rate and weight decay.
        settings: names of the settings of a run that are arguments, too.
        decoupled_decay: whether weight decay shrinks the parameters instead of being added to the gradient.
        linear_in_rate: whether a step without weight decay is the learning rate times a direction that depends on
            nothing but the gradients so far. If it is not, nets are trained one after another.
        zero_state: parts of its state that start as zeros for every parameter, where torch would begin with the first
            gradient: fused SGD cannot begin with some parameters before others. Results are the same.
    """

    name: str
    torch_class: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    decoupled_decay: bool = False
    linear_in_rate: bool = False
    zero_state: tuple[str, ...] = ()


_FUSED = {"fused": True}  # the same formulas in fewer calls
_WITH_MOMENTUM: dict[str, Any] = {"settings": ("momentum",), "linear_in_rate": True, "zero_state": ("momentum_buffer",)}

OPTIMIZERS: Mapping[str, Optimizer] = {
    optimizer.name: optimizer
    for optimizer in (
        Optimizer("sgd", "SGD", _FUSED, linear_in_rate=True),
        Optimizer("momentum", "SGD", _FUSED, **_WITH_MOMENTUM),
        Optimizer("nesterov", "SGD", _FUSED | {"nesterov": True}, **_WITH_MOMENTUM),
        Optimizer("adam", "Adam", _FUSED, linear_in_rate=True),
        Optimizer("adamw", "AdamW", _FUSED, decoupled_decay=True, linear_in_rate=True),
        Optimizer("rmsprop", "RMSprop", linear_in_rate=True),
    )
}


def build_optimizer(run: Run, parameters: Iterable["nn.Parameter"]) -> "TorchOptimizer":
    """The optimiser of a run."""
    import torch

    declared = OPTIMIZERS[run.optimizer]
    optimizer: TorchOptimizer = getattr(torch.optim, declared.torch_class)(
        parameters,
        lr=run.learning_rate,
        weight_decay=run.weight_decay,
        **declared.arguments,
        **{setting: run[setting] for setting in declared.settings},
    )
    for name in declared.zero_state:
        for parameter in optimizer.param_groups[0]["params"]:
            optimizer.state[parameter][name] = torch.zeros_like(parameter)
    return optimizer
