"""How fast a device trains: kinds of steps, several runs at once, and the two engines, each as ratios in one run."""

import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.agreement import recorder_of
from benchmarks.engines import scaled, sine_runs
from benchmarks.random_images import random_images
from resnet_cli.models import build_net
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.tasks import get_task
from resnet_cli.training.device import prepare_device, resolve_device
from resnet_cli.training.graphs import EAGER_STEPS, GraphedStep
from resnet_cli.training.loop import train
from resnet_cli.training.optimizers import build_optimizer
from resnet_cli.training.stacked.engine import train_stack
from resnet_cli.training.stacked.grouping import group_runs
from resnet_cli.training.step import EagerStep

BARRIER_SECONDS = 300.0
RATE = 0.01


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        depths: of the ResNets whose steps are timed; the first is also run several times at once.
        of_resnets: their settings, besides.
        images: number of random training images.
        steps: in one measurement.
        repeats: of each measurement; medians are shown.
        shared: kinds of steps of several runs at once.
        processes: numbers of runs at once, from one.
        sweep: settings of the sine sweep that the engines train.
        sample: what else they are for the loop, which trains only some of the depths.
    """

    depths: tuple[int, ...] = (20, 110)
    of_resnets: Mapping[str, Any] = field(default_factory=dict)
    images: int = 10_000
    steps: int = 100
    repeats: int = 5
    shared: tuple[str, ...] = ("float32, channels_last, eager", "float32, channels_last, CUDA graphs")
    processes: tuple[int, ...] = (1, 2, 4, 8)
    sweep: Mapping[str, Any] = field(default_factory=lambda: {"seeds": "0..4"})
    sample: Mapping[str, Any] = field(default_factory=lambda: {"depths": "2..40:12", "seeds": "0"})


QUICK = Size(
    depths=(8, 14),
    of_resnets={"width": 2, "batch_size": 4},
    images=40,
    steps=3,
    repeats=2,
    shared=("float32, channels_last, CUDA graphs",),
    processes=(1, 2),
    sweep={"depths": "2..4", "width": 4, "steps": 8, "eval_every": 4},
    sample={"depths": "2,4"},
)

KINDS = {
    "float32, contiguous, eager": ("float32", False, False),
    "float32, channels_last, eager": ("float32", True, False),
    "float32, channels_last, CUDA graphs": ("float32", True, True),
    "bfloat16, channels_last, eager": ("bfloat16", True, False),
    "bfloat16, channels_last, CUDA graphs": ("bfloat16", True, True),
}
"""Precision, memory format, and whether steps are replayed. A sweep's are channels_last, with CUDA graphs."""

REFERENCE = "float32, channels_last, eager"


class Contiguous(nn.Module):
    """A net of images that are not channels_last."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, outputs)."""
        return self.net(images.contiguous())  # type: ignore[no-any-return]


def step_of(depth: int, kind: str, size: Size, device: torch.device) -> EagerStep:
    """What takes steps of a ResNet on random images, in a way of `KINDS`."""
    precision, channels_last, graphs = KINDS[kind]
    request = {"task": "cifar10", "models": "resnet", "depths": depth, "seeds": 0, "precision": precision}
    (run,) = plan_sweep({**request, "optimizer": "momentum", **size.of_resnets}).runs
    data = random_images(size.images).to(device, torch.float32)
    net = data.adapt(build_net(run, data.input_shape, data.outputs))
    if not channels_last:
        net = Contiguous(net)
    optimizer = build_optimizer(run, net.parameters())
    if not graphs:
        return EagerStep(run, data, net, optimizer, {})
    return GraphedStep(run, data, net, optimizer, {}, recorder=recorder_of(device))


def seconds_a_step(step: EagerStep, first: int, count: int) -> float:
    """Seconds of a step, measured over `count` of them, which begin and end with an idle device."""
    device = step.data.device
    synchronize(device)
    began = time.perf_counter()
    for number in range(first, first + count):
        step.take(number, RATE)
    synchronize(device)
    return (time.perf_counter() - began) / count


