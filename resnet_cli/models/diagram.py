"""The blocks of a net, or all of it, as graphs to be drawn, traced from the modules themselves."""

import operator
import re
from collections import defaultdict
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from resnet_cli.models.base import Addition, BranchScale, Drawing, Dropout, StochasticDepth
from resnet_cli.models.resnet import ZeroPaddingShortcut
from resnet_cli.models.resnext import BranchedConv2d
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.graph import BlockForm, Graph, Kind, Node

MAX_LAYERS = 300
"""Nets with more convolutions and linear layers are not drawn whole: the drawing would be over two metres high."""

MAX_BRANCHES = 3
"""If a block has more identical branches, this many are traced."""

_WHOLE = (Addition, BranchScale, Drawing, ZeroPaddingShortcut, BranchedConv2d)
"""Layers of this project that are traced as single operations, as torch's own layers are."""

_OPERATIONS: dict[str, tuple[Kind, str]] = {
    "relu": ("activation", "ReLU"),
    "leaky_relu": ("activation", "leaky ReLU"),
    "elu": ("activation", "ELU"),
    "gelu": ("activation", "GELU"),
    "silu": ("activation", "SiLU"),
    "tanh": ("activation", "tanh"),
    "sigmoid": ("activation", "sigmoid"),
    "softmax": ("activation", "softmax"),
    "add": ("addition", "addition"),
    "mul": ("multiplication", "multiplication"),
    "sub": ("other", "subtraction"),
    "truediv": ("other", "division"),
    "matmul": ("other", "matrix product"),
    "cat": ("concatenation", "concatenation"),
    "concat": ("concatenation", "concatenation"),
    "concatenate": ("concatenation", "concatenation"),
    "getitem": ("other", "selection"),
    "chunk": ("other", "split"),
    "split": ("other", "split"),
    "flatten": ("other", "flattening"),
    "view": ("other", "reshaping"),
    "reshape": ("other", "reshaping"),
    "pad": ("other", "padding"),
    "avg_pool2d": ("other", "average pooling"),
    "max_pool2d": ("other", "max pooling"),
    "adaptive_avg_pool2d": ("other", "average pooling"),
    "batch_norm": ("norm", "batch norm"),
    "layer_norm": ("norm", "layer norm"),
    "group_norm": ("norm", "group norm"),
}
"""Kind and name of operations, by the names of functions, methods and operators; others keep their own names."""


def trace_blocks(net: nn.Module, input_shape: tuple[int, ...]) -> list[BlockForm]:
    """The forms of the blocks of a net; blocks of one form differ only in their widths and strides.

    Layers that do nothing (identities, inactive dropout and stochastic depth) are left out. A norm or activation that
    acts on all branches at once is shown in each branch.

    The net is on torch's meta device, as `describe_net` returns it, and is put into evaluation mode.

    Raises:
        UserError: the net has no blocks.
    """
    forms: dict[object, dict[int, Graph]] = defaultdict(dict)
    for number, graph in enumerate(block_graphs(net, input_shape), 1):
        forms[graph.form][number] = graph
    return [_choose(graphs) for graphs in forms.values()]


def block_graphs(net: nn.Module, input_shape: tuple[int, ...]) -> list[Graph]:
    """The graphs of all blocks of a net, in order; net and errors as for `trace_blocks`."""
    blocks = list(getattr(net, "blocks", nn.Sequential()).children())
    if not blocks:
        raise UserError("The net has no blocks that could be drawn; choose a greater depth, or a model made of blocks.")
    shapes: list[tuple[str, str]] = []
    hooks = [
        block.register_forward_hook(lambda _, inputs, output: shapes.append((_words(inputs[0]), _words(output))))
        for block in blocks
    ]
    with torch.no_grad():
        net.eval()(torch.empty(1, *input_shape, device="meta"))
    for hook in hooks:
        hook.remove()
    return [trace_block(block, *words) for block, words in zip(blocks, shapes, strict=True)]


