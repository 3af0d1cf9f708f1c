"""Worker processes: each does one run after another; one that dies takes only its run with it."""

import contextlib
import multiprocessing as mp
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait

from resnet_cli.spec.events import Event, Finished
from resnet_cli.spec.run import Run
from resnet_cli.store.layout import write_run
from resnet_cli.sweep.perform import Clock, Conditions, perform
from resnet_cli.training.device import environment, prepare_device, resolve_device


def run_in_workers(runs: Sequence[Run], conditions: Conditions, jobs: int, emit: Callable[[Event], None]) -> None:
    """Do `runs` in `jobs` processes, in their order, and tell `emit` what happens.

    An exception, such as KeyboardInterrupt, stops the processes; finished runs and checkpoints stay. When this
    process dies, its workers end themselves.
    """
    waiting = deque(runs)
    workers = [_Worker(conditions) for _ in range(min(jobs, len(runs)))]
    try:
        for worker in workers:
            worker.give(waiting.popleft())
        while busy := {worker.connection: worker for worker in workers if worker.run is not None}:
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                event = worker.receive()
                if event is None:
                    emit(worker.bury())
                    workers[workers.index(worker)] = worker = _Worker(conditions)
                else:
                    emit(event)
                if worker.run is None and waiting:
                    worker.give(waiting.popleft())
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """A process and what it is doing."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self.run: Run | None = None
        context = mp.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, conditions), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, run: Run) -> None:
        self.run, self.clock = run, Clock()
        with contextlib.suppress(OSError):  # the process has died: receive() will notice
            self.connection.send(run)

    def receive(self) -> Event | None:
        """The next event; None if the process has died."""
        try:
            event: Event = self.connection.recv()
        except (EOFError, OSError):
            return None
        if isinstance(event, Finished):
            self.run = None
        return event

    def bury(self) -> Finished:
        """Record the run of a dead process as failed."""
        assert self.run is not None
        self.process.join()
        message = f"its process ended without a result (exit code {self.process.exitcode})"
        device = resolve_device(self.conditions.device)
        write_run(
            self.conditions.folder,
            self.run,
            status="failed",
            history=[],
            parameters=None,
            environment=environment(device, self.conditions.threads),
            times=self.clock.times(),
            message=message,
        )
        return Finished(self.run.run_id, "failed", None, self.clock.seconds(), message)

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


def _work(connection: "Connection[Event, Run]", conditions: Conditions) -> None:
    """What a worker process does until its connection closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    _end_with_parent()
    prepare_device(resolve_device(conditions.device), conditions.threads)
    try:
        while True:
            perform(connection.recv(), conditions, connection.send)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _end_with_parent() -> None:
    parent = mp.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
