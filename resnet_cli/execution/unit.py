"""One job from its settings to its files."""

import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torch import Tensor

from resnet_cli.execution.units import Job
from resnet_cli.settings.errors import StorageError
from resnet_cli.settings.events import Evaluated, Event, Finished, Metrics, Started, Status, Warned
from resnet_cli.settings.run import Run
from resnet_cli.store.layout import write_run
from resnet_cli.store.weights import write_weights
from resnet_cli.training.checkpoint import Checkpoint
from resnet_cli.training.data import load_data
from resnet_cli.training.device import environment, prepare_device, resolve_device
from resnet_cli.training.loop import train
from resnet_cli.training.stacked.engine import train_stack


@dataclass(frozen=True)
class Conditions:
    """Where and how runs are trained; none of this affects which results are kept."""

    folder: Path
    device: str
    threads: int
    data_dir: Path | None
    checkpoint_seconds: float
    recompute: bool = False
    save_models: bool = False


@dataclass(frozen=True)
class Result:
    """The outcome of a run."""

    run: Run
    status: Status
    history: list[Metrics]
    parameters: int | None
    state: Mapping[str, Tensor] | None = None  # of the net
    message: str = ""


def perform(job: Job, conditions: Conditions, emit: Callable[[Event], None]) -> None:
    """Train the runs of a job, or resume from its checkpoint, write their files, and emit what happens.

    An error of the training makes its runs `failed`; their files say why.
    """
    clock = Clock()
    threads = job.threads(conditions.threads)
    device = resolve_device(conditions.device)
    prepare_device(device, threads)

    def start(step: int) -> None:
        for run in job.unfinished:
            emit(Started(run.run_id, step))

    start(0)
    checkpoint = Checkpoint(
        job.checkpoint_file(conditions.folder),
        conditions.checkpoint_seconds,
        on_load=start,
        on_damage=lambda sentence: emit(Warned(sentence)),
    )
    try:
        results = list(_train(job, conditions, checkpoint, emit))
    except StorageError:  # not an error in training: the sweep stops, and can be resumed once there is space
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {' '.join(str(error).split()) or traceback.format_exc(limit=-1)}"
        results = [Result(run, "failed", [], None, message=message) for run in job.runs]
    times = clock.times()
    written = [result for result in results if result.run.run_id not in job.finished]
    for result in written:
        if conditions.save_models and result.state is not None:
            write_weights(conditions.folder, result.run, result.state)
        write_run(
            conditions.folder,
            result.run,
            status=result.status,
            history=result.history,
            parameters=result.parameters,
            environment={
                **environment(device, threads),
                "engine": "stacked" if job.stacked else "loop",
                "recompute": conditions.recompute,
            },
            times=times,
            message=result.message,
        )
    if not any(result.status == "failed" for result in results):  # a failed run is tried again from its checkpoint
        checkpoint.remove()
    for result in written:
        last = result.history[-1] if result.history else None
        emit(Finished(result.run.run_id, result.status, last, times["seconds"], result.message, len(job.runs)))


def _train(job: Job, conditions: Conditions, checkpoint: Checkpoint, emit: Callable[[Event], None]) -> Iterator[Result]:
    data = load_data(job.runs[0], conditions.data_dir, conditions.device)

    def evaluated(run: Run, metrics: Metrics, total_steps: int) -> None:
        if run.run_id not in job.finished:
            emit(Evaluated(run.run_id, metrics, total_steps))

    if job.stacked:
        for done in train_stack(job.runs, data, checkpoint=checkpoint, on_evaluation=evaluated):
            yield Result(done.run, done.status, done.history, done.parameters, done.state)
    else:
        (run,) = job.runs
        outcome = train(
            run,
            data,
            checkpoint=checkpoint,
            recompute=conditions.recompute,
            on_evaluation=lambda *event: evaluated(run, *event),
        )
        yield Result(run, outcome.status, outcome.history, outcome.parameters, outcome.net.state_dict())


class Clock:
    """Measures the time that a job takes."""

    def __init__(self) -> None:
        self.began, self.date = time.perf_counter(), datetime.now(UTC)

    def times(self) -> dict[str, Any]:
        """Start time, current time, and the seconds between them, for a run's record."""
        return {
            "started": self.date.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self.began, 3),
        }
