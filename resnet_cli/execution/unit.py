"""One unit of work from its settings to its files."""

import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.units import Unit
from resnet_cli.settings.discovery import load_plugins
from resnet_cli.settings.errors import StorageError
from resnet_cli.settings.events import Evaluated, Event, Finished, Started, Warned
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.record import RunRecord, write_run
from resnet_cli.store.weights import write_weights
from resnet_cli.tasks.data import Data
from resnet_cli.training.checkpoint import Checkpoint
from resnet_cli.training.data import load_data
from resnet_cli.training.device import environment, prepare_device, resolve_device
from resnet_cli.training.graphs import recorder_of
from resnet_cli.training.loop import train
from resnet_cli.training.stacked.engine import train_stack

Emit = Callable[[Event], None]

_TOLD: set[str] = set()


def run_unit(unit: Unit, conditions: Conditions, emit: Emit) -> None:
    """Train the runs of a unit of work, or resume from its checkpoint, write their files, and emit what happens.

    An error of the training makes its runs `failed`; their files say why.

    Raises:
        StorageError: a file cannot be written. The sweep stops, and can be resumed once there is space.
    """
    load_plugins(conditions.plugins)
    do_unit(UnitOutput(unit, conditions, emit), load_data)


def do_unit(output: "UnitOutput", load: Callable[[Run, Path | None, str], Data]) -> None:
    """The same with the output of a unit and data that `load` returns, as `training.data.load_data` does."""
    unit, conditions = output.unit, output.conditions
    prepare_device(resolve_device(conditions.device), unit.threads(conditions.threads))
    output.start()
    try:
        records = _train(output, load(unit.runs[0], conditions.data_dir, conditions.device))
    except StorageError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or traceback.format_exc(limit=-1)
        if isinstance(error, MemoryError) and not str(error):
            reason = "the memory is exhausted"
        output.fail(unit.runs, f"{type(error).__name__}: {reason}")
    else:
        output.finish(records)


def _train(output: "UnitOutput", data: Data) -> Sequence[RunRecord]:
    unit, conditions = output.unit, output.conditions
    recorder = recorder_of(data.device) if conditions.cuda_graphs else None
    if unit.stacked:
        return train_stack(
            unit.runs,
            data,
            checkpoint=output.checkpoint,
            recorder=recorder,
            on_evaluation=output.evaluated,
            tell=output.tell_once,
        )
    (run,) = unit.runs
    record = train(
        run,
        data,
        checkpoint=output.checkpoint,
        recompute=conditions.recompute,
        recorder=recorder,
        on_evaluation=partial(output.evaluated, run),
        tell=output.tell_once,
    )
    return [record]


def failed_records(runs: Iterable[Run], message: str) -> list[RunRecord]:
    """The records of runs that failed."""
    return [RunRecord(status="failed", message=message, run=run) for run in runs]


class UnitOutput:
    """Where all that a unit of work produces goes: its state while it trains, the files of its runs, and its events.

    Nothing else writes them, so an executor whose workers cannot reach the results folder replaces `make_checkpoint`
    and `write` there. The unit's time counts from here on.
    """

    make_checkpoint: Callable[..., Checkpoint] = Checkpoint

    def __init__(self, unit: Unit, conditions: Conditions, emit: Emit) -> None:
        self.unit, self.conditions, self.emit = unit, conditions, emit
        self.began, self.date = time.perf_counter(), datetime.now(UTC)
        self.checkpoint = self.make_checkpoint(
            unit.checkpoint_file(conditions.folder),
            conditions.checkpoint_seconds,
            on_load=self.start,
            on_damage=lambda sentence: emit(Warned(sentence)),
        )

    @property
    def seconds(self) -> float:
        """The unit's time so far."""
        return round(time.perf_counter() - self.began, 3)

    def start(self, step: int = 0) -> None:
        """Tell that the unit starts, or resumes at a step."""
        for run in self.unit.unfinished:
            self.emit(Started(run.run_id, step))

    def evaluated(self, run: Run, metrics: Metrics, total_steps: int) -> None:
        """Tell of an evaluation."""
        if run.run_id not in self.unit.finished:
            self.emit(Evaluated(run.run_id, metrics, total_steps))

    def tell_once(self, sentence: str) -> None:
        """Tell what holds for many runs, and what this process has not told yet."""
        if sentence not in _TOLD:
            _TOLD.add(sentence)
            self.emit(Warned(sentence))

    def fail(self, runs: Iterable[Run], message: str) -> None:
        """End runs of the unit as failed on this machine."""
        self.finish(failed_records(runs, message))

    def finish(self, records: Sequence[RunRecord]) -> None:
        """End runs of the unit that this machine has trained."""
        unit, conditions = self.unit, self.conditions
        machine = environment(resolve_device(conditions.device), unit.threads(conditions.threads))
        machine |= {"engine": "stacked" if unit.stacked else "loop", "recompute": conditions.recompute}
        self.end([replace(record, environment=machine | record.environment) for record in records])

    def end(self, records: Sequence[RunRecord]) -> None:
        """Write the files of the unit's runs, and forget its checkpoint unless one failed, which is tried again."""
        times: dict[str, Any] = {
            "started": self.date.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": self.seconds,
        }
        new = [replace(record, **times) for record in records if record.run.run_id not in self.unit.finished]
        self.write(new, forget=not any(record.status == "failed" for record in records))

    def write(self, records: Sequence[RunRecord], *, forget: bool) -> None:
        """Write the files of finished runs, tell of them, and `forget` the unit's checkpoint if it is not needed."""
        conditions = self.conditions
        for record in records:
            if conditions.save_models and record.state:
                write_weights(conditions.folder, record.run, record.state)
            write_run(conditions.folder, record)
        if forget:
            self.checkpoint.remove()
        for record in records:
            ending = record.status, record.last, record.seconds, record.message, len(self.unit.runs)
            self.emit(Finished(record.run.run_id, *ending))
