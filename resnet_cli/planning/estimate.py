"""What a sweep will cost on this machine: a few steps of each kind of net, timed under the sweep's own conditions.

The measure is processor time, because it hardly depends on what else the machine does. A kind's cost is assumed to be
linear in the number of layers. Initial values, evaluations, the files of every run and the start of the processes are
added; for many tiny runs they are most of the cost.
"""

import heapq
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from humanize import precisedelta

from resnet_cli.models import count_parameters, describe_net
from resnet_cli.models.settings import WIDTH
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.units import Unit, kind_of_net
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.layout import run_folder
from resnet_cli.store.reader import load_run
from resnet_cli.store.record import RunRecord, write_run
from resnet_cli.tasks import get_task
from resnet_cli.training.data import load_data
from resnet_cli.training.device import environment, prepare_device, resolve_device
from resnet_cli.training.graphs import EAGER_STEPS, recorder_of
from resnet_cli.training.loop import train
from resnet_cli.training.schedule import length
from resnet_cli.training.settings import BATCH_SIZE, EPOCHS, EVAL_EVERY, EVAL_SIZE, STEPS, work
from resnet_cli.training.stacked.engine import train_stack
from resnet_cli.training.stacked.grouping import stack_key

TIMING_SECONDS = 2.0
"""Processor time for timing, after which only kinds of a model that has not been timed yet are timed."""

CHUNK_SECONDS, MOST_STEPS = 0.1, 40
"""How long the timed steps between two evaluations should take, and their maximum number."""

SMALL_BATCH, HEAVY_SECONDS = 32, 0.05
"""A net is heavy if a step with this many examples takes this long; it is timed on no more, for three steps."""

TIMED_EXAMPLES = 400
"""The number of training examples, and of test examples, on which an evaluation is timed."""

START_SECONDS = 2.0
"""The time from the start of a process to its first step, mostly for importing torch."""


@dataclass(frozen=True)
class Cost:
    """Seconds until the first evaluation, per step, and per evaluated example, for units with this many layers."""

    layers: int
    start: float
    step: float
    example: float


@dataclass(frozen=True)
class Estimate:
    """What is left of a plan, and its cost on this machine; `problems` names runs that cannot be trained."""

    units: list[Unit]
    workers: int
    steps: int  # of all runs that are left
    parameters: int  # of the largest net
    seconds: float
    problems: list[str]

    def __str__(self) -> str:
        processes = "1 process" if self.workers == 1 else f"{self.workers} processes"
        return (
            f"{self.steps:,} optimiser steps, up to {self.parameters:,} parameters, "
            f"about {duration(self.seconds)} with {processes}"
        )


def estimate(
    left: Sequence[Unit], conditions: Conditions, *, on_timing: Callable[[Run], None] = lambda run: None
) -> Estimate:
    """Time what is left of a plan and add up; nothing is written to the results folder, which need not exist.

    `on_timing` is called with a run before nets like its own are timed.

    Raises:
        UserError: this machine lacks the device, or a data set is missing or corrupt.
    """
    kinds = {unit: _kind(unit) for unit in left}
    costs, problems = _time_kinds(kinds, conditions, on_timing)
    files = _seconds_of_files(left[0].runs[0], conditions) if left else 0.0
    seconds = [_seconds_of(unit, costs[kind]) + files * len(unit.unfinished) for unit, kind in kinds.items()]
    starts = min(2, len(left), conditions.workers)  # of this process, and of the workers, which start together
    return Estimate(
        units=list(left),
        workers=conditions.workers,
        steps=sum(_length(unit)[0] * len(unit.unfinished) for unit in left),
        parameters=_most_parameters([run for unit in left for run in unit.runs]) if left else 0,
        seconds=starts * START_SECONDS + _makespan(seconds, conditions.workers),
        problems=problems,
    )


def _kind(unit: Unit) -> str:
    """The same for units whose costs differ only through their number of layers."""
    run = unit.runs[0]
    return stack_key(run) if unit.stacked else kind_of_net(run)


def _layers(unit: Unit) -> int:
    return sum(run.depth for run in unit.runs)


def _time_kinds(
    kinds: Mapping[Unit, str], conditions: Conditions, on_timing: Callable[[Run], None]
) -> tuple[dict[str, list[Cost]], list[str]]:
    """Time one or two units of each kind, those with most work first, and name the runs for which that fails.

    After `TIMING_SECONDS`, further kinds of a model are assumed to cost as much as its first one.
    """
    alike: dict[str, list[Unit]] = {}
    for unit, kind in kinds.items():
        alike.setdefault(kind, []).append(unit)
    costs: dict[str, list[Cost]] = {}
    first_of_model: dict[tuple[str, bool], list[Cost]] = {}
    problems = []
    began = time.process_time()
    for kind, units in sorted(alike.items(), key=lambda item: -sum(work(run) for unit in item[1] for run in unit.runs)):
        model = units[0].runs[0].model, units[0].stacked
        if model in first_of_model and time.process_time() - began > TIMING_SECONDS:
            costs[kind] = first_of_model[model]
            continue
        costs[kind] = []
        for unit in _samples(units):
            on_timing(unit.runs[0])
            try:
                costs[kind].append(_time(unit, conditions))
            except UserError:
                raise
            except Exception as error:
                words = " ".join(str(error).split())
                problems.append(f"{unit.runs[0].run_id} cannot be trained: {type(error).__name__}: {words}")
        first_of_model.setdefault(model, costs[kind])
    return costs, problems


