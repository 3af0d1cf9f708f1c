"""The driver: gives units of work to workers on the cluster's nodes, and writes down what they send back.

A worker that is lost, with its node or alone, costs what its unit of work did since the last checkpoint that came
back: another worker resumes from there. What a worker sends after it was given up is never looked at.
"""

import contextlib
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from resnet_cli.execution.executors.base import check_machine
from resnet_cli.execution.executors.ray.data import share
from resnet_cli.execution.executors.ray.plugins import read_sources
from resnet_cli.execution.executors.ray.session import connect, load_ray, node_names, opened
from resnet_cli.execution.executors.ray.worker import Ended, Hello, Message, Saved, Unusable, Worker
from resnet_cli.execution.unit import Emit, UnitOutput, failed_records
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.units import Unit
from resnet_cli.settings.errors import UserError, shorten
from resnet_cli.settings.events import Started, Warned
from resnet_cli.settings.run import Run
from resnet_cli.store.tensors import DamagedFile
from resnet_cli.training.checkpoint import Checkpoint
from resnet_cli.training.data import data_key

MOST_LOSSES = 3
"""How many workers in a row may be lost with a unit of work, without a checkpoint from any of them, before it fails."""

PATIENCE_SECONDS = 60.0
"""After so long without any worker, say what the cluster may have no room for."""


def check(runs: Iterable[Run], conditions: Conditions) -> None:
    """Raise UserError if Ray, the device or a data set is missing where the runs will be trained."""
    if conditions.device not in ("cpu", "cuda"):
        raise UserError(
            f"device (={conditions.device}): Ray chooses among the devices of its nodes; use --device cuda or cpu."
        )
    if conditions.address is None:
        load_ray()
        check_machine(runs, conditions)
        return
    ray, sources = connect(conditions.address), read_sources(conditions.plugins)
    for run in {data_key(run): run for run in runs}.values():
        share(ray, run, conditions.data_dir, sources)


def execute(units: Sequence[Unit], conditions: Conditions, emit: Emit) -> None:
    """Do units of work on the nodes of a cluster, and pass events to `emit`.

    Raises:
        UserError: workers cannot start, a plug-in or a data set fails there, a file cannot be written here, or the
            cluster is gone.
    """
    with opened(conditions) as ray:
        crew = _Crew(ray, units, conditions, emit)
        try:
            crew.work()
        except ConnectionError:  # of ray://; otherwise Ray itself ends this process
            raise UserError(
                f"address (={conditions.address}): the connection to the cluster is lost; once it is back, the same "
                "command resumes."
            ) from None
        finally:
            crew.dismiss_all()


@dataclass
class _Task:
    """A unit of work; `step` is that of its last checkpoint, `losses` count the workers lost since then."""

    unit: Unit
    output: UnitOutput
    step: int = 0
    losses: int = 0

    @property
    def name(self) -> str:
        """For a message."""
        first, *others = (run.run_id for run in self.unit.unfinished)
        return f"{first} and {len(others)} more" if others else first


@dataclass
class _Worker:
    """An actor, the node that it is on, and what it does now."""

    actor: Any
    node: str = ""
    task: _Task | None = None


