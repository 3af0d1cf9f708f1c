"""One job from its settings to its files."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from resnet_cli.execution.units import Job
from resnet_cli.settings.errors import StorageError
from resnet_cli.settings.events import Evaluated, Event, Finished, Started, Warned
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.record import RunRecord, write_run
from resnet_cli.store.weights import write_weights
from resnet_cli.tasks import get_task
from resnet_cli.tasks.data import Data
from resnet_cli.training.checkpoint import Checkpoint
from resnet_cli.training.device import environment, prepare_device, resolve_device
from resnet_cli.training.loop import DTYPES, train
from resnet_cli.training.settings import PRECISION
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
        records = _train(job, conditions, checkpoint, emit)
    except StorageError:  # not an error in training: the sweep stops, and can be resumed once there is space
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {' '.join(str(error).split()) or traceback.format_exc(limit=-1)}"
        records = [RunRecord(status="failed", message=message, run=run) for run in job.runs]
    engine = {"engine": "stacked" if job.stacked else "loop", "recompute": conditions.recompute}
    surroundings = {"environment": environment(device, threads) | engine, **clock.times()}
    written = [replace(record, **surroundings) for record in records if record.run.run_id not in job.finished]
    for record in written:
        if conditions.save_models and record.state:
            write_weights(conditions.folder, record.run, record.state)
        write_run(conditions.folder, record)
    if not any(record.status == "failed" for record in records):  # a failed run is tried again from its checkpoint
        checkpoint.remove()
    for record in written:
        emit(Finished(record.run.run_id, record.status, record.last, record.seconds, record.message, len(job.runs)))


def _train(
    job: Job, conditions: Conditions, checkpoint: Checkpoint, emit: Callable[[Event], None]
) -> Sequence[RunRecord]:
    data = load_data(job.runs[0], conditions)

    def evaluated(run: Run, metrics: Metrics, total_steps: int) -> None:
        if run.run_id not in job.finished:
            emit(Evaluated(run.run_id, metrics, total_steps))

    if job.stacked:
        return train_stack(job.runs, data, checkpoint=checkpoint, on_evaluation=evaluated)
    (run,) = job.runs
    record = train(
        run,
        data,
        checkpoint=checkpoint,
        recompute=conditions.recompute,
        on_evaluation=lambda *event: evaluated(run, *event),
    )
    return [record]


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


def load_data(run: Run, conditions: Conditions) -> Data:
    """The data of a run on its device; loaded once for all runs with the same task settings.

    Raises:
        UserError: the data set is missing or corrupt.
    """
    return load_data_of(run, conditions.data_dir, conditions.device)


def load_data_of(run: Run, data_dir: Path | None, device: str) -> Data:
    """As `load_data`, for a run that is not part of a sweep."""
    return _load(_DataOf(data_key(run), run), data_dir, device)


def data_key(run: Run) -> str:
    """A key shared by runs with the same data; runs sorted by it load each data set once."""
    return str((run.task, run.that_affect("data")))


@dataclass(frozen=True)
class _DataOf:
    """Stands for the data of a run; equal for all runs with the same data."""

    key: str
    run: Run = field(compare=False)


@lru_cache(maxsize=4)
def _load(wanted: _DataOf, data_dir: Path | None, device: str) -> Data:
    run, torch_device = wanted.run, resolve_device(device)
    return get_task(run.task).load(run, data_dir).to(torch_device, DTYPES[run[PRECISION]])