def _samples(units: Sequence[Unit]) -> Sequence[Unit]:
    """The units of a kind that are timed: the largest stack, or the shallowest run and one half as deep again."""
    if units[0].stacked:
        return [max(units, key=_layers)]
    shallowest, *others = sorted(units, key=_layers)
    deeper = [unit for unit in others if _layers(unit) > _layers(shallowest)]
    much_deeper = [unit for unit in deeper if _layers(unit) >= 1.5 * _layers(shallowest)]
    return [shallowest, *(much_deeper[:1] or deeper[-1:])]


def _time(unit: Unit, conditions: Conditions) -> Cost:
    """Train a unit's nets for a few steps, as a sweep would train them."""
    data, device = load_data(unit.runs[0], conditions.data_dir, conditions.device), resolve_device(conditions.device)
    threads = unit.threads(conditions.threads)
    prepare_device(device, threads)
    recorder = recorder_of(device) if conditions.cuda_graphs else None

    def clock() -> float:
        return time.process_time() / threads if device.type == "cpu" else time.perf_counter()

    def times(steps: int, every: int, batch: int, examples: int) -> list[float]:
        """When a short training began and when each of its evaluations ended, by the clock."""
        short = {EPOCHS: None, STEPS: steps, EVAL_EVERY: every, BATCH_SIZE: batch, EVAL_SIZE: examples}
        runs = [run.but(short) for run in unit.runs]
        ended = {-1: clock()}

        def note(metrics: Metrics) -> None:
            ended[metrics.step] = clock()  # of a stack, the last net's

        if unit.stacked:
            train_stack(runs, data, recorder=recorder, on_evaluation=lambda run, metrics, total: note(metrics))
        else:
            train(
                runs[0],
                data,
                recompute=conditions.recompute,
                recorder=recorder,
                on_evaluation=lambda metrics, total: note(metrics),
            )
        return list(ended.values())

    def cost(start: float, step: float, example: float) -> Cost:
        return Cost(_layers(unit), max(start, 0.0), max(step, 1e-7), max(example, 0.0))

    full = unit.runs[0][BATCH_SIZE]
    batch = min(full, SMALL_BATCH)
    began, first, *rest = times(3, 1, batch, 1)
    rough = min(later - earlier for earlier, later in pairwise([first, *rest])) * full / batch
    if rough * batch / full > HEAVY_SECONDS or len(rest) < 3:  # arithmetic counts, not calls: a step is three passes
        return cost(first - began, rough, rough / (3 * full))
    least = 2 if recorder is None else EAGER_STEPS + 2  # after as many steps all is recorded
    every = min(max(least, round(CHUNK_SECONDS / rough)), MOST_STEPS)
    examples = min(unit.runs[0][EVAL_SIZE], TIMED_EXAMPLES)
    began, first, *rest = times(2 * every + 1, every, full, examples)
    if len(rest) < 3:  # the loss has become infinite
        return cost(first - began, rough, rough / (3 * full))
    step = (rest[1] - rest[0] - (rest[2] - rest[1])) / (every - 1)
    evaluation = rest[2] - rest[1] - step
    evaluated = sum(min(examples, len(part)) for part in (data.train_inputs, data.test_inputs))
    return cost(first - began - evaluation, step, evaluation / evaluated)


def _seconds_of(unit: Unit, timed: Sequence[Cost]) -> float:
    """Seconds of a whole unit from the costs of one or two of its kind; 0 if none could be trained."""
    if not timed:
        return 0.0
    total_steps, interval, _ = _length(unit)
    run = unit.runs[0]
    evaluated = sum(min(run[EVAL_SIZE], part) for part in get_task(run.task).examples(run))
    low, high = timed[0], timed[-1]
    one, other = (
        cost.start + total_steps * cost.step + (-(-total_steps // interval) + 1) * evaluated * cost.example
        for cost in (low, high)
    )
    if low.layers == high.layers:
        return one * _layers(unit) / low.layers
    return max(one, one + (other - one) * (_layers(unit) - low.layers) / (high.layers - low.layers))


def _length(unit: Unit) -> tuple[int, int, int]:
    run = unit.runs[0]
    return length(run, get_task(run.task).examples(run)[0])


def _seconds_of_files(run: Run, conditions: Conditions) -> float:
    """Seconds for writing the files of a finished run and for reading them at the end of the sweep."""
    evaluations = [Metrics(0.0, 0, 1 / 3, 1 / 3, 1 / 3, None, None, 1 / 3)] * 20
    took = []
    with TemporaryDirectory() as folder:
        for _ in range(3):
            began = time.perf_counter()
            machine = environment(resolve_device(conditions.device), 1)
            write_run(Path(folder), RunRecord(status="done", run=run, environment=machine, history=evaluations))
            load_run(run_folder(Path(folder), run))
            took.append(time.perf_counter() - began)
    return min(took)


def _most_parameters(runs: Sequence[Run]) -> int:
    largest = {run.model: run for run in sorted(runs, key=lambda run: (run[WIDTH], run.depth))}
    task = get_task(runs[0].task)
    return max(count_parameters(describe_net(run, task.input_shape(run), task.outputs)) for run in largest.values())


def _makespan(seconds: Iterable[float], workers: int) -> float:
    """When the last unit ends, if units go in order to whichever worker is free."""
    free = [0.0] * workers
    for took in seconds:
        heapq.heapreplace(free, free[0] + took)
    return max(free)


def duration(seconds: float) -> str:
    """A time in words, such as `1 minute` or `2 hours and 5 minutes`."""
    return precisedelta(max(1, seconds), minimum_unit="seconds" if seconds < 90 else "minutes", format="%.0f")
