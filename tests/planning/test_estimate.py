"""What is estimated is what a sweep would do, under the conditions that it would have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning import estimate as module
from resnet_cli.planning.conditions import Conditions, choose_conditions
from resnet_cli.planning.estimate import Cost, Estimate, estimate
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.planning.units import Unit, make_units, what_is_left
from resnet_cli.settings.run import Run
from resnet_cli.training.graphs import EAGER_STEPS
from resnet_cli.training.stacked import engine as stacked
from tests.training.software_graph import SoftwareRecorder

SMALL = {"task": "sine", "depths": "2..4", "seeds": 0, "steps": 6, "eval_every": 3}


def estimate_of(
    folder: Path,
    *,
    jobs: int = 2,
    fresh: bool = False,
    on_timing: Callable[[Run], None] = lambda run: None,
    **request: Any,
) -> Estimate:
    plan = plan_sweep(SMALL | request)
    conditions = choose_conditions(plan, folder, jobs=jobs)
    left, _ = what_is_left(make_units(plan, conditions), conditions, fresh=fresh)
    return estimate(left, conditions, on_timing=on_timing)


def with_fixed_costs(monkeypatch: pytest.MonkeyPatch, cost: Cost, files: float = 0.0) -> list[Unit]:
    """Let timing find these costs; returns the units that it is asked to time."""
    timed = []

    def time(unit: Unit, conditions: Conditions) -> Cost:
        timed.append(unit)
        return cost

    monkeypatch.setattr(module, "_time", time)
    monkeypatch.setattr(module, "_seconds_of_files", lambda run, conditions: files)
    return timed


def test_steps_evaluations_starts_and_files_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_fixed_costs(monkeypatch, Cost(layers=9, start=1.0, step=0.5, example=0.001), files=0.25)
    whole = estimate_of(tmp_path, jobs=1, engine="loop", models="plain", depths=9, steps=7)
    evaluations = 4  # before the first step, after steps 3, 6 and 7
    training = 1.0 + 7 * 0.5 + evaluations * 2000 * 0.001
    assert whole.seconds == pytest.approx(module.START_SECONDS + training + 0.25)
    assert (whole.steps, whole.workers) == (7, 1)


def test_many_tiny_runs_cost_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_fixed_costs(monkeypatch, Cost(layers=3, start=0.0, step=0.0, example=0.0), files=0.5)
    whole = estimate_of(tmp_path, models="plain", depths=3, seeds="0..99")
    assert whole.seconds == pytest.approx(2 * module.START_SECONDS + 100 * 0.5 / 2)


def test_units_go_to_whichever_process_is_free() -> None:
    assert module._makespan([5.0, 1.0, 1.0, 4.0], 2) == 6.0
    assert module._makespan([], 2) == 0.0


def test_cost_is_linear_in_depth() -> None:
    run = plan_sweep(SMALL | {"models": "plain", "depths": 10, "steps": 2, "eval_every": 2}).runs[0]
    unit = Unit((run,), stacked=False)
    timed = [Cost(2, start=1.0, step=1.0, example=0.0), Cost(4, start=1.0, step=2.0, example=0.0)]
    assert module._seconds_of(unit, timed) == pytest.approx(1 + 2 * 5)
    assert module._seconds_of(unit, timed[:1]) == pytest.approx(5 * (1 + 2 * 1))


def test_finished_runs_are_not_counted_again(tmp_path: Path) -> None:
    with open_sweep(plan_sweep(SMALL | {"models": "plain"}), tmp_path, jobs=1) as sweep:
        sweep.execute(lambda event: None)
    before = sorted(tmp_path.rglob("*"))
    wider = estimate_of(tmp_path)
    assert {run.model for unit in wider.units for run in unit.unfinished} == {"residual-mlp"}
    assert wider.steps == 3 * 6
    assert estimate_of(tmp_path, models="plain").units == []
    assert len(estimate_of(tmp_path, fresh=True).units) > len(wider.units)
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"


def test_nets_are_timed_with_the_threads_and_engine_of_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    def train_stack(runs: list[Run], *args: object, **options: object) -> object:
        used.append(torch.get_num_threads())
        return real(runs, *args, **options)  # type: ignore[arg-type]

    real = stacked.train_stack
    monkeypatch.setattr(module, "train_stack", train_stack)
    estimate_of(tmp_path, jobs=1, threads=2)
    assert set(used) == {1}


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("engine", ["loop", "stacked"])
def test_nets_are_timed_with_the_graphs_of_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, wanted: bool
) -> None:
    recorder = SoftwareRecorder()
    monkeypatch.setattr(module, "recorder_of", lambda device: recorder)
    monkeypatch.setattr(module, "CHUNK_SECONDS", 0.0)
    plan = plan_sweep(SMALL | {"models": "plain", "depths": 3, "engine": engine})
    conditions = choose_conditions(plan, tmp_path, jobs=1, cuda_graphs=wanted)
    estimate(make_units(plan, conditions), conditions)
    assert (recorder.recordings > 0) is wanted
    if wanted and engine == "loop":  # the steps between the first two evaluations are more than those that record
        every = EAGER_STEPS + 2
        assert max(recorder.replays) == 2 * every + 1 - EAGER_STEPS


def test_timing_is_bounded_but_sees_every_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = with_fixed_costs(monkeypatch, Cost(layers=3, start=0.0, step=0.1, example=0.0))
    monkeypatch.setattr(module, "TIMING_SECONDS", -1.0)
    whole = estimate_of(tmp_path, batch_size=[10, 20, 30, 40, 50], engine="loop")
    assert len(timed) == 2 * 2, "two depths of each model"
    assert whole.seconds > 0


def test_every_kind_is_announced_before_it_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_fixed_costs(monkeypatch, Cost(layers=3, start=0.0, step=0.1, example=0.0))
    told: list[Run] = []
    estimate_of(tmp_path, on_timing=told.append)
    assert {run.model for run in told} == {"plain-mlp", "residual-mlp"}


def test_nets_that_cannot_be_trained_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> object:
        raise RuntimeError("not enough\nmemory")

    monkeypatch.setattr(module, "train", fail)
    whole = estimate_of(tmp_path, models="plain", depths=3, engine="loop")
    (problem,) = whole.problems
    assert problem.startswith("plain-mlp_d003_s0_")
    assert problem.endswith(" cannot be trained: RuntimeError: not enough memory")


def test_an_infinite_loss_spoils_no_estimate(tmp_path: Path) -> None:
    for engine in ("loop", "stacked"):
        whole = estimate_of(tmp_path, engine=engine, init="normal", init_std=1e30, optimizer="sgd")
        assert whole.problems == []
        assert whole.seconds > 0