def synchronize(device: torch.device) -> None:
    """Wait for a device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def warm_up(step: EagerStep, size: Size) -> int:
    """Take steps until graphs are recorded and algorithms chosen; returns their number."""
    count = EAGER_STEPS + 2 + size.steps // 5
    seconds_a_step(step, 0, count)
    return count


def step_table(device: torch.device, size: Size) -> str:
    """A Markdown table of the kinds of steps; within a repeat they take turns."""
    lines = ["| ResNet | step | ms | times eager | |", "|---|---|---|---|---|"]
    for depth in size.depths:
        steps = {kind: step_of(depth, kind, size, device) for kind in KINDS}
        taken = {kind: warm_up(step, size) for kind, step in steps.items()}
        seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for _ in range(size.repeats):
            for kind, step in steps.items():
                seconds[kind].append(seconds_a_step(step, taken[kind], size.steps))
                taken[kind] += size.steps
        for kind, times in seconds.items():
            ratio = statistics.median(one / other for one, other in zip(times, seconds[REFERENCE], strict=True))
            note = str(steps[kind].environment().get("why_no_cuda_graphs", ""))
            lines.append(f"| {depth} | {kind} | {1000 * statistics.median(times):.2f} | {ratio:.2f} | {note} |")
    return "\n".join(lines)


_barriers: Mapping[int, Barrier]


def _meet(barriers: Mapping[int, Barrier]) -> None:
    global _barriers
    _barriers = barriers
    torch.set_num_threads(1)


def _seconds_beside_others(kind: str, size: Size, device_name: str, count: int) -> float:
    """Seconds of a step in one of `count` processes that begin at the same time."""
    device = resolve_device(device_name)
    prepare_device(device, threads=1)
    step = step_of(size.depths[0], kind, size, device)
    first = warm_up(step, size)
    _barriers[count].wait(BARRIER_SECONDS)
    return seconds_a_step(step, first, size.steps * size.repeats)


def sharing_table(device: torch.device, size: Size) -> str:
    """A Markdown table of several processes that train the same net on one device at the same time."""
    lines = ["| step | runs at once | ms, each | steps a second, all | times one run |", "|---|---|---|---|---|"]
    context = get_context("spawn")
    barriers = {count: context.Barrier(count) for count in size.processes}
    with ProcessPoolExecutor(max(barriers), context, initializer=_meet, initargs=(barriers,)) as pool:
        for kind in size.shared:
            alone = 0.0
            for count in size.processes:
                futures = [pool.submit(_seconds_beside_others, kind, size, str(device), count) for _ in range(count)]
                seconds = [future.result() for future in futures]
                together = sum(1 / took for took in seconds)
                alone = alone or together
                each = 1000 * statistics.median(seconds)
                lines.append(f"| {kind} | {count} | {each:.2f} | {together:.0f} | {together / alone:.2f} |")
    return "\n".join(lines)


def engine_table(device: torch.device, size: Size) -> str:
    """A Markdown table of the engines' seconds for a sine sweep; the loop's are scaled from some depths."""
    sweep, sample = sine_runs(**size.sweep), sine_runs(**{**size.sweep, **size.sample})
    data = get_task(sweep[0].task).load(sweep[0], None).to(device, torch.float32)
    groups = group_runs(sweep, device.type)
    recorder = recorder_of(device)

    def loop_seconds(graphs: bool) -> float:
        taken = {
            run: _timed(device, partial(train, run, data, recorder=recorder if graphs else None)) for run in sample
        }
        return scaled(taken, sweep)

    engines: dict[str, Callable[[], float]] = {
        "loop, eager": lambda: loop_seconds(graphs=False),
        "loop, CUDA graphs": lambda: loop_seconds(graphs=True),
        "stacked": lambda: _timed(device, lambda: [train_stack(runs, data, recorder=recorder) for runs in groups]),
    }
    train_stack(groups[-1][:1], data, recorder=recorder)
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(min(2, size.repeats)):
        for name, measure in engines.items():
            seconds[name].append(measure())
    lines = [
        f"{len(sweep)} runs, in {len(groups)} stacks:",
        "",
        "| engine | seconds | times as fast as the loop, eager |",
        "|---|---|---|",
    ]
    reference = statistics.median(seconds["loop, eager"])
    for name, times in seconds.items():
        took = statistics.median(times)
        lines.append(f"| {name} | {took:.1f} | {reference / took:.1f} |")
    return "\n".join(lines)


def _timed(device: torch.device, action: Callable[[], object]) -> float:
    synchronize(device)
    began = time.perf_counter()
    action()
    synchronize(device)
    return time.perf_counter() - began
