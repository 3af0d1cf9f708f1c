"""The memory of a training against what can be computed by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from resnet_cli.models import all_models
from resnet_cli.planning import memory as module
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.memory import Memory, memory_of, optimizer_copies, training_bytes
from resnet_cli.planning.units import Unit
from resnet_cli.tasks import all_tasks
from resnet_cli.training.stacked.grouping import working_set
from tests.conftest import MakeRun

CONDITIONS = Conditions(folder=Path(), device="cpu", workers=2, threads=1)


@pytest.mark.parametrize(("optimizer", "copies"), [("sgd", 0), ("momentum", 1), ("adam", 2)])
def test_the_state_of_an_optimiser_counts(make_run: MakeRun, optimizer: str, copies: int) -> None:
    assert optimizer_copies(make_run(optimizer=optimizer)) == copies


def test_a_step_holds_parameters_gradients_state_and_activations(make_run: MakeRun) -> None:
    """Three layers of W units in a batch of B: inputs, products, activations and outputs, in 4 bytes a number."""
    width, batch, task = 200, 500, all_tasks()["sine"]
    run = make_run(depths=3, width=width, batch_size=batch, optimizer="momentum", engine="loop", eval_size=10)
    (features,) = task.input_shape(run)
    parameters = (features + 1) * width + 2 * (width + 1) * width + (width + 1) * task.outputs
    activations = batch * 3 * width
    least = 4 * (3 * parameters + activations)
    assert least <= training_bytes(run) <= least + 4 * (batch * 4 * width + parameters)


def test_activations_grow_with_the_batch_and_not_when_recomputed(make_run: MakeRun) -> None:
    small, large = (
        make_run(task="digits", models="resnet", depths=32, batch_size=batch, eval_size=1, width=4)
        for batch in (100, 400)
    )
    assert 3.5 < training_bytes(large) / training_bytes(small) < 4.2
    assert training_bytes(large, recompute=True) < 0.6 * training_bytes(large)


def test_a_graph_keeps_the_memory_of_a_step(make_run: MakeRun) -> None:
    """Parameters of a small net on many examples hardly count."""
    settings: dict[str, object] = {"task": "digits", "models": "resnet", "depths": 8, "width": 2, "eval_size": 1}

    def on(device: str, *, cuda_graphs: bool = True, recompute: bool = False, dropout: float = 0.0) -> int:
        unit = Unit((make_run(**settings, batch_size=200, dropout=dropout),), stacked=False)
        conditions = replace(CONDITIONS, device=device, cuda_graphs=cuda_graphs, recompute=recompute)
        found = memory_of([unit], conditions)
        assert found is not None
        return found.unit

    assert on("cuda:1") == pytest.approx(2 * on("cpu"), rel=0.05)
    assert on("cuda", cuda_graphs=False) == on("cpu")
    assert on("cuda", dropout=0.1) == on("cpu", dropout=0.1)
    assert on("cuda", recompute=True) == on("cpu", recompute=True)


def test_an_evaluation_counts_where_its_batch_is_larger(make_run: MakeRun) -> None:
    few, many = (
        make_run(task="digits", models="resnet", depths=8, batch_size=10, eval_size=size) for size in (10, 1000)
    )
    assert training_bytes(many) > 10 * training_bytes(few)


@pytest.mark.parametrize("model", sorted(all_models()))
def test_every_model_can_be_measured_without_numbers(make_run: MakeRun, model: str) -> None:
    depth = all_models()[model].depth_rule.first
    task = "sine" if all_models()[model].family == "mlp" else "digits"
    run = make_run(task=task, models=model, depths=depth, batch_size=8, width=4, dropout=0.1)
    assert memory_of([Unit((run,), stacked=False)], CONDITIONS) is not None


def test_processes_are_added_up_and_devices_have_memory_of_their_own(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_process_bytes", lambda: 10**9)
    runs = [make_run(depths=depth) for depth in (2, 3)]
    units = [Unit((run,), stacked=True) for run in runs]
    found = memory_of(units, CONDITIONS)
    assert found == Memory(10**9, working_set(runs[1]), 2, on_device=False)
    assert found.total == 3 * 10**9 + 2 * working_set(runs[1])
    assert str(found).startswith("about 3.0 GB, ")
    assert str(replace(found, on_device=True)).endswith(
        "on the device in each of 2 processes, and about 3.0 GB of main memory"
    )
    assert memory_of(units[:1], CONDITIONS) == Memory(10**9, working_set(runs[0]), 1, on_device=False)


def test_a_net_that_needs_numbers_is_no_error(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> object:
        raise RuntimeError("Tensor.item() cannot be called on meta tensors")

    monkeypatch.setattr(module, "describe_net", fail)
    assert memory_of([Unit((make_run(),), stacked=False)], CONDITIONS) is None
