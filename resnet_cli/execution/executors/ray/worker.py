"""What runs on a node: a process that trains units of work and hands back all that comes of them."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from resnet_cli.execution.executors.ray.data import Arrays, from_arrays
from resnet_cli.execution.executors.ray.plugins import Sources, load_sources
from resnet_cli.execution.unit import UnitOutput, do_unit
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.units import Unit
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.events import Event
from resnet_cli.settings.run import Run
from resnet_cli.store.record import RunRecord
from resnet_cli.tasks.data import Data
from resnet_cli.training.checkpoint import Checkpoint
from resnet_cli.training.data import data_key
from resnet_cli.training.device import resolve_device

KEPT_DATA = 4
"""The number of data sets that a worker keeps on its device."""


@dataclass(frozen=True)
class Hello:
    """A worker has started: the node that it is on, and the version of this package there."""

    node: str
    version: str


@dataclass(frozen=True)
class Saved:
    """The content of a unit's checkpoint file when its training has reached a step."""

    content: bytes
    step: int


@dataclass(frozen=True)
class Unusable:
    """The checkpoint that came with a unit cannot be used."""


@dataclass(frozen=True)
class Ended:
    """All runs of a unit have ended; `forget` says that its checkpoint is not needed any more."""

    records: Sequence[RunRecord]
    forget: bool


Message = Event | Saved | Unusable | Ended
Send = Callable[[Message], None]


class Worker:
    """An actor: it says hello, and then for every unit of work that it is given there are messages to collect."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self.outbox = _Outbox()
        self.data: OrderedDict[str, Data] = OrderedDict()

    def hello(self, sources: Sources) -> Hello | UserError:
        """Run plug-ins, without which no unit of work can be received."""
        try:
            load_sources(sources)
        except UserError as error:
            return error
        import ray

        return Hello(ray.get_runtime_context().get_node_id(), version("resnet-exp"))

    def give(self, unit: Unit, checkpoint: bytes | None, arrays: Arrays) -> list[Message | UserError]:
        """Begin a unit of work, from the content of its checkpoint file if there is one. Nothing has happened yet."""
        threading.Thread(target=self._work, args=(unit, checkpoint, arrays), daemon=True).start()
        return []

    def collect(self) -> list[Message | UserError]:
        """What has happened since the last call, as soon as there is anything."""
        return self.outbox.collect()

    def _work(self, unit: Unit, checkpoint: bytes | None, arrays: Arrays) -> None:
        try:
            output = SentOutput(unit, self.conditions, self.outbox.put, checkpoint)
            do_unit(output, partial(self._load, arrays))
        except UserError as error:
            self.outbox.put(error)
        except BaseException:  # a model may call sys.exit: nobody would hear of a thread that has ended
            os._exit(1)

    def _load(self, arrays: Arrays, run: Run, data_dir: Path | None, device: str) -> Data:
        key = data_key(run)
        if key not in self.data:
            data = from_arrays(arrays)
            self.data[key] = data.to(resolve_device(device), data.dtype)
        self.data.move_to_end(key)
        while len(self.data) > KEPT_DATA:
            self.data.popitem(last=False)
        return self.data[key]


class SentOutput(UnitOutput):
    """The output of a unit on a node: all of it goes to the driver."""

    def __init__(self, unit: Unit, conditions: Conditions, send: Send, checkpoint: bytes | None) -> None:
        self.send = send
        self.make_checkpoint = partial(SentCheckpoint, send, checkpoint)
        super().__init__(unit, conditions, send)

    def write(self, records: Sequence[RunRecord], *, forget: bool) -> None:
        """Hand the records to the driver, with the nets' values only if these are to be kept."""
        kept = [replace(record, state=self._kept(record.state)) for record in records]
        self.send(Ended(kept, forget))

    def _kept(self, state: Any) -> dict[str, torch.Tensor]:
        return {name: value.cpu() for name, value in state.items()} if self.conditions.save_models else {}


class SentCheckpoint(Checkpoint):
    """A checkpoint whose file the driver has; `path` is where."""

    def __init__(self, send: Send, content: bytes | None, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.send, self.content = send, content

    def read(self) -> bytes:
        """What the driver's file held when the unit was given."""
        if self.content is None:
            raise FileNotFoundError
        return self.content

    def write(self, content: bytes, step: int) -> None:
        """Let the driver replace its file."""
        self.send(Saved(content, step))

    def set_aside(self) -> None:
        """Let the driver rename its file."""
        self.send(Unusable())


class _Outbox:
    """Messages that wait to be collected; of the checkpoints among them only the last is kept."""

    def __init__(self) -> None:
        self._messages: list[Message | UserError] = []
        self._filled = threading.Condition()

    def put(self, message: Message | UserError) -> None:
        with self._filled:
            if isinstance(message, Saved):
                self._messages = [other for other in self._messages if not isinstance(other, Saved)]
            self._messages.append(message)
            self._filled.notify()

    def collect(self) -> list[Message | UserError]:
        with self._filled:
            self._filled.wait_for(lambda: self._messages)
            messages, self._messages = self._messages, []
            return messages
