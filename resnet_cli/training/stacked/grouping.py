"""Which runs train together in a stack, and how large a stack is."""

import hashlib
from collections.abc import Iterable, Sequence
from math import prod
from typing import get_args

import torch

from resnet_cli.models import get_model
from resnet_cli.models.settings import WIDTH
from resnet_cli.settings import registry
from resnet_cli.settings.errors import shorten
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Effect
from resnet_cli.tasks import get_task
from resnet_cli.training.loop import DTYPES
from resnet_cli.training.settings import BATCH_SIZE, EPOCHS, PRECISION, STEPS
from resnet_cli.training.stacked.packing import padded

STACK_BYTES = {"cpu": 12_000_000, "cuda": 1_000_000_000}
"""Maximum working set of a stack's training step, by type of device; a stack has at least one net.

On a CPU it should fit into the process's share of the last-level cache: with 32 MB for two cores, products of 32×32
matrices run at 83 GFLOP/s while they touch up to 9 MB, at 76 with 12 MB, 58 with 14 MB and 50 with 35 MB. Much smaller
stacks lose as much to call overhead, about 10 µs per layer and step: a single net takes 15 µs per layer, a full stack 4
to 5 per layer of each net.
"""

STACKS_A_WORKER = 2
"""The minimum number of stacks per worker, so that no process is idle for long when the last stacks finish."""


def obstacle(run: Run, device_type: str) -> str:
    """What keeps the stacked engine from training a run, such as `dropout (=0.1)`; nothing if it can.

    A model, and each of its settings and those of training, must say that it can.
    """
    if device_type not in STACK_BYTES:
        return f"device (={device_type})"
    if not get_model(run.model).can_stack:
        return f"model (={run.model})"
    for name, value in run.settings.items():
        setting = registry.find(name)
        if setting is None or not (registry.owner(setting) == "Task" or setting.can_stack(value)):
            return f"{name} (={shorten(value)})"
    return ""


def stack_key(run: Run) -> str:
    """What the runs of a stack have in common: all settings that determine shapes, batches, skips or the update rule.

    They may differ in depth, seed, initialisation, learning rate and its schedule, and weight decay.
    """
    return str((run.task, run.model, run.that_affect(*get_args(Effect))))


def group_runs(runs: Iterable[Run], device_type: str, workers: int = 1) -> list[list[Run]]:
    """Divide runs into stacks, the longest first.

    Nets of similar depth are grouped, so that a layer's product includes many of them. A run's result is the same in
    every stack, at least up to rounding, so the division may depend on `workers`, the number of processes. No two of
    the runs are equal, and all can be stacked on the device, cpu or cuda.
    """
    alike: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (-run.depth, run.seed, run.run_id)):
        alike.setdefault(stack_key(run), []).append(run)
    sizes = {run: working_set(run) for members in alike.values() for run in members}
    share = -(-sum(sizes.values()) // (STACKS_A_WORKER * workers))
    stacks: dict[tuple[str, int], list[Run]] = {}
    for key, members in alike.items():
        total, before = sum(sizes[run] for run in members), 0
        most = min(share, STACK_BYTES[device_type])
        count = -(-total // most)
        for run in members:
            middle = before + sizes[run] // 2
            stacks.setdefault((key, middle * count // total), []).append(run)
            before += sizes[run]
    return sorted(stacks.values(), key=lambda stack: _cost(stack, sizes), reverse=True)


def working_set(run: Run) -> int:
    """The working set of a run's training step in a stack, in bytes: weights, moments and a batch's activations."""
    task = get_task(run.task)
    columns, inputs = padded(run[WIDTH]), padded(prod(task.input_shape(run)))
    weights = columns * (inputs + (run.depth - 1) * columns + task.outputs)
    activations = run[BATCH_SIZE] * (inputs + (run.depth + 2) * columns)
    copies = 3  # parameters and two moments
    return (copies * weights + activations) * torch.finfo(DTYPES[run[PRECISION]]).bits // 8


def stack_name(runs: Sequence[Run]) -> str:
    """A file name for the state of a stack, determined by its runs."""
    names = "\n".join(sorted(run.run_id for run in runs))
    return f"stack_{hashlib.sha256(names.encode()).hexdigest()[:16]}"


def _cost(stack: list[Run], sizes: dict[Run, int]) -> int:
    return sum(sizes[run] * (run.get(STEPS) or run.get(EPOCHS) or 0) for run in stack)
