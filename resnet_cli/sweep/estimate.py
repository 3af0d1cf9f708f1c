"""How long a sweep will take, from a few timed steps of its shallowest nets."""

import time
from collections.abc import Iterator
from pathlib import Path

from resnet_cli.models import count_parameters, describe_net
from resnet_cli.spec.errors import UserError
from resnet_cli.spec.run import Run
from resnet_cli.sweep.perform import Conditions, load_data
from resnet_cli.sweep.plan import Plan
from resnet_cli.sweep.runner import choose_conditions
from resnet_cli.tasks.base import Data
from resnet_cli.training.loop import length, train

MAX_TIMED = 6
"""Kinds of nets that are timed; the rest are taken to cost as much as the last of these."""


def estimate(plan: Plan, *, jobs: int | None, data_dir: Path | None) -> str:
    """The cost of a plan in words: optimiser steps, parameters of the largest net, and time on this machine.

    Each kind of net is timed at two small depths; the time of a step and of an evaluation is linear in depth.
    """
    conditions, jobs = choose_conditions(plan, Path(), jobs=jobs, data_dir=data_dir)
    try:
        data = {run: load_data(run, conditions) for run in plan.runs}
    except UserError as error:
        return f"unknown, because {error}"
    steps = sum(length(run, data[run])[0] for run in plan.runs)
    largest = max(_parameters(run, data[run]) for run in _deepest(plan.runs))
    seconds = sum(_seconds(plan.runs, data, conditions)) / jobs
    return f"{steps:,} optimiser steps, up to {largest:,} parameters, about {_in_words(seconds)} with {jobs} processes."


def _parameters(run: Run, data: Data) -> int:
    return count_parameters(describe_net(run, data.input_shape, data.outputs))


def _deepest(runs: list[Run]) -> list[Run]:
    deepest: dict[str, Run] = {}
    for run in runs:
        if run.model not in deepest or run.depth > deepest[run.model].depth:
            deepest[run.model] = run
    return list(deepest.values())


def _seconds(runs: list[Run], data: dict[Run, Data], conditions: Conditions) -> Iterator[float]:
    """Estimated seconds of each run alone."""
    kinds: dict[Run, list[Run]] = {}
    for run in runs:
        kinds.setdefault(run.model_copy(update={"depth": 1, "seed": 0, "init": "he", "learning_rate": 1.0}), []).append(
            run
        )
    for index, members in enumerate(kinds.values()):
        if index < MAX_TIMED:
            depths = sorted({run.depth for run in members})
            shallow = next(run for run in members if run.depth == depths[0])
            deeper_depth = next((depth for depth in depths if depth >= 2 * depths[0]), depths[-1])
            deeper = next(run for run in members if run.depth == deeper_depth)
            first, second = _time(shallow, data[shallow]), _time(deeper, data[deeper])
        for run in members:
            total_steps, interval, _ = length(run, data[run])
            evaluated = min(run.eval_size, len(data[run].train_inputs)) + min(run.eval_size, len(data[run].test_inputs))
            evaluations = total_steps // interval + 1
            costs = []
            for at_shallow, at_deeper in zip(first, second, strict=True):
                slope = (at_deeper - at_shallow) / max(1, deeper.depth - shallow.depth)
                costs.append(max(at_shallow, at_shallow + slope * (run.depth - shallow.depth)))
            yield total_steps * costs[0] + evaluations * evaluated * costs[1]


def _time(run: Run, data: Data) -> tuple[float, float]:
    """Seconds of a step, and of evaluating one example."""
    batch = run.batch_size
    update = {"epochs": None, "eval_size": batch, "eval_every": 10**6}
    few, more = 1, 4
    durations = []
    for steps in (few, few, more):  # the first warms up
        began = time.perf_counter()
        train(run.model_copy(update=update | {"steps": steps}), data)
        durations.append(time.perf_counter() - began)
    step = max(1e-6, (durations[2] - durations[1]) / (more - few))
    return step, max(1e-9, (durations[1] - step) / (4 * batch))


def _in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
