"""What a sweep will cost, from a few timed steps of its shallowest nets and of its first stacks."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from resnet_cli.models import count_parameters, describe_net
from resnet_cli.spec.run import Run
from resnet_cli.sweep.jobs import Job, make_jobs
from resnet_cli.sweep.perform import data_key, load_data
from resnet_cli.sweep.plan import Plan
from resnet_cli.sweep.runner import choose_conditions
from resnet_cli.tasks.base import Data
from resnet_cli.training.device import resolve_device
from resnet_cli.training.grouping import stack_key
from resnet_cli.training.loop import length, train
from resnet_cli.training.stacked import train_stack

MAX_TIMED = 6
"""Kinds of nets that are timed, and one of each model; a further kind costs as the last timed one of its model."""

SMALL_BATCH, HEAVY_SECONDS = 32, 0.05
"""A net is heavy if a step and the evaluations of so many examples take so long; it is timed on no more."""

QUICK_SECONDS = 0.01
"""A step shorter than this is timed over many."""

IRRELEVANT = frozenset(
    {*("depth", "seed", "init", "init_std", "sine_range", "noise", "learning_rate", "momentum", "weight_decay")}
    | {*("epochs", "steps", "schedule", "milestones", "decay_factor", "warmup_steps", "warmup_factor")}
    | {*("warmup_shape", "eval_every", "eval_size")}
)
"""Settings that do not change what a step costs, and depth, which does in proportion."""

Cost = tuple[float, float]
"""Seconds of a step, and of evaluating one example."""


@dataclass(frozen=True)
class Estimate:
    """What a plan costs on this machine."""

    jobs: list[Job]
    workers: int
    steps: int  # of all runs together
    parameters: int  # of the largest net
    seconds: float  # of the whole sweep, start-up left out

    def __str__(self) -> str:
        processes = "1 process" if self.workers == 1 else f"{self.workers} processes"
        return (
            f"{self.steps:,} optimiser steps, up to {self.parameters:,} parameters, "
            f"about {_in_words(self.seconds)} with {processes}"
        )


def estimate(plan: Plan, *, jobs: int | None, data_dir: Path | None, recompute: bool = False) -> Estimate:
    """Time a plan's kinds of nets, each at two small depths, and its stacks, and add up.

    Args:
        plan: what would be done.
        jobs: processes, as in `open_sweep`.
        data_dir: where data sets are.
        recompute: as in `open_sweep`.

    Raises:
        UserError: no such device, or a data set is missing or corrupt.
    """
    conditions, workers = choose_conditions(plan, Path(), jobs=jobs, data_dir=data_dir)

    def data(run: Run) -> Data:
        return load_data(run, conditions)

    planned = make_jobs(plan, data, workers, resolve_device(plan.device).type)
    deepest = {run.model: run for run in sorted(plan.runs, key=lambda run: run.depth)}
    sizes = [count_parameters(describe_net(run, data(run).input_shape, data(run).outputs)) for run in deepest.values()]
    alone = [job.runs[0] for job in planned if not job.stacked]
    stacks = [job.runs for job in planned if job.stacked]
    return Estimate(
        jobs=planned,
        workers=workers,
        steps=sum(length(run, data(run))[0] for run in sorted(plan.runs, key=data_key)),
        parameters=max(sizes),
        seconds=(_loop_seconds(alone, data, recompute) + _stack_seconds(stacks, data)) / min(workers, len(planned)),
    )


def _loop_seconds(runs: list[Run], data: Callable[[Run], Data], recompute: bool) -> float:
    """Seconds of some runs one after another; a kind's cost is linear in depth."""
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        kinds.setdefault(str([(name, value) for name, value in run if name not in IRRELEVANT]), []).append(run)
    total = 0.0
    timed: dict[str, tuple[Run, Run, Cost, Cost]] = {}
    for index, members in enumerate(kinds.values()):
        model = members[0].model
        if index < MAX_TIMED or model not in timed:
            depths = sorted({run.depth for run in members})
            shallow = next(run for run in members if run.depth == depths[0])
            deeper_depth = next((depth for depth in depths if depth >= 1.5 * depths[0]), depths[-1])
            deeper = next(run for run in members if run.depth == deeper_depth)
            low, high = (_time_loop(run, data(run), recompute) for run in (shallow, deeper))
            timed[model] = shallow, deeper, low, high
        shallow, deeper, low, high = timed[model]
        for run in members:
            share = (run.depth - shallow.depth) / max(1, deeper.depth - shallow.depth)
            total += _seconds_of(run, data(run), (_between(low[0], high[0], share), _between(low[1], high[1], share)))
    return total


def _stack_seconds(stacks: list[tuple[Run, ...]], data: Callable[[Run], Data]) -> float:
    """Seconds of some stacks one after another; those of a kind cost in proportion to their layers."""
    costs: dict[str, tuple[Cost, int]] = {}
    total = 0.0
    for stack in stacks:
        key = stack_key(stack[0])
        if key not in costs:
            costs[key] = _time_stack(stack, data(stack[0])), _layers(stack)
        cost, layers = costs[key]
        total += _seconds_of(stack[0], data(stack[0]), cost) * _layers(stack) / layers
    return total


def _layers(runs: tuple[Run, ...]) -> int:
    return sum(run.depth for run in runs)


def _between(low: float, high: float, share: float) -> float:
    return max(low, low + share * (high - low))


def _seconds_of(run: Run, data: Data, cost: Cost) -> float:
    """Seconds of a whole training whose steps and evaluations cost so much."""
    total_steps, interval, _ = length(run, data)
    evaluated = sum(min(run.eval_size, len(part)) for part in (data.train_inputs, data.test_inputs))
    return total_steps * cost[0] + (total_steps // interval + 1) * evaluated * cost[1]


def _time_loop(run: Run, data: Data, recompute: bool) -> Cost:
    return _time(run, lambda short: train(short, data, recompute=recompute))


def _time_stack(runs: tuple[Run, ...], data: Data) -> Cost:
    def shortened(short: Run) -> None:
        length_and_evaluation = {name: getattr(short, name) for name in ("epochs", "steps", "eval_every", "eval_size")}
        train_stack([run.model_copy(update=length_and_evaluation) for run in runs], data)

    return _time(runs[0], shortened)


def _time(run: Run, do: Callable[[Run], object]) -> Cost:
    def seconds(steps: int, batch: int, examples: int) -> float:
        short = {"epochs": None, "steps": steps, "eval_every": 10**6, "batch_size": batch, "eval_size": examples}
        began = time.perf_counter()
        do(run.model_copy(update=short))
        return time.perf_counter() - began

    batch = min(run.batch_size, SMALL_BATCH)
    seconds(1, batch, 1)  # warms up
    base = seconds(1, batch, 1)
    if base > HEAVY_SECONDS:  # arithmetic counts, not calls: cost goes with examples, and a step is three passes
        step = (seconds(3, batch, 1) - base) / 2 * run.batch_size / batch
        return max(1e-6, step), max(1e-9, step / (3 * run.batch_size))
    base = seconds(1, run.batch_size, run.batch_size)
    step = (seconds(6, run.batch_size, run.batch_size) - base) / 5
    if step < QUICK_SECONDS:  # too short to be timed in a few steps
        step = (seconds(41, run.batch_size, run.batch_size) - base) / 40
    # Two evaluations, each on as many training as test examples, of nine batches instead of one.
    example = (seconds(1, run.batch_size, 9 * run.batch_size) - base) / (2 * 2 * 8 * run.batch_size)
    return max(1e-6, step), max(1e-9, example)


def _in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
