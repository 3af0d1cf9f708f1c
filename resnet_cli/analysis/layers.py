"""The weight layers that a net's depth counts, and where the response of each can be read.

A weight layer is a convolution or a linear layer. What stands beside the way of the signal is not counted, as papers do
not count it: projections in shortcuts, gates of Highway layers, and auxiliary heads.
"""

from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from resnet_cli.analysis.nets import StoredNet, example

BESIDE = frozenset({"shortcut", "gate", "auxiliary"})
"""Names of modules whose layers are not counted."""
_LAYERS = (nn.Conv2d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True)
class WeightLayer:
    """A convolution or linear layer, and the module that gives its response: its batch norm, or else itself."""

    name: str
    response: str


def weight_layers(stored: StoredNet) -> list[WeightLayer]:
    """The weight layers of a net in evaluation mode, in the order in which a signal passes them; the output is last.

    A layer's response is what leaves it and its batch norm, before activation, addition or concatenation. A norm is a
    layer's own if it is the next module beside the layer and reads just what the layer gives. So where norms stand
    before their layers (full pre-activation, DenseNet), or read the sum after an addition, the response is what the
    layer itself gives.
    """
    modules = dict(stored.net.named_modules())
    given: dict[str, Tensor] = {}
    read: dict[str, Tensor] = {}

    def note(name: str, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        read[name], given[name] = args[0], output

    with ExitStack() as hooks, torch.no_grad():
        for name, module in modules.items():
            if isinstance(module, (*_LAYERS, *_NORMS)):
                hook = module.register_forward_hook(lambda *call, name=name: note(name, *call))
                hooks.callback(hook.remove)
        stored.net(example(stored))

    layers = []
    for name, output in given.items():
        if isinstance(modules[name], _LAYERS) and BESIDE.isdisjoint(name.split(".")):
            beside = _next_beside(stored.net, name)
            has_norm = isinstance(modules.get(beside), _NORMS) and read.get(beside) is output
            layers.append(WeightLayer(name, beside if has_norm else name))
    return layers


def _next_beside(net: nn.Module, name: str) -> str:
    """The name of the module that its parent has next after the one called `name`; its own where that is the last."""
    parent, _, own = name.rpartition(".")
    children = [child for child, _ in net.get_submodule(parent).named_children()]
    following = children[children.index(own) :][:2][-1]
    return f"{parent}.{following}" if parent else following
