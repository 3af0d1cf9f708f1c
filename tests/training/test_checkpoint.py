"""Checkpoints that were damaged, or are of something else: named, set aside, and without influence on results."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.tensors import read_tensors, write_tensors
from resnet_cli.tasks import get_task
from resnet_cli.tasks.data import Data
from resnet_cli.training.checkpoint import Checkpoint, State
from resnet_cli.training.loop import DTYPES, train
from resnet_cli.training.settings import PRECISION
from resnet_cli.training.stacked.engine import train_stack
from tests.conftest import MakeRun

Histories = list[list[Metrics]]
Engine = Callable[[list[Run], Data, Checkpoint | None], Histories]


def loop(runs: list[Run], data: Data, checkpoint: Checkpoint | None) -> Histories:
    return [train(runs[0], data, checkpoint=checkpoint).history]


def stack(runs: list[Run], data: Data, checkpoint: Checkpoint | None) -> Histories:
    return [outcome.history for outcome in train_stack(runs, data, checkpoint=checkpoint)]


class Stopped(BaseException):
    """Ends a training as a kill does."""


class StoppingCheckpoint(Checkpoint):
    def save(self, state: State) -> None:
        super().save(state)
        raise Stopped


@pytest.fixture(params=[loop, stack])
def engine(request: pytest.FixtureRequest) -> Engine:
    chosen: Engine = request.param
    return chosen


@pytest.fixture
def runs(request: pytest.FixtureRequest, make_run: MakeRun) -> list[Run]:
    """Two small runs with Adam, or with the optimiser that a test asks for."""
    small = {"width": 2, "steps": 3, "eval_every": 3, "train_size": 16, "batch_size": 8, "eval_size": 8}
    return [make_run(**small, optimizer=getattr(request, "param", "adam"), depths=2, seeds=seed) for seed in (0, 1)]


def load(run: Run) -> Data:
    return get_task(run.task).load(run, None).to(torch.device("cpu"), DTYPES[run[PRECISION]])


def stop_in_the_middle(engine: Engine, runs: list[Run], data: Data, path: Path) -> None:
    with pytest.raises(Stopped):
        engine(runs, data, StoppingCheckpoint(path, 0))


def test_a_damaged_byte_or_a_cut_changes_no_metric(engine: Engine, runs: list[Run], tmp_path: Path) -> None:
    data, path = load(runs[0]), tmp_path / "checkpoint.pt"
    undisturbed = engine(runs, data, None)
    stop_in_the_middle(engine, runs, data, path)
    whole = path.read_bytes()
    draw = random.Random(0)
    for attempt in range(50):
        damaged = bytearray(whole)
        if attempt % 3:
            damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        else:
            del damaged[draw.randrange(len(whole)) :]
        path.write_bytes(damaged)
        warnings: list[str] = []
        assert engine(runs, data, Checkpoint(path, 1000, on_damage=warnings.append)) == undisturbed
        assert warnings == [
            f"{path} is damaged or not the state of this training; it is kept as checkpoint.damaged, "
            "and the training starts anew."
        ]
        assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.damaged"]
        assert path.with_suffix(".damaged").read_bytes() == damaged


@pytest.mark.parametrize("runs", ["momentum", "adam"], indirect=True)
def test_a_whole_checkpoint_is_continued_without_a_warning(engine: Engine, runs: list[Run], tmp_path: Path) -> None:
    data, path = load(runs[0]), tmp_path / "checkpoint.pt"
    stop_in_the_middle(engine, runs, data, path)
    warnings: list[str] = []
    loaded: list[int] = []
    history = engine(runs, data, Checkpoint(path, 1000, loaded.append, warnings.append))
    assert (history, loaded, warnings) == (engine(runs, data, None), [1], [])


def tensors_in(content: Any) -> list[tuple[Any, Any]]:
    """Where the tensors of nested dictionaries and lists are: container and key."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    found: list[tuple[Any, Any]] = []
    for key, value in items:
        found += [(content, key)] if isinstance(value, torch.Tensor) else tensors_in(value)
    return found


CHANGES: dict[str, Callable[[torch.Tensor], object]] = {
    "shape": lambda tensor: torch.zeros([*tensor.shape, 2], dtype=tensor.dtype),
    "size": lambda tensor: torch.zeros([7 for _ in tensor.shape] or [1], dtype=tensor.dtype),
    "dtype": lambda tensor: tensor.half(),
    "type": lambda tensor: "text",
    "layout": lambda tensor: torch.zeros([*tensor.shape, 1]).to_sparse(),
    "memory": lambda tensor: tensor.flatten()[:1].squeeze().expand(tensor.shape) if tensor.numel() > 1 else None,
    "device": lambda tensor: tensor.to("meta"),
}


