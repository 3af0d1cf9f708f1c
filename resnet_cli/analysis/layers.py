"""The weight layers that count towards a net's depth, and the modules whose outputs are their responses.

A weight layer is a convolution or a linear layer on the main path. As in the papers, layers parallel to it are not
counted: projections in shortcuts, gates of Highway layers, and auxiliary heads.
"""

import itertools
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from resnet_cli.analysis.trained_nets import StoredNet, example, hooked

PARALLEL = frozenset({"shortcut", "gate", "auxiliary"})
"""Names of modules whose layers are not counted."""
_LAYERS = (nn.Conv2d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True)
class WeightLayer:
    """A convolution or linear layer, and the module whose output is its response: its batch norm, or else itself."""

    name: str
    response: str


def weight_layers(stored: StoredNet) -> list[WeightLayer]:
    """The weight layers of a net in evaluation mode, in the order of computation; the output layer is last.

    A layer's response is its output after its batch norm, before activation, addition or concatenation. A norm belongs
    to a layer if it is the next module with the same parent and its input is the layer's output. So where norms come
    before their layers (full pre-activation, DenseNet) or after an addition, the response is the output of the layer
    itself.
    """
    modules = dict(stored.net.named_modules())
    outputs: dict[str, Tensor] = {}
    inputs: dict[str, Tensor] = {}

    def record(name: str, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        inputs[name], outputs[name] = args[0], output

    recorded = {name: module for name, module in modules.items() if isinstance(module, (*_LAYERS, *_NORMS))}
    handles = (module.register_forward_hook(partial(record, name)) for name, module in recorded.items())
    with hooked(handles), torch.no_grad():
        stored.net(example(stored))

    layers = []
    for name, output in outputs.items():
        if isinstance(modules[name], _LAYERS) and PARALLEL.isdisjoint(name.split(".")):
            sibling = _next_sibling(stored.net, name)
            has_norm = isinstance(modules.get(sibling), _NORMS) and inputs.get(sibling) is output
            layers.append(WeightLayer(name, sibling if has_norm else name))
    return layers


def _next_sibling(net: nn.Module, name: str) -> str:
    """The name of the module that follows the one called `name` in its parent; `name` itself if that is the last."""
    parent, _, own = name.rpartition(".")
    children = [child for child, _ in net.get_submodule(parent).named_children()]
    following = dict(itertools.pairwise(children)).get(own, own)
    return f"{parent}.{following}" if parent else following
