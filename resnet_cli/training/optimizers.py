"""Optimisers by name. Weight decay acts on all parameters, as in He et al. 2015."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from resnet_cli.models.settings import SURVIVAL
from resnet_cli.settings.run import Run
from resnet_cli.store.tensors import same_form
from resnet_cli.training.settings import LEARNING_RATE, MOMENTUM, OPTIMIZER, WEIGHT_DECAY


def build_optimizer(run: Run, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser of a run, in torch's fused implementation if there is one (same formulas, fewer calls)."""
    rate, decay = run[LEARNING_RATE], run[WEIGHT_DECAY]
    match run[OPTIMIZER]:
        case "sgd":
            return torch.optim.SGD(parameters, rate, weight_decay=decay, fused=True)
        case "momentum" | "nesterov":
            assert run[MOMENTUM] is not None
            nesterov = run[OPTIMIZER] == "nesterov"
            optimizer = torch.optim.SGD(
                parameters, rate, momentum=run[MOMENTUM], nesterov=nesterov, weight_decay=decay, fused=True
            )
            if run[SURVIVAL] not in (None, 1):
                _begin_momentum(optimizer)
            return optimizer
        case "adam":
            return torch.optim.Adam(parameters, rate, weight_decay=decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, rate, weight_decay=decay)


def _begin_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Start all momentum at zero. The values do not change, but fused SGD cannot start it later for some parameters."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def state_of(optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    """What an optimiser knows of each parameter, by its place; its settings follow from the run."""
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    return state


def state_fits(found: object, run: Run, parameters: Sequence[Tensor]) -> bool:
    """Whether `found` has the form of what the optimiser of a run knows of these parameters.

    Torch's fused optimisers do not check shapes and dtypes: values that do not fit end the process. A parameter that
    has not had a gradient yet may be missing.
    """
    example = nn.Parameter(parameters[0].new_zeros(1))
    example.grad = torch.zeros_like(example)
    optimizer = build_optimizer(run, [example])
    optimizer.step()
    own = state_of(optimizer).get(0, {})
    if not isinstance(found, dict):
        return False
    for place, state in found.items():
        if type(place) is not int or not 0 <= place < len(parameters):
            return False
        like = parameters[place]
        if not same_form(state, {name: like if value.shape == (1,) else value for name, value in own.items()}):
            return False
    return True


def load_state(optimizer: torch.optim.Optimizer, state: dict[int, dict[str, Any]]) -> None:
    """Let an optimiser know what another of the same run knew; `state` must fit."""
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
