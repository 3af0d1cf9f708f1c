"""The stacked engine gives every run the results of the loop, whatever else is in the stack."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from resnet_cli.models import all_models
from resnet_cli.models.activations import ACTIVATIONS, Activation
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.record import RunRecord
from resnet_cli.tasks import get_task
from resnet_cli.tasks.data import Data
from resnet_cli.tasks.data.sampling import pixel_statistics
from resnet_cli.training.checkpoint import Checkpoint
from resnet_cli.training.graphs import Work
from resnet_cli.training.loop import DTYPES, train
from resnet_cli.training.optimizers import OPTIMIZERS, Optimizer
from resnet_cli.training.schedule import learning_rate
from resnet_cli.training.settings import PRECISION
from resnet_cli.training.stacked.engine import Stack, train_stack
from resnet_cli.training.stacked.grouping import obstacle, stack_key
from resnet_cli.training.stacked.packing import padded
from resnet_cli.training.stacked.parameter_group import GROUP_BYTES
from tests.conftest import MakeRun
from tests.gpu import CPU, on_gpu_and_cpu, recorder_for, without_waiting
from tests.training.stacked.conftest import Register

SMALL: dict[str, object] = {
    "width": 9,
    "batch_size": 16,
    "train_size": 70,
    "steps": 12,
    "eval_every": 5,
    "precision": "float64",
}
PLAIN: dict[str, object] = {"models": "plain-mlp"}


RESIDUAL: list[dict[str, object]] = [{"models": "residual-mlp", "block_size": k} for k in (1, 2, 3)]


def load(run: Run) -> Data:
    return get_task(run.task).load(run, None).to(torch.device("cpu"), DTYPES[run[PRECISION]])


def assert_like_loop(outcome: RunRecord, data: Data, tolerance: float = 1e-9) -> None:
    """Every parameter, relative to the norm of its tensor, and every number of the history."""
    expected = train(outcome.run, data)
    assert (outcome.status, outcome.parameters) == (expected.status, expected.parameters)
    values = expected.state
    assert list(outcome.state) == list(values)
    for name, value in values.items():
        assert (outcome.state[name] - value).norm() <= tolerance * value.norm(), name
    assert len(outcome.history) == len(expected.history)
    for row, expected_row in zip(outcome.history, expected.history, strict=True):
        assert row[:3] == expected_row[:3]
        for value, expected_value in zip(row[3:], expected_row[3:], strict=True):
            assert value == (expected_value if expected_value is None else pytest.approx(expected_value, tolerance, 0))


def assert_same_bits(outcome: RunRecord, other: RunRecord) -> None:
    assert (outcome.run, outcome.status) == (other.run, other.status)
    assert repr(outcome.history) == repr(other.history)  # equal also where a value is nan
    for name, value in outcome.state.items():
        assert torch.equal(value, other.state[name]) or not value.isfinite().all(), name


@pytest.mark.parametrize("steps", [1, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", [PLAIN, *RESIDUAL], ids=str)
def test_every_parameter_matches_the_loop(make_run: MakeRun, kind: dict[str, object], steps: int) -> None:
    small = SMALL | kind | {"steps": steps, "eval_every": 50}
    runs = [make_run(**small, depths=depth) for depth in (1, 2, 3, 4, 5, 8)]
    data = load(runs[0])
    for outcome in train_stack(runs, data):
        assert_like_loop(outcome, data)


def assert_all_like_loop(make_run: MakeRun, small: dict[str, object]) -> None:
    """Nets of several depths, with a learning rate and weight decay for each, to the last digits of float64."""
    members = [(6, 2, 0.1), (3, 0, 0.2), (2, 1, 0.0), (1, 0, 0.1)]
    runs = [
        make_run(**SMALL | small, depths=depth, seeds=seed, weight_decay=decay, learning_rate=0.002 * (1 + seed))
        for depth, seed, decay in members
    ]
    assert len({stack_key(run) for run in runs}) == 1
    assert not any(obstacle(run, "cpu") for run in runs)
    data = load(runs[0])
    for outcome in train_stack(runs, data):
        assert_like_loop(outcome, data, tolerance=1e-12)


@pytest.mark.parametrize("optimizer", [name for name, declared in OPTIMIZERS.items() if declared.linear_in_rate])
def test_every_optimiser_matches_the_loop(make_run: MakeRun, optimizer: str) -> None:
    assert_all_like_loop(make_run, RESIDUAL[1] | {"optimizer": optimizer, "schedule": "cosine"})


@pytest.mark.parametrize("task", ["sine", "digits"])
@pytest.mark.parametrize("activation", [name for name, declared in ACTIVATIONS.items() if declared.backward])
def test_every_activation_and_loss_matches_the_loop(make_run: MakeRun, activation: str, task: str) -> None:
    assert_all_like_loop(make_run, RESIDUAL[1] | {"activation": activation, "task": task})


def stacked_models() -> list[str]:
    models = all_models().values()
    plans = [plan_sweep({"task": "digits", "models": model.name, "depths": model.depth_rule.first}) for model in models]
    return [plan.runs[0].model for plan in plans if not obstacle(plan.runs[0], "cpu")]


@pytest.mark.parametrize("model", stacked_models())
def test_every_model_that_can_be_stacked_matches_the_loop(make_run: MakeRun, model: str) -> None:
    assert_all_like_loop(make_run, {"task": "digits", "models": model})


@pytest.mark.parametrize("decoupled", [False, True])
def test_a_new_optimiser_matches_the_loop(make_run: MakeRun, register: Register, decoupled: bool) -> None:
    arguments = {"decoupled_weight_decay": decoupled}
    register(Optimizer("new", "NAdam", arguments, decoupled_decay=decoupled, linear_in_rate=True))
    assert_all_like_loop(make_run, RESIDUAL[1] | {"schedule": "cosine", "optimizer": "new"})


def test_a_new_activation_matches_the_loop(make_run: MakeRun, register: Register) -> None:
    register(Activation("new", "torch.nn.functional:leaky_relu", "leaky_relu_backward", (0.01, True), one=1.0))
    assert_all_like_loop(make_run, RESIDUAL[1] | {"task": "digits", "activation": "new"})


def test_each_run_has_its_own_rate_schedule_and_initial_values(make_run: MakeRun) -> None:
    different: list[dict[str, object]] = [
        {"learning_rate": 0.01, "init": "he"},
        {"learning_rate": 0.02, "schedule": "cosine", "init": "normal"},
        {"learning_rate": 0.03, "schedule": "steps", "init": "normal", "init_std": 0.3},
        {"learning_rate": 0.03, "schedule": "steps", "init": "normal", "init_std": 0.3, "init_bias_std": 0.2},
        {"learning_rate": 0.04, "warmup_steps": 5, "init": "glorot"},
        {"learning_rate": 0.04, "warmup_steps": 3, "warmup_shape": "constant", "seeds": 5},
    ]
    runs = [make_run(**SMALL, depths=4, **settings) for settings in different]
    assert len({stack_key(run) for run in runs}) == 1
    data = load(runs[0])
    for outcome in train_stack(runs, data):
        assert_like_loop(outcome, data)


@pytest.mark.parametrize("pixel", [False, True])
def test_augmented_images_match_the_loop(make_run: MakeRun, pixel: bool) -> None:
    runs = [make_run(**SMALL, task="digits", models="plain-mlp", depths=depth, seeds=depth % 2) for depth in (1, 2, 3)]
    data = dataclasses.replace(load(runs[0]), crop_padding=1)
    if pixel:
        mean, deviation = pixel_statistics(data.train_inputs)
        data = dataclasses.replace(data, mean=mean.double(), deviation=deviation.double())
    for outcome in train_stack(runs, data):
        assert_like_loop(outcome, data)


@pytest.mark.parametrize("width", [7, 8, 16])
def test_every_width_leaves_room_for_the_constant_unit(make_run: MakeRun, width: int) -> None:
    assert padded(width) > width
    assert padded(width) % 8 == 0
    run = make_run(**SMALL | {"task": "digits", "models": "plain-mlp", "width": width}, depths=3)
    (outcome,) = train_stack([run], load(run))
    assert_like_loop(outcome, load(run))


def test_outputs_may_outnumber_hidden_units(make_run: MakeRun) -> None:
    run = make_run(**SMALL | {"task": "digits", "models": "plain-mlp", "width": 3}, depths=2)
    (outcome,) = train_stack([run], load(run))
    assert_like_loop(outcome, load(run))


def test_float32_losses_are_close_to_the_loops(make_run: MakeRun) -> None:
    small = SMALL | {"precision": "float32", "width": 30}
    runs = [make_run(**small, depths=depth, seeds=seed) for depth in (2, 5) for seed in (0, 1)]
    data = load(runs[0])
    for outcome in train_stack(runs, data):
        assert_like_loop(outcome, data, tolerance=1e-3)


@pytest.mark.parametrize("kind", [PLAIN, RESIDUAL[1]], ids=str)
def test_results_do_not_depend_on_other_runs_in_the_stack(make_run: MakeRun, kind: dict[str, object]) -> None:
    """To the bit: alone, among others, and beside a net that diverges."""
    small = SMALL | kind | {"precision": "float32", "optimizer": "sgd", "learning_rate": 0.01}
    runs = [make_run(**small, depths=depth, seeds=seed) for depth in (1, 2, 4, 7) for seed in (0, 1)]
    diverging = [make_run(**small | {"learning_rate": 1e12}, depths=depth) for depth in (3, 7)]
    data = load(runs[0])
    company = train_stack([*runs, *diverging], data)
    assert [outcome.run for outcome in company] == [*runs, *diverging]
    for outcome in company[: len(runs)]:
        assert outcome.status == "done"
        (alone,) = train_stack([outcome.run], data)
        assert_same_bits(outcome, alone)
    for outcome in company[len(runs) :]:
        assert outcome.status == "diverged"
        assert len(outcome.history) == len(train(outcome.run, data).history) < 4
        assert not math.isfinite(outcome.history[-1].train_loss)


def test_evaluations_are_reported_as_they_happen(make_run: MakeRun) -> None:
    runs = [make_run(**SMALL, depths=depth) for depth in (2, 3)]
    told: list[tuple[Run, Metrics, int]] = []
    outcomes = train_stack(
        runs, load(runs[0]), on_evaluation=lambda run, metrics, total_steps: told.append((run, metrics, total_steps))
    )
    assert [metrics.step for _, metrics, _ in told] == [0, 0, 5, 5, 10, 10, 12, 12]
    assert {total_steps for *_, total_steps in told} == {12}
    for outcome in outcomes:
        assert [metrics for run, metrics, _ in told if run == outcome.run] == outcome.history


class Killed(Exception):
    pass


@pytest.mark.parametrize("optimizer", [name for name, declared in OPTIMIZERS.items() if declared.linear_in_rate])
def test_a_resumed_stack_ends_with_the_same_bits(make_run: MakeRun, tmp_path: Path, optimizer: str) -> None:
    small = SMALL | {
        "task": "digits",
        "models": "plain-mlp",
        "precision": "float32",
        "optimizer": optimizer,
        "schedule": "cosine",
    }
    runs = [make_run(**small, depths=depth, learning_rate=0.01) for depth in (2, 4)]
    runs.append(make_run(**small, depths=3, learning_rate=1e30))
    data = load(runs[0])
    undisturbed = train_stack(runs, data)
    assert [outcome.status for outcome in undisturbed] == ["done", "done", "diverged"]

    def kill(run: Run, metrics: Metrics, total_steps: int) -> None:
        if metrics.step == 10:
            raise Killed

    path = tmp_path / "stack.pt"
    with pytest.raises(Killed):
        train_stack(runs, data, checkpoint=Checkpoint(path, every_seconds=0), on_evaluation=kill)
    told: list[int] = []
    resumed = train_stack(
        runs[::-1],
        data,
        checkpoint=Checkpoint(path, every_seconds=1000),
        on_evaluation=lambda run, metrics, total_steps: told.append(metrics.step),
    )
    assert told == [10, 10, 12, 12]
    for outcome, expected in zip(resumed[::-1], undisturbed, strict=True):
        assert_same_bits(outcome, expected)

    others = train_stack(runs[:1], data, checkpoint=Checkpoint(path, every_seconds=1000))  # not this checkpoint's
    assert_same_bits(others[0], undisturbed[0])


def test_a_batch_larger_than_the_training_set_is_rejected(make_run: MakeRun) -> None:
    run = make_run(**SMALL | {"batch_size": 71}, depths=2)
    with pytest.raises(UserError, match=r"batch_size \(=71\) must not exceed the training set, which has 70 examples"):
        train_stack([run], load(run))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PLAIN, RESIDUAL[1]], ids=str)
def test_results_do_not_depend_on_other_runs_across_groups(make_run: MakeRun, kind: dict[str, object]) -> None:
    """To the bit on a CPU: other runs decide which layers are updated together, but no sum runs over several layers."""
    settings: dict[str, object] = {"width": 30, "steps": 4, "eval_every": 2, "eval_size": 100}
    runs = [make_run(**settings | kind, depths=depth, seeds=seed) for depth in range(2, 41, 2) for seed in range(5)]
    data = load(runs[0])
    for outcome in train_stack(runs, data)[::9]:
        (alone,) = train_stack([outcome.run], data)
        assert_same_bits(outcome, alone)


def test_a_non_finite_initial_loss_does_not_end_a_run(make_run: MakeRun) -> None:
    small = SMALL | PLAIN | {"init": "normal", "precision": "float32", "depths": 3}
    huge, usual = make_run(**small, init_std=1e30), make_run(**small, init_std=0.1)
    outcome, other = train_stack([huge, usual], load(huge))
    assert not math.isfinite(outcome.history[0].train_loss)
    assert (outcome.status, [row.step for row in outcome.history]) == ("diverged", [0, 5])
    assert (other.status, [row.step for row in other.history]) == ("done", [0, 5, 10, 12])


def test_a_checkpoint_with_another_layout_restarts_the_stack(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run(**SMALL, depths=depth) for depth in (4, 6)]
    data, path = load(runs[0]), tmp_path / "stack.pt"
    saved = train_stack(runs, data, checkpoint=Checkpoint(path, every_seconds=0))
    monkeypatch.setitem(GROUP_BYTES, "cpu", 1)
    told: list[int] = []
    anew = train_stack(
        runs,
        data,
        checkpoint=Checkpoint(path, every_seconds=1000),
        on_evaluation=lambda run, metrics, total_steps: told.append(metrics.step),
    )
    assert told[0] == 0
    for outcome, expected in zip(anew, saved, strict=True):
        assert_same_bits(outcome, expected)


def on_device(make_run: MakeRun, device: torch.device, **settings: object) -> tuple[list[Run], Data]:
    runs = [make_run(**SMALL | RESIDUAL[1] | settings, depths=depth, seeds=depth % 2) for depth in (1, 2, 3, 6)]
    return runs, load(runs[0]).to(device, torch.float64)


LINEAR = [name for name, declared in OPTIMIZERS.items() if declared.linear_in_rate]


@on_gpu_and_cpu
@pytest.mark.parametrize("optimizer", LINEAR)
def test_replayed_parameters_match_the_loop_on_the_cpu(make_run: MakeRun, optimizer: str, device: torch.device) -> None:
    settings = {"optimizer": optimizer, "learning_rate": 1e-3, "schedule": "cosine", "weight_decay": 1e-3}
    runs, data = on_device(make_run, device, **settings)
    for outcome in train_stack(runs, data, recorder=recorder_for(device), tell=pytest.fail):
        assert outcome.environment == {"cuda_graphs": True}
        assert_like_loop(outcome, load(runs[0]))


def assert_close(outcome: RunRecord, expected: RunRecord) -> None:
    """The last row of a history, to 1e-9; a task without classes has no errors."""
    assert outcome.last is not None
    assert expected.last is not None
    assert outcome.last[:3] == expected.last[:3]
    for value, expected_value in zip(outcome.last[3:], expected.last[3:], strict=True):
        assert value == (expected_value if expected_value is None else pytest.approx(expected_value, rel=1e-9))


@on_gpu_and_cpu
@pytest.mark.parametrize("optimizer", LINEAR)
def test_a_stack_without_a_graph_has_the_results_of_one_with_it(
    make_run: MakeRun, optimizer: str, device: torch.device
) -> None:
    runs, data = on_device(make_run, device, optimizer=optimizer)
    replayed, eager = (train_stack(runs, data, recorder=recorder) for recorder in (recorder_for(device), None))
    for outcome, expected in zip(replayed, eager, strict=True):
        assert (outcome.environment, expected.environment) == ({"cuda_graphs": True}, {})
        assert_close(outcome, expected)


@on_gpu_and_cpu
@pytest.mark.parametrize("optimizer", LINEAR)
def test_a_stack_that_cannot_be_recorded_trains_eagerly(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, optimizer: str, device: torch.device
) -> None:
    runs, data = on_device(make_run, device, optimizer=optimizer)
    eager, recorder, told = train_stack(runs, data), recorder_for(device), list[str]()
    record = recorder.record

    def fail_half_way(work: Work) -> Work:
        def failing() -> None:
            work()
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB")

        return record(failing)

    monkeypatch.setattr(recorder, "record", fail_half_way)
    for outcome, expected in zip(train_stack(runs, data, recorder=recorder, tell=told.append), eager, strict=True):
        reason = "recording failed: CUDA out of memory. Tried to allocate 2 GiB"
        assert outcome.environment == {"cuda_graphs": False, "why_no_cuda_graphs": reason}
        assert told == [f"Training steps are not replayed as CUDA graphs: {reason}."]
        assert_close(outcome, expected)
        if device == CPU:
            assert_same_bits(outcome, expected)


@on_gpu_and_cpu
def test_no_step_waits_for_the_device(make_run: MakeRun, device: torch.device) -> None:
    runs, data = on_device(make_run, device, schedule="cosine")
    with torch.no_grad():
        stack = Stack(runs, data, recorder=recorder_for(device))
        rates = [[learning_rate(run, step, 12) for run in stack.runs] for step in range(12)]
        stack.advance(0, rates[0], with_norm=False)  # warms up and records
        with without_waiting(device):
            for step in range(1, 12):
                stack.advance(step, rates[step], with_norm=step == 11)
