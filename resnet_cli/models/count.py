"""What a net consists of and costs: its layers with their output shapes, parameters and multiply-adds.

The count includes the multiply-adds of convolutions and matrix products, as in He et al. 2015 (arXiv 1512.03385, Table
1) and in torch's own flop counter (which counts two operations for each). It excludes norms, activations, pooling and
additions.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import flop_registry

from resnet_cli.models.base import BranchScale


@dataclass(frozen=True)
class LayerRow:
    """A layer that has parameters of its own or computes matrix products itself."""

    name: str  # as in `net.get_submodule(name)`; "" is the net itself
    kind: str  # such as `conv 3×3, stride 2, groups 8`
    output_shape: tuple[int, ...] | None  # without the batch; None where evaluation never uses the layer
    parameters: int
    multiply_adds: int  # for one example


def layer_table(net: nn.Module, input_shape: tuple[int, ...]) -> list[LayerRow]:
    """The layers of a net in the order in which evaluation uses them; those that it never uses come last.

    Multiply-adds are charged to the innermost module that computes them. Only shapes are computed: the net is on
    torch's meta device, as `describe_net` returns it.
    """
    parameters: Counter[str] = Counter()
    for name, parameter in net.named_parameters():
        parameters[name.rpartition(".")[0]] += parameter.numel()
    modules = dict(net.named_modules())
    recorder = _Recorder()
    with ExitStack() as stack:
        for name, module in modules.items():
            stack.enter_context(module.register_forward_pre_hook(partial(recorder.begin, name)))
            stack.enter_context(module.register_forward_hook(recorder.end))
        stack.callback(net.train, net.training)
        stack.enter_context(torch.no_grad())
        inputs = torch.empty(1, *input_shape, device="meta")
        stack.enter_context(recorder)
        net.eval()(inputs)
    return [
        LayerRow(name, _kind(modules[name]), recorder.shapes.get(name), parameters[name], recorder.multiply_adds[name])
        for name in dict.fromkeys([*recorder.used, *parameters])
        if parameters[name] or recorder.multiply_adds[name]
    ]


def count_multiply_adds(net: nn.Module, input_shape: tuple[int, ...]) -> int:
    """The multiply-adds that a net needs for one example; arguments as in `layer_table`."""
    return sum(row.multiply_adds for row in layer_table(net, input_shape))


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Intercepts every operation and charges its multiply-adds to the module that is running.

    An operation on shapes seen before is not run again, since it would only return the same shapes. This makes deep
    nets fast: most operations take longer on the meta device than on real tensors.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.used: dict[str, None] = {}  # names of modules in the order of their first call
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.multiply_adds: Counter[str] = Counter()
        self._running: list[str] = []
        self._known: dict[Any, tuple[Any, int]] = {}

    def begin(self, name: str, *_: object) -> None:
        """The forward pre-hook of the module with this name."""
        self._running.append(name)
        self.used[name] = None

    def end(self, module: nn.Module, inputs: object, output: object) -> None:
        """The forward hook of every module."""
        name = self._running.pop()
        if isinstance(output, Tensor):
            self.shapes[name] = tuple(output.shape[1:])

    def __torch_dispatch__(
        self, func: Any, types: object, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        key = func, _shapes(args), _shapes([*kwargs.items()])
        if key not in self._known:
            output = func(*args, **kwargs)
            count = flop_registry.get(func._overloadpacket)
            self._known[key] = output, count(*args, **kwargs, out_val=output) // 2 if count else 0
        output, multiply_adds = self._known[key]
        self.multiply_adds[self._running[-1]] += multiply_adds
        return tree_map_only(Tensor, lambda known: torch.empty(known.shape, dtype=known.dtype, device="meta"), output)


def _shapes(value: Any) -> Any:
    """The arguments of an operation as a key, with shapes and types in place of tensors."""
    if isinstance(value, Tensor):
        return value.shape, value.dtype
    return tuple(map(_shapes, value)) if isinstance(value, (list, tuple)) else value


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d):
        sides = "×".join(map(str, module.kernel_size))
        stride = f", stride {module.stride[0]}" if module.stride[0] > 1 else ""
        return f"conv {sides}{stride}" + (f", groups {module.groups}" if module.groups > 1 else "")
    if isinstance(module, nn.Linear):
        return "linear"
    if isinstance(module, BranchScale):
        return "learnt scalar"
    return "batch norm" if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) else type(module).__name__
