"""How much memory the training of a plan takes, from a step of its largest nets on torch's meta device.

That device computes shapes and allocates nothing. What is alive at each operation of a step is added up, and of an
evaluation, which has larger batches but keeps little. Parameters, gradients and the state of the optimiser come on top,
and what a process holds before it trains: Python, torch and the data, for which this process stands. Three sweeps
needed 1.0, 1.15 and 1.2 times what was estimated (peak resident memory): libraries have buffers of their own.

On a CUDA device, a graph keeps the memory of a step for as long as the training lasts, and an eager step or an
evaluation needs its own beside it. What CUDA itself holds in each process, some hundred MB, is not counted.
"""

import contextlib
import os
import sys
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from humanize import naturalsize
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from resnet_cli.models import describe_net
from resnet_cli.models.base import StochasticDepth, drawing_layers
from resnet_cli.models.settings import WIDTH
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.units import Unit
from resnet_cli.settings.run import Run
from resnet_cli.tasks import get_task
from resnet_cli.training.checkpoint import state_of
from resnet_cli.training.device import device_type
from resnet_cli.training.loop import DTYPES, EVALUATION_BATCH
from resnet_cli.training.optimizers import build_optimizer
from resnet_cli.training.recompute import recompute_blocks
from resnet_cli.training.settings import BATCH_SIZE, EVAL_SIZE, PRECISION
from resnet_cli.training.stacked.grouping import working_set
from resnet_cli.training.step import auxiliary_heads


@dataclass(frozen=True)
class Memory:
    """Bytes that a process has before it trains (0: unknown), and that the largest unit adds, here or on a device."""

    process: int
    unit: int
    processes: int
    on_device: bool

    @property
    def total(self) -> int:
        """Bytes of main memory of all processes; several have one that only hands out work."""
        each = self.process + (0 if self.on_device else self.unit)
        return self.processes * each + (self.process if self.processes > 1 else 0)

    def __str__(self) -> str:
        each = f" in each of {self.processes} processes" if self.processes > 1 else ""
        if self.on_device:
            return f"about {size(self.unit)} on the device{each}, and about {size(self.total)} of main memory"
        return f"about {size(self.total)}, {size(self.unit)} of it for the largest training{each}"


def size(count: float) -> str:
    """Bytes in words, with two or three digits, such as `450 MB` or `1.2 GB`."""
    return naturalsize(count, format="%.0f" if count < 1e9 else "%.1f")


def memory_of(units: Sequence[Unit], conditions: Conditions) -> Memory | None:
    """What units of work take that are trained under these conditions; None if that cannot be found out."""
    try:
        unit = max(_unit_bytes(unit, conditions) for unit in _largest(units))
    except Exception:  # a model of somebody else's may not run without numbers
        return None
    processes = min(conditions.workers, len(units))
    return Memory(_process_bytes(), unit, processes, device_type(conditions.device) != "cpu")


def _largest(units: Sequence[Unit]) -> list[Unit]:
    """The largest stack, and the largest run of each model in the loop, as far as settings tell."""
    stacks = sorted((unit for unit in units if unit.stacked), key=_stack_bytes)
    alone = sorted((unit for unit in units if not unit.stacked), key=lambda unit: _activations(unit.runs[0]))
    return [*stacks[-1:], *{unit.runs[0].model: unit for unit in alone}.values()]


def _stack_bytes(unit: Unit) -> int:
    return sum(map(working_set, unit.runs))


def _activations(run: Run) -> int:
    return run[BATCH_SIZE] * run[WIDTH] * run.depth * prod(get_task(run.task).input_shape(run)[1:])


def _unit_bytes(unit: Unit, conditions: Conditions) -> int:
    if unit.stacked:  # its memory is its own, with a graph and without
        return _stack_bytes(unit)
    with_graphs = conditions.cuda_graphs and device_type(conditions.device) == "cuda"
    return training_bytes(unit.runs[0], recompute=conditions.recompute, with_graphs=with_graphs)


def training_bytes(run: Run, *, recompute: bool = False, with_graphs: bool = False) -> int:
    """The most bytes that the tensors of a run in the loop take at a time, without its data.

    `with_graphs` are steps replayed where that is possible, which is not with random layers and recomputed blocks.
    """
    task = get_task(run.task)
    shape, dtype = task.input_shape(run), DTYPES[run[PRECISION]]
    net = describe_net(run, shape, task.outputs).to(dtype)
    if recompute:
        recompute_blocks(net)
    values = _bytes(net.parameters())
    persistent = values * (1 + optimizer_copies(run)) + _bytes(net.buffers())
    step = _peak(net, (run[BATCH_SIZE], *shape), dtype, training=True)
    examples = min(run[EVAL_SIZE], EVALUATION_BATCH, max(task.examples(run)))
    evaluation = values + _peak(net, (examples, *shape), dtype, training=False)
    graph = step if with_graphs and not recompute and not drawing_layers(net) else 0
    return persistent + graph + max(step, evaluation, persistent + values)  # or the bytes of a checkpoint


def optimizer_copies(run: Run) -> int:
    """How many numbers the optimiser of a run remembers of each parameter."""
    example = nn.Parameter(torch.zeros(1))
    example.grad = torch.zeros_like(example)
    optimizer = build_optimizer(run, [example])
    optimizer.step()
    return sum(isinstance(value, Tensor) and value.shape == (1,) for value in state_of(optimizer).get(0, {}).values())


def _peak(net: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, *, training: bool) -> int:
    """The most bytes alive at a time in a step or an evaluation of a batch, beside parameters and buffers."""
    net.train(training)
    for layer in net.modules():
        if isinstance(layer, StochasticDepth):
            layer.eval()  # no block is dropped
    with torch.set_grad_enabled(training), _Alive() as alive:
        outputs = net(torch.empty(shape, dtype=dtype, device="meta"))
        if training:
            loss = outputs.sum() + sum(head.outputs.sum() for head in auxiliary_heads(net) if head.outputs is not None)
            loss.backward()
    net.zero_grad()
    most: int = alive.most  # torch gives modes no types
    return most


def _bytes(tensors: Any) -> int:
    return int(sum(tensor.numel() * tensor.element_size() for tensor in tensors))


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the memory of what operations return until it is freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now: int = 0
        self.most: int = 0
        self._known: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: object, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        output = func(*args, **kwargs or {})
        tree_map_only(Tensor, self._count, output)
        return output

    def _count(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if id(storage) not in self._known:
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            self._known[id(storage)] = weakref.finalize(storage, self._free, id(storage), storage.nbytes())
        return tensor

    def _free(self, identity: int, count: int) -> None:
        self._known.pop(identity, None)
        self.now -= count


def _process_bytes() -> int:
    """The memory of this process; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):  # other systems than Linux
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(ImportError):  # Windows
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most * (1 if sys.platform == "darwin" else 1024)
    return 0