@pytest.mark.parametrize(
    ("change", "runs"),
    [
        ("shape", "adam"),
        ("size", "momentum"),
        ("dtype", "adam"),
        ("type", "momentum"),
        ("layout", "adam"),
        ("memory", "adam"),
        ("device", "adam"),
    ],
    indirect=["runs"],
)
def test_values_of_another_form_reach_no_optimiser(
    engine: Engine, runs: list[Run], tmp_path: Path, change: str
) -> None:
    data, path = load(runs[0]), tmp_path / "checkpoint.pt"
    undisturbed = engine(runs, data, None)
    stop_in_the_middle(engine, runs, data, path)
    whole = path.read_bytes()
    for number in range(len(tensors_in(read_tensors(path)))):
        path.write_bytes(whole)
        content = read_tensors(path)
        container, key = tensors_in(content)[number]
        container[key] = CHANGES[change](container[key])
        write_tensors(path, content)  # the checksum fits: only the form is wrong
        warnings: list[str] = []
        assert engine(runs, data, Checkpoint(path, 1000, on_damage=warnings.append)) == undisturbed
        assert len(warnings) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"run_ids": ["plain-mlp_d002_s7_0123456789"]},
        {"step": 3},
        {"step": True},
        {"net": {}},
        {"net": []},
        {"optimizer": {99: {}}},
        {"optimizer": {"0": {}}},
        {"optimizer": None},
        {"history": []},
        {"history": [(1.0, 2)]},
        {"more": 1},
        {"warmup": {"end": 1, "errors": 0}},
    ],
)
def test_a_checkpoint_of_something_else_is_not_used(
    engine: Engine, runs: list[Run], tmp_path: Path, change: dict[str, Any]
) -> None:
    data, path = load(runs[0]), tmp_path / "checkpoint.pt"
    undisturbed = engine(runs, data, None)
    stop_in_the_middle(engine, runs, data, path)
    write_tensors(path, read_tensors(path) | change)
    warnings: list[str] = []
    assert engine(runs, data, Checkpoint(path, 1000, on_damage=warnings.append)) == undisturbed
    assert len(warnings) == 1


def test_a_checkpoint_without_checksum_is_not_used(engine: Engine, runs: list[Run], tmp_path: Path) -> None:
    data, path = load(runs[0]), tmp_path / "checkpoint.pt"
    torch.save({"net": {}, "optimizer": {}, "step": 1, "history": []}, path)  # as earlier versions wrote it
    warnings: list[str] = []
    assert engine(runs, data, Checkpoint(path, 1000, on_damage=warnings.append)) == engine(runs, data, None)
    assert len(warnings) == 1


def test_a_checkpoint_from_before_a_metric_was_added_is_used(engine: Engine, runs: list[Run], tmp_path: Path) -> None:
    data, path = load(runs[0]), tmp_path / "checkpoint.pt"
    stop_in_the_middle(engine, runs, data, path)
    content = read_tensors(path)
    optional = len(Metrics._field_defaults)
    rows = content["history"]
    write_tensors(path, content | {"history": [row[:-optional] for row in rows]})
    (history, *_), undisturbed = engine(runs, data, Checkpoint(path, 1000)), engine(runs, data, None)[0]
    assert history[0] == Metrics._make([*undisturbed[0][:-optional], *optional * [None]])
    assert history[-1] == undisturbed[-1]


def test_a_checkpoint_from_before_warm_up_had_a_state_is_used(engine: Engine, runs: list[Run], tmp_path: Path) -> None:
    data, path = load(runs[0]), tmp_path / "checkpoint.pt"
    stop_in_the_middle(engine, runs, data, path)
    content = read_tensors(path)
    del content["warmup"]
    write_tensors(path, content)
    loaded: list[int] = []
    assert engine(runs, data, Checkpoint(path, 1000, loaded.append)) == engine(runs, data, None)
    assert loaded == [1]


def test_a_state_is_saved_and_loaded_to_the_bit(tmp_path: Path) -> None:
    row = Metrics(0.5, 2, 0.1, 1 / 3, float("inf"), None, 12.5, None)
    state = State(["one", "two"], {"weight": torch.randn(3)}, [{0: {"step": torch.tensor(2.0)}}], 2, [row])
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", 0)
    checkpoint.save(state)
    again = checkpoint.load(["one", "two"], 3, lambda state: True)
    assert again is not None
    assert torch.equal(again.net["weight"], state.net["weight"])
    assert again._replace(net={}) == state._replace(net={})
