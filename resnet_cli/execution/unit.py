"""One unit of work from its settings to its files."""

import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from torch import Tensor

from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.units import Unit
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

Emit = Callable[[Event], None]


@dataclass(frozen=True)
class Result:
    """The outcome of a run."""

    run: Run
    status: Status
    history: list[Metrics]
    parameters: int | None
    state: Mapping[str, Tensor] | None = None  # of the net
    message: str = ""


def run_unit(unit: Unit, conditions: Conditions, emit: Emit) -> None:
    """Train the runs of a unit of work, or resume from its checkpoint, write their files, and emit what happens.

    An error of the training makes its runs `failed`; their files say why.

    Raises:
        StorageError: a file cannot be written. The sweep stops, and can be resumed once there is space.
    """
    output = UnitOutput(unit, conditions, emit)
    prepare_device(resolve_device(conditions.device), unit.threads(conditions.threads))
    output.start()
    try:
        results = _train(unit, conditions, output)
    except StorageError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or traceback.format_exc(limit=-1)
        output.fail(unit.unfinished, f"{type(error).__name__}: {reason}")
    else:
        output.finish(results)


class UnitOutput:
    """Where all that a unit of work produces goes: its state while it trains, the files of its runs, and its events.

    Nothing else writes them, so an executor whose workers cannot reach the results folder has only this to replace.
    The time of the unit counts from here on.
    """

    def __init__(self, unit: Unit, conditions: Conditions, emit: Emit) -> None:
        self.unit, self.conditions, self.emit = unit, conditions, emit
        self.began, self.date = time.perf_counter(), datetime.now(UTC)
        self.checkpoint = Checkpoint(
            unit.checkpoint_file(conditions.folder),
            conditions.checkpoint_seconds,
            on_load=self.start,
            on_damage=lambda sentence: emit(Warned(sentence)),
        )

    @property
    def seconds(self) -> float:
        """The time of the unit so far."""
        return round(time.perf_counter() - self.began, 3)

    def start(self, step: int = 0) -> None:
        """Tell that the unit starts, or resumes at a step."""
        for run in self.unit.unfinished:
            self.emit(Started(run.run_id, step))

    def evaluated(self, run: Run, metrics: Metrics, total_steps: int) -> None:
        """Tell of an evaluation."""
        if run.run_id not in self.unit.finished:
            self.emit(Evaluated(run.run_id, metrics, total_steps))

    def fail(self, runs: Iterable[Run], message: str) -> None:
        """Write runs of the unit as failed."""
        self.finish([Result(run, "failed", [], None, message=message) for run in runs])

    def finish(self, results: Sequence[Result]) -> None:
        """Write the files of the unit's runs, and forget its checkpoint unless one failed, which is tried again."""
        unit, conditions = self.unit, self.conditions
        machine = environment(resolve_device(conditions.device), unit.threads(conditions.threads))
        engine = {"engine": "stacked" if unit.stacked else "loop", "recompute": conditions.recompute}
        times: dict[str, Any] = {
            "started": self.date.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": self.seconds,
        }
        written = [result for result in results if result.run.run_id not in unit.finished]
        for result in written:
            if conditions.save_models and result.state is not None:
                write_weights(conditions.folder, result.run, result.state)
            write_run(
                conditions.folder,
                result.run,
                status=result.status,
                history=result.history,
                parameters=result.parameters,
                environment=machine | engine,
                times=times,
                message=result.message,
            )
        if not any(result.status == "failed" for result in results):
            self.checkpoint.remove()
        for result in written:
            last = result.history[-1] if result.history else None
            self.emit(
                Finished(result.run.run_id, result.status, last, times["seconds"], result.message, len(unit.runs))
            )


def _train(unit: Unit, conditions: Conditions, output: UnitOutput) -> list[Result]:
    data = load_data(unit.runs[0], conditions.data_dir, conditions.device)
    if unit.stacked:
        stack = train_stack(unit.runs, data, checkpoint=output.checkpoint, on_evaluation=output.evaluated)
        return [Result(done.run, done.status, done.history, done.parameters, done.state) for done in stack]
    (run,) = unit.runs
    outcome = train(
        run,
        data,
        checkpoint=output.checkpoint,
        recompute=conditions.recompute,
        on_evaluation=partial(output.evaluated, run),
    )
    return [Result(run, outcome.status, outcome.history, outcome.parameters, outcome.net.state_dict())]