def _choose(graphs: dict[int, Graph]) -> BlockForm:
    """The first block, by number, that has the most frequent strides among blocks of one form."""
    strides = [graph.strides for graph in graphs.values()]
    number = list(graphs)[strides.index(max(strides, key=strides.count))]
    return BlockForm(graphs[number], number, tuple(graphs))


def trace_block(block: nn.Module, entering: str, leaving: str) -> Graph:
    """The graph of one block, a module with one input, in evaluation mode; the shapes of input and output are words.

    Raises:
        UserError: what it computes depends on the values of its input.
    """
    steps = _Steps()
    _trace(block, steps, entering, leaving)
    return Graph(tuple(steps.nodes), steps.branches)


def trace_net(net: nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """The graph of a whole net; each node has the shape of its output. Branches of a convolution are not shown apart.

    The net is on torch's meta device, as `describe_net` returns it, and is put into evaluation mode.

    Raises:
        UserError: it has more than `MAX_LAYERS` layers, or what it computes depends on the values of its input.
    """
    layers = sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in net.modules())
    if layers > MAX_LAYERS:
        raise UserError(f"The net has {layers:,} layers, but up to {MAX_LAYERS} can be drawn; choose a lower depth.")
    steps = _Steps(splits_branches=False)
    origins = _trace(net.eval(), steps, "input", "output")
    shapes = _Shapes(net, graph=origins[0].graph)
    with torch.no_grad():
        shapes.run(torch.empty(1, *input_shape, device="meta"))
    return Graph(
        tuple(replace(node, shape=shapes.of[origin]) for node, origin in zip(steps.nodes, origins, strict=True))
    )


def _trace(module: nn.Module, steps: "_Steps", entering: str, leaving: str) -> list[fx.Node]:
    """Add what a module does to `steps`. Returns the operation of torch.fx that each of them comes from."""
    values: dict[fx.Node, tuple[int, ...]] = {}
    origins: list[fx.Node] = []
    try:
        nodes = _Tracer().trace(module).nodes
    except (TypeError, NameError, fx.proxy.TraceError) as error:
        raise UserError(f"{type(module).__name__} cannot be drawn: {error}.") from None
    for node in nodes:
        operands = [values[operand] for operand in node.all_input_nodes]
        if node.op == "placeholder":
            values[node] = steps.add("input", entering)
        elif node.op == "output":
            steps.add("output", leaving, *operands)
        elif node.op == "call_module":
            values[node] = steps.add_module(module.get_submodule(str(node.target)), *operands)
        elif node.target is operator.sub and not isinstance(node.args[0], fx.Node):
            values[node] = steps.add("other", f"{node.args[0]} − input", *operands)
        elif operands:
            values[node] = steps.add(*_operation(getattr(node.target, "__name__", str(node.target))), *operands)
        origins += [node] * (len(steps.nodes) - len(origins))
    return origins


class _Shapes(fx.Interpreter):
    """Computes a traced net and keeps the shape of every value, without the batch."""

    def __init__(self, module: nn.Module, *, graph: fx.Graph) -> None:
        super().__init__(module, graph=graph)
        self.of: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """The value of an operation."""
        value = super().run_node(n)
        self.of[n] = tuple(value.shape[1:]) if isinstance(value, Tensor) else ()
        return value


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _WHOLE) or super().is_leaf_module(m, module_qualified_name)

    def path_of_module(self, mod: nn.Module) -> str:
        """The name of a module; none of a slice of a Sequential, which is made in the forward pass."""
        return "" if type(mod) is nn.Sequential else super().path_of_module(mod)


