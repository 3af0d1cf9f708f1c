"""Optimisers, each declared once. Torch is imported when one is built, so that help pages know their names without it.

Weight decay acts on all parameters, as in He et al. 2015.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from resnet_cli.settings.errors import either
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Fraction, Need, NotNegative, Positive, Setting, always

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
        settings: names of the settings of a run that are arguments too.
        positive: those of them that must not be 0.
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
    positive: tuple[str, ...] = ()
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
        Optimizer("nesterov", "SGD", _FUSED | {"nesterov": True}, positive=("momentum",), **_WITH_MOMENTUM),
        Optimizer("adam", "Adam", _FUSED, linear_in_rate=True),
        Optimizer("adamw", "AdamW", _FUSED, decoupled_decay=True, linear_in_rate=True),
        Optimizer("rmsprop", "RMSprop", linear_in_rate=True),
    )
}


def _complaint(run: Run) -> str:
    zero = [name for name in OPTIMIZERS[run[OPTIMIZER]].positive if not run.get(name)]
    return f"{run[OPTIMIZER]} needs a {zero[0]} above 0" if zero else ""


_DECOUPLED = [optimizer.name for optimizer in OPTIMIZERS.values() if optimizer.decoupled_decay]
_HAVE_MOMENTUM = [optimizer.name for optimizer in OPTIMIZERS.values() if "momentum" in optimizer.settings]

OPTIMIZER = Setting[str](
    "optimizer",
    Literal[tuple(OPTIMIZERS)],
    f"Optimiser: {either(OPTIMIZERS)}.",
    affects=("update rule", "cost"),
    stacks=lambda name: OPTIMIZERS[name].linear_in_rate,
    complaint=_complaint,
)
LEARNING_RATE = Setting[float]("learning_rate", Positive, "Learning rate, before warm-up and schedule.", affects=())
MOMENTUM = Setting[float](
    "momentum",
    Fraction,
    f"Momentum coefficient of the optimisers {either(_HAVE_MOMENTUM, 'and')}.",
    default=0.9,
    affects=("update rule",),
    stacks=always,
    need=Need(OPTIMIZER, lambda name: name in _HAVE_MOMENTUM, f"optimizer {either(_HAVE_MOMENTUM)}"),
)
WEIGHT_DECAY = Setting[float](
    "weight_decay",
    NotNegative,
    f"Weight decay on all parameters (an L2 penalty; decoupled with {either(_DECOUPLED)}).",
    default=0.0,
    affects=(),
)


def build_optimizer(run: Run, parameters: Iterable["nn.Parameter"]) -> "TorchOptimizer":
    """The optimiser of a run."""
    import torch

    declared = OPTIMIZERS[run[OPTIMIZER]]
    optimizer: TorchOptimizer = getattr(torch.optim, declared.torch_class)(
        parameters,
        lr=run[LEARNING_RATE],
        weight_decay=run[WEIGHT_DECAY],
        **declared.arguments,
        **{setting: run.get(setting) for setting in declared.settings},
    )
    for name in declared.zero_state:
        for parameter in optimizer.param_groups[0]["params"]:
            optimizer.state[parameter][name] = torch.zeros_like(parameter)
    return optimizer
