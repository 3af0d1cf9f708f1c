"""One run from its settings to its files."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from resnet_cli.spec.events import Evaluated, Event, Finished, Metrics, Started, Status
from resnet_cli.spec.run import TASK_SETTINGS, Run
from resnet_cli.store.layout import CHECKPOINT_FILE, run_folder, write_run
from resnet_cli.tasks import get_task
from resnet_cli.tasks.base import Data
from resnet_cli.training.checkpoint import Checkpoint
from resnet_cli.training.device import environment, resolve_device
from resnet_cli.training.loop import DTYPES, train


@dataclass(frozen=True)
class Conditions:
    """Where and how runs are done: nothing of this changes which results are kept."""

    folder: Path
    device: str
    threads: int
    data_dir: Path | None
    checkpoint_seconds: float


def perform(run: Run, conditions: Conditions, emit: Callable[[Event], None]) -> None:
    """Train `run`, or go on from its checkpoint, write its files, and emit what happens.

    An error of the training makes the run `failed`; its files say why.
    """
    started = Clock()
    checkpoint = Checkpoint(run_folder(conditions.folder, run) / CHECKPOINT_FILE, conditions.checkpoint_seconds)
    emit(Started(run.run_id, 0))

    def on_evaluation(metrics: Metrics, total_steps: int) -> None:
        emit(Evaluated(run.run_id, metrics, total_steps))

    status: Status
    try:
        data = load_data(run, conditions)
        outcome = train(run, data, checkpoint=checkpoint, on_evaluation=on_evaluation)
        status, history, parameters, message = outcome.status, outcome.history, outcome.parameters, ""
    except Exception as error:
        status, history, parameters = "failed", [], None
        message = f"{type(error).__name__}: {' '.join(str(error).split()) or traceback.format_exc(limit=-1)}"
    write_run(
        conditions.folder,
        run,
        status=status,
        history=history,
        parameters=parameters,
        environment=environment(resolve_device(conditions.device), conditions.threads),
        times=started.times(),
        message=message,
    )
    checkpoint.remove()
    emit(Finished(run.run_id, status, history[-1] if history else None, started.seconds(), message))


class Clock:
    """When a run began."""

    def __init__(self) -> None:
        self.began, self.date = time.perf_counter(), datetime.now(UTC)

    def seconds(self) -> float:
        """Seconds since then."""
        return time.perf_counter() - self.began

    def times(self) -> dict[str, Any]:
        """The times of a run that ends now, for its record."""
        ended = datetime.now(UTC)
        return {
            "started": self.date.isoformat(timespec="seconds"),
            "finished": ended.isoformat(timespec="seconds"),
            "seconds": round(self.seconds(), 3),
        }


def load_data(run: Run, conditions: Conditions) -> Data:
    """The data of a run on its device; loaded once for all runs with the same task settings.

    Raises:
        UserError: the data set is missing or corrupt.
    """
    same_data = run.model_copy(
        update={name: None for name in Run.model_fields if name not in ("task", "precision", *TASK_SETTINGS)}
    )
    return _load(same_data, conditions.data_dir, conditions.device)


@lru_cache(maxsize=2)
def _load(run: Run, data_dir: Path | None, device: str) -> Data:
    torch_device: torch.device = resolve_device(device)
    return get_task(run.task).load(run, data_dir).to(torch_device, DTYPES[run.precision])