class _Steps:
    """Collects the nodes of a graph. A value is the position of the node that computes it, or one for each branch."""

    def __init__(self, *, splits_branches: bool = True) -> None:
        self.nodes: list[Node] = []
        self.branches = 1
        self.splits_branches = splits_branches

    def add(
        self, kind: Kind, name: str, *operands: tuple[int, ...], size: str = "", stride: int = 1, detail: str = ""
    ) -> tuple[int, ...]:
        """Add an operation: to each branch if it treats every channel separately, otherwise to all of them joined."""
        if kind in ("norm", "activation", "random"):
            return tuple(self._append(Node(kind, name, (branch,), size, stride, detail)) for branch in operands[0])
        joined = [
            operand[0] if len(operand) == 1 else self._append(Node("concatenation", "concatenation", operand))
            for operand in operands
        ]
        return (self._append(Node(kind, name, tuple(joined), size, stride, detail)),)

    def add_module(self, module: nn.Module, *operands: tuple[int, ...]) -> tuple[int, ...]:
        """Add what a layer does, if it does anything."""
        if isinstance(module, nn.Identity) or (isinstance(module, Drawing) and module.is_idle):
            return operands[0]
        match module:
            case BranchedConv2d() if self.splits_branches:
                return self._add_branches(module, operands[0])
            case nn.Conv2d():
                size = f"{module.in_channels}→{module.out_channels}"
                detail = f"{module.groups} groups" if module.groups > 1 else ""
                return self.add("weights", _name(module), *operands, size=size, stride=module.stride[0], detail=detail)
            case nn.Linear():
                return self.add("weights", "linear", *operands, size=f"{module.in_features}→{module.out_features}")
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                return self.add("norm", "batch norm", *operands)
            case BranchScale():
                return self.add("other", "learnt scalar", *operands)
            case Addition():
                return self.add("addition", "addition", *operands)
            case Dropout():
                return self.add("random", "dropout", *operands, detail=f"{100 * module.probability:g} %")
            case StochasticDepth():
                return self.add("random", "stochastic depth", *operands, size=f"kept {100 * module.survival:.0f} %")
            case ZeroPaddingShortcut():
                detail = "every 2nd pixel" if module.stride == 2 else ""
                return self.add("other", "zero padding", *operands, detail=detail)
            case nn.MaxPool2d() | nn.AvgPool2d():
                name = "max pooling" if isinstance(module, nn.MaxPool2d) else "average pooling"
                return self.add("other", f"{module.kernel_size}×{module.kernel_size} {name}", *operands)
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", type(module).__name__)  # AvgPool2d as avg_pool2d
        return self.add(*_operation(words.lower()), *operands)

    def _add_branches(self, module: BranchedConv2d, operand: tuple[int, ...]) -> tuple[int, ...]:
        """Add one branch's convolution for each, and the sum of branches that are aggregated."""
        self.branches = module.branches
        n_in, n_out = module.in_channels, module.out_channels
        if module.splits_inputs:
            n_in //= module.branches
        else:
            operand *= min(module.branches, MAX_BRANCHES)
        if not module.sums_outputs:
            n_out //= module.branches
        size, stride = f"{n_in}→{n_out}", module.stride[0]
        given = tuple(self._append(Node("weights", _name(module), (branch,), size, stride)) for branch in operand)
        if module.sums_outputs and len(given) > 1:
            return (self._append(Node("addition", "addition", given)),)
        return given

    def _append(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1


def _operation(name: str) -> tuple[Kind, str]:
    """What an operation is, from a name such as `relu`, `__iadd__` or `global_response`."""
    plain = name.strip("_")
    in_place = plain.removeprefix("i") if plain in ("iadd", "imul", "isub") else plain
    return _OPERATIONS.get(in_place, ("other", in_place.replace("_", " ")))


def _name(convolution: nn.Conv2d) -> str:
    return f"{'×'.join(map(str, convolution.kernel_size))} conv"


def _words(activations: Tensor) -> str:
    """The shape of one example in words: `64 units`, or `16 channels of 32×32`."""
    channels, *sides = activations.shape[1:]
    return f"{channels} channels of {'×'.join(map(str, sides))}" if sides else f"{channels} units"
