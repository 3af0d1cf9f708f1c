"""Ray without processes: a call runs when its answer is asked for, and workers can be lost."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

from resnet_cli.execution.executors.ray.worker import Ended, Hello, Saved, Worker
from resnet_cli.planning.units import Unit


class Lost(Exception):
    """Stands for Ray's errors."""


LOST = object()
"""Stands for a reference to something that was only on a lost node."""


class FakeRay:
    """Three nodes. `lost(worker, messages)` says whether a worker, by number, is lost after it has sent these messages,
    which then come without the unit's end.

    Attributes:
        options_given: those of the last class of actors.
        lost_puts: how many of the first objects that are put are lost.
        killed: the numbers of the workers that the driver ended.
    """

    exceptions = SimpleNamespace(RayError=Lost)

    def __init__(self, lost: Callable[[int, Sequence[Any]], bool] = lambda worker, messages: False) -> None:
        self.lost, self.started, self.killed = lost, 0, list[int]()
        self.puts = self.lost_puts = 0
        self.version = version("resnet-exp")

    def remote(self, kind: type) -> "FakeRay":
        assert kind is Worker
        return self

    def options(self, **options: Any) -> SimpleNamespace:
        self.options_given = options
        return SimpleNamespace(remote=self._start)

    def _start(self, *arguments: Any) -> "FakeActor":
        self.started += 1
        return FakeActor(self, self.started - 1, Worker(*arguments))

    def put(self, value: Any) -> Any:
        self.puts += 1
        return LOST if self.puts <= self.lost_puts else value

    def wait(self, calls: Sequence[Any], timeout: float | None) -> tuple[list[Any], list[Any]]:
        return [calls[0]], [*calls[1:]]

    def get(self, call: Callable[[], Any]) -> Any:
        return call()

    def kill(self, actor: "FakeActor") -> None:
        self.killed.append(actor.number)

    def nodes(self) -> list[dict[str, Any]]:
        names = ("a", "b", "c")
        return [
            {"NodeID": name * 8, "Alive": True, "NodeName": name, "NodeManagerHostname": "", "NodeManagerAddress": ""}
            for name in names
        ]


class FakeActor:
    def __init__(self, ray: FakeRay, number: int, worker: Worker) -> None:
        self.ray, self.number, self.worker, self.dead = ray, number, worker, False
        self.hello = SimpleNamespace(remote=lambda sources: lambda: self._hello())
        self.give = SimpleNamespace(remote=lambda *given: lambda: self._give(*given))
        self.collect = SimpleNamespace(remote=lambda: lambda: self._collect())

    def _hello(self) -> Hello:
        if self.ray.lost(self.number, []):
            raise Lost("The actor died. The actor is dead because its node has died. Node Id: 1")
        return Hello("abc"[self.number % 3] * 8, self.ray.version)

    def _give(self, unit: Unit, checkpoint: bytes | None, arrays: Any) -> list[Any]:
        if arrays is LOST:
            raise Lost("ObjectLostError: Failed to retrieve object 1.")
        return self.worker.give(unit, checkpoint, arrays)

    def _collect(self) -> list[Any]:
        if self.dead:
            raise Lost("The actor died. The actor is dead because its node has died. Node Id: 1")
        messages = self.worker.collect()
        self.dead = self.ray.lost(self.number, messages)
        return [message for message in messages if not (self.dead and isinstance(message, Ended))]


def after_a_checkpoint(worker: int, messages: Sequence[Any]) -> bool:
    """The first worker is lost after its first checkpoint."""
    return worker == 0 and any(isinstance(message, Saved) for message in messages)
