"""What a worker on a node sends back."""

from pathlib import Path

from resnet_cli.execution.executors.ray.data import to_arrays
from resnet_cli.execution.executors.ray.worker import Ended, Message, Saved, Worker
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.units import Unit
from resnet_cli.settings.events import Evaluated, Started
from resnet_cli.training.data import load_data
from tests.conftest import MakeRun


def messages_of(worker: Worker, unit: Unit, checkpoint: bytes | None = None) -> list[Message]:
    worker.give(unit, checkpoint, to_arrays(load_data(unit.runs[0], None, "cpu")))
    messages: list[Message] = []
    while not messages or not isinstance(messages[-1], Ended):
        messages += [message for message in worker.collect() if not isinstance(message, Exception)]
    return messages


def test_everything_goes_to_the_driver_and_nothing_is_written(tmp_path: Path, make_run: MakeRun) -> None:
    folder = tmp_path / "results"
    worker = Worker(Conditions(folder=folder, device="cpu", workers=1, threads=1, checkpoint_seconds=0))
    unit = Unit((make_run(steps=30, eval_every=10),), stacked=False)
    messages = messages_of(worker, unit)
    assert [type(message) for message in messages if not isinstance(message, Saved)] == [
        Started,
        *[Evaluated] * 4,
        Ended,
    ]
    assert isinstance(ended := messages[-1], Ended)
    assert (ended.forget, ended.records[0].status, ended.records[0].state) == (True, "done", {})
    assert not folder.exists()

    saved = next(message for message in messages if isinstance(message, Saved))
    again = messages_of(worker, unit, saved.content)
    assert isinstance(again[1], Started)
    assert again[1].step == saved.step
    assert isinstance(again[-1], Ended)
    assert again[-1].records[0].history == ended.records[0].history


def test_of_checkpoints_that_wait_only_the_last_is_sent(tmp_path: Path, make_run: MakeRun) -> None:
    worker = Worker(Conditions(folder=tmp_path, device="cpu", workers=1, threads=1))
    for message in (Saved(b"1", 1), Started("a", 1), Saved(b"2", 2)):
        worker.outbox.put(message)
    assert worker.collect() == [Started("a", 1), Saved(b"2", 2)]