class _Crew:
    """The workers, each with the call to it that has yet to be answered."""

    def __init__(self, ray: Any, units: Sequence[Unit], conditions: Conditions, emit: Emit) -> None:
        self.ray, self.conditions, self.emit = ray, conditions, emit
        self.waiting = deque(units)
        self.again: deque[_Task] = deque()
        self.calls: dict[Any, _Worker] = {}
        self.data: dict[str, Any] = {}
        self.doubtful: set[str] = set()  # data of which the only copy may be lost
        self.failed_starts = 0
        self.sources = read_sources(conditions.plugins)
        self.gpus = 1 / conditions.runs_per_gpu if conditions.device == "cuda" else 0
        options = {"num_cpus": conditions.threads, "num_gpus": self.gpus, "max_restarts": 0, "max_task_retries": 0}
        self.actor_class = ray.remote(Worker).options(**options)

    def work(self) -> None:
        """Do all units of work."""
        told = False
        while (busy := self._busy()) or self.waiting or self.again:
            self._hire(busy + len(self.waiting) + len(self.again))
            answered, _ = self.ray.wait([*self.calls], timeout=None if busy or told else PATIENCE_SECONDS)
            if not answered:
                gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
                takes = f"{self.conditions.threads} CPU{gpus}"
                self.emit(Warned(f"No worker has started on a node yet; it takes {takes} there. Waiting for one."))
            told = not answered
            for call in answered:
                self._hear(call, self.calls.pop(call))

    def dismiss_all(self) -> None:
        """End all workers."""
        while self.calls:
            self._dismiss(self.calls.popitem()[1])

    def _busy(self) -> int:
        return sum(worker.task is not None for worker in self.calls.values())

    def _hire(self, units: int) -> None:
        """Ask the cluster for workers; they start where and when there is room."""
        while len(self.calls) < min(self.conditions.workers, units):
            worker = _Worker(self.actor_class.remote(self.conditions))
            self.calls[worker.actor.hello.remote(self.sources)] = worker

    def _dismiss(self, worker: _Worker) -> None:
        with contextlib.suppress(Exception):  # it has ended, or the cluster has
            self.ray.kill(worker.actor)

    def _hear(self, call: Any, worker: _Worker) -> None:
        """Do what the answer to a call to a worker, now without one, requires."""
        try:
            answer: Hello | UserError | list[Message | UserError] = self.ray.get(call)
        except self.ray.exceptions.RayError as error:
            self._dismiss(worker)
            self._lose(worker, _reason(error))
            return
        for message in answer if isinstance(answer, list) else [answer]:
            if isinstance(message, UserError):
                raise message
            if isinstance(message, Hello):
                self._greet(worker, message)
            else:
                self._note(worker, message)
        if worker.task is None:
            self._give(worker)
        else:
            self.calls[worker.actor.collect.remote()] = worker

    def _greet(self, worker: _Worker, hello: Hello) -> None:
        if hello.version != (own := version("resnet-exp")):
            raise UserError(
                f"a node has resnet-exp {hello.version}, but this machine {own}; install the same version everywhere."
            )
        self.failed_starts = 0
        if self.conditions.address is not None:
            worker.node = node_names(self.ray).get(hello.node, "")

    def _note(self, worker: _Worker, message: Message) -> None:
        """Write down, or pass on, what a worker has said about its unit of work."""
        task = worker.task
        assert task is not None
        if isinstance(message, Saved):
            task.output.checkpoint.write(message.content, message.step)
            task.step, task.losses = message.step, 0
        elif isinstance(message, Unusable):
            task.output.checkpoint.set_aside()
        elif isinstance(message, Ended):
            task.output.write(message.records, forget=message.forget)
            worker.task = None
        elif isinstance(message, Started):
            self.emit(replace(message, node=worker.node))
        else:
            self.emit(message)

    def _give(self, worker: _Worker) -> None:
        """Give an idle worker a unit of work, first of all one that another worker was lost with."""
        if self.again:
            task = self.again.popleft()
        elif self.waiting:
            unit = self.waiting.popleft()
            task = _Task(unit, UnitOutput(unit, self.conditions, self.emit))
        else:
            self._dismiss(worker)
            return
        key = data_key(task.unit.runs[0])
        if key not in self.data or key in self.doubtful:
            try:
                self.data[key] = share(self.ray, task.unit.runs[0], self.conditions.data_dir, self.sources)
            except UserError:  # where they came from is gone, but other nodes may have copies
                if key not in self.data:
                    raise
            self.doubtful.discard(key)
        worker.task = task
        self.calls[worker.actor.give.remote(task.unit, _content(task.output.checkpoint), self.data[key])] = worker

    def _lose(self, worker: _Worker, reason: str) -> None:
        """A worker is lost: give its unit of work to another one, unless it may be to blame."""
        task, where = worker.task, f" on {worker.node}" if worker.node else ""
        if task is None:
            self.failed_starts += 1
            if self.failed_starts == MOST_LOSSES:
                raise UserError(
                    f"Ray's workers cannot start ({reason}); every node needs this version of resnet-exp in the Python "
                    "that runs Ray there."
                )
            return
        self.doubtful.add(data_key(task.unit.runs[0]))
        task.losses += 1
        if task.losses == MOST_LOSSES:
            message = f"{MOST_LOSSES} workers in a row were lost with it ({reason})"
            task.output.end(failed_records(task.unit.unfinished, message))
            return
        start = f"resumes from step {task.step}" if task.step else "starts anew"
        self.emit(Warned(f"The worker{where} was lost ({reason}); {task.name} {start} with another one."))
        self.again.append(task)


def _content(checkpoint: Checkpoint) -> bytes | None:
    """What a checkpoint's file holds; None if there is none. One that cannot be read is as good as a damaged one."""
    try:
        return checkpoint.read()
    except FileNotFoundError:
        return None
    except (OSError, DamagedFile):
        return b""


def _reason(error: Exception) -> str:
    """Why a worker was lost, in few of Ray's words."""
    text = " ".join(str(error).split())
    if type(error).__name__ == "ActorUnavailableError":
        return "the connection to it broke"
    found = re.search(r"(?:Worker exit detail: |actor is dead because )(.*?)(?:\. |\.?$)", text)
    return shorten(found[1] if found else f"{type(error).__name__}: {text}", 200)
