"""Several processes: each does one unit of work after another; if one dies, only its current unit fails."""

import contextlib
import multiprocessing as mp
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait

from resnet_cli.execution.executors.base import Executor
from resnet_cli.execution.unit import Emit, UnitOutput, run_unit
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.units import Unit, finished_runs
from resnet_cli.settings.discovery import load_plugins
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.events import Event, Finished
from resnet_cli.settings.run import Run
from resnet_cli.training.device import visible_gpus

ENDING_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM") if hasattr(signal, name)]
"""Ctrl-C, a request to terminate, a closed terminal, and the end of a budget, as far as the system has them."""


def execute(units: Sequence[Unit], conditions: Conditions, emit: Emit) -> None:
    """Do units of work in several processes, which end with this one or by an exception, and pass events to `emit`.

    Raises:
        UserError: a worker cannot write its files or run a plug-in.
    """
    waiting = deque(units)
    devices = assign_devices(min(conditions.workers, len(units)), conditions.device, visible_gpus())
    crew = [_Worker(replace(conditions, device=device)) for device in devices]
    try:
        for worker in crew:
            worker.start()
            worker.give(waiting.popleft(), emit)
        while busy := {worker.connection: worker for worker in crew if worker.unfinished}:
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                event = worker.receive()
                if event is None:
                    worker.bury()
                    worker.stop()
                    crew[crew.index(worker)] = worker = _Worker(worker.conditions)
                    worker.start()
                else:
                    emit(event)
                if not worker.unfinished and waiting:
                    worker.give(waiting.popleft(), emit)
    finally:
        with _signals_held():
            for worker in crew:
                worker.stop()


def assign_devices(workers: int, device: str, gpus: int) -> list[str]:
    """The device of each worker: the GPUs in turn if `device` (cuda) leaves the choice of several, otherwise itself."""
    if device != "cuda" or gpus < 2:
        return [device] * workers
    return [f"cuda:{number % gpus}" for number in range(workers)]


class _Worker:
    """A process and the runs that it has yet to finish."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self.unfinished: dict[str, Run] = {}
        context = mp.get_context("spawn")
        self.connection, self.theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(self.theirs, conditions), daemon=True)

    def start(self) -> None:
        with _signals_held():
            self.process.start()
            self.theirs.close()

    def give(self, unit: Unit, emit: Emit) -> None:
        self.unfinished = {run.run_id: run for run in unit.unfinished}
        self.output = UnitOutput(unit, self.conditions, emit)
        with contextlib.suppress(OSError):  # the process has died: receive() will notice
            self.connection.send(unit)

    def receive(self) -> Event | None:
        """The next event; None if the process has died.

        Raises:
            UserError: the process cannot write its files or run a plug-in.
        """
        try:
            event: Event | UserError = self.connection.recv()
        except (EOFError, OSError):
            return None
        if isinstance(event, UserError):
            raise event
        if isinstance(event, Finished):
            del self.unfinished[event.run_id]
        return event

    def bury(self) -> None:
        """Record the unfinished runs of a dead process as failed, except those whose files it had just written."""
        self.process.join()
        written, _ = finished_runs(self.unfinished.values(), self.conditions)
        for run_id, (status, last) in written.items():
            self.output.emit(Finished(run_id, status, last, self.output.seconds))
            del self.unfinished[run_id]
        code = self.process.exitcode
        message = f"its process ended without a result (exit code {code})"
        if code is not None and code == -getattr(signal, "SIGKILL", 0):
            message = "its process was killed (SIGKILL), as the system does where memory runs out"
        self.output.fail(self.unfinished.values(), message)

    def stop(self) -> None:
        if self.process.pid is not None:
            self.process.kill()
            self.process.join()
        self.connection.close()


def _work(connection: "Connection[Event | UserError, Unit]", conditions: Conditions) -> None:
    """What a worker process does until its connection closes."""
    for number in ENDING_SIGNALS:  # they are sent to the whole process group; the parent decides
        signal.signal(number, signal.SIG_IGN)
    _end_with_parent()

    def send(event: Event | UserError) -> None:
        try:
            connection.send(event)
        except OSError:  # the parent has gone: leave at once, before this counts as an error of the training
            os._exit(1)

    try:
        load_plugins(conditions.plugins)
        while True:
            try:
                unit = connection.recv()
            except (EOFError, OSError):
                return
            run_unit(unit, conditions, send)
    except UserError as error:
        send(error)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Hold back the signals that end the sweep until the block is over; processes started in it never receive any.

    So every process that has been started is known, and none dies of Ctrl-C during its imports. The mask is for the
    new processes (Windows has none); this one's other threads may still receive a signal, so handlers wait as well.
    """
    if threading.current_thread() is not threading.main_thread():  # signals interrupt the main thread alone
        yield
        return
    has_masks = hasattr(signal, "pthread_sigmask")
    came: list[int] = []
    answered = [number for number in ENDING_SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    handlers = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in answered}
    if has_masks:
        from multiprocessing import resource_tracker

        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
        resource_tracker.ensure_running()  # with the first process: it keeps this mask, but lifts a part of it here
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        if has_masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _end_with_parent() -> None:
    parent = mp.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


EXECUTOR = Executor("processes", execute)
