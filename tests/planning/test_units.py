"""Which units of work a plan makes, with which threads and engine, and what is left of them; all without data."""

from pathlib import Path
from typing import Any

import pytest

from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.conditions import Machine, choose_conditions
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.planning.units import Unit, finished_runs, make_units, remaining_units
from resnet_cli.settings.errors import UserError
from resnet_cli.store.reader import load_results

LONE = {"task": "sine", "models": "residual", "depths": 5, "seeds": 0, "steps": 40, "eval_every": 20}


def units_of(**request: Any) -> list[Unit]:
    plan = plan_sweep(LONE | request)
    return make_units(plan, choose_conditions(plan, "results", jobs=1))


@pytest.mark.parametrize(
    ("settings", "threads"),
    [
        ({"task": "sine", "width": 30}, 1),
        ({"task": "sine", "width": 128, "batch_size": 1000}, 1),
        ({"task": "sine", "width": 2000, "batch_size": 32}, 8),
        ({"task": "digits", "models": "resnet", "depths": 8}, 1),
        ({"task": "digits", "models": "resnet", "depths": 8, "width": 64}, 8),
    ],
)
def test_small_layers_get_one_thread(settings: dict[str, Any], threads: int) -> None:
    (unit,) = units_of(engine="loop", **settings)
    assert unit.threads(8) == threads


def test_a_lone_small_net_is_stacked_a_lone_large_one_is_not() -> None:
    assert [unit.stacked for unit in units_of()] == [True]
    assert [unit.stacked for unit in units_of(width=2000)] == [False]
    assert [unit.stacked for unit in units_of(engine="loop")] == [False]


def test_a_lone_net_has_the_metrics_of_the_loop_and_of_a_sweep(tmp_path: Path) -> None:
    """To the last bit those of a wider sweep by the same engine; to rounding those of the loop."""

    def history(name: str, **request: Any) -> list[tuple[float, ...]]:
        with open_sweep(plan_sweep(LONE | request), tmp_path / name, jobs=1) as sweep:
            sweep.execute(lambda event: None)
        (stored,) = [stored for stored in load_results(tmp_path / name).runs if stored.run.depth == 5]
        return [(row.step, row.train_loss, row.test_loss) for row in stored.history]

    alone = history("alone")
    assert history("wider", depths="2..6") == alone
    for row, of_loop in zip(alone, history("loop", engine="loop"), strict=True):
        assert row == pytest.approx(of_loop, rel=1e-4)


def test_a_data_set_that_is_not_here_can_be_planned_and_grouped(tmp_path: Path) -> None:
    plan = plan_sweep({"task": "cifar10", "models": "plain-mlp,resnet", "depths": "8,14,20", "seeds": "0..3"})
    conditions = choose_conditions(plan, tmp_path / "results", jobs=2, data_dir=tmp_path / "empty")
    units = make_units(plan, conditions)
    assert sorted(run.run_id for unit in units for run in unit.runs) == sorted(run.run_id for run in plan.runs)
    assert {run.model for unit in units if unit.stacked for run in unit.runs} == {"plain-mlp"}
    finished, problems = finished_runs(plan.runs, conditions)
    assert (finished, problems) == ({}, [])
    some = {run.run_id for run in units[-1].runs}
    assert remaining_units(units, some, conditions.folder) == units[:-1]
    assert [*tmp_path.iterdir()] == []


def test_a_device_that_is_not_here_can_be_planned_for(tmp_path: Path) -> None:
    plan = plan_sweep({"task": "sine", "device": "cuda:7", "depths": "2..9"})
    conditions = choose_conditions(plan, tmp_path)
    assert conditions.workers == 1
    assert all(unit.stacked for unit in make_units(plan, conditions))
    with pytest.raises(UserError, match=r"device \(=gpu\) must be auto, cpu, cuda, cuda:N or mps"):
        choose_conditions(plan_sweep({"device": "gpu"}), tmp_path)


def test_a_batch_beyond_the_training_set_is_an_error_of_the_plan() -> None:
    with pytest.raises(
        UserError, match=r"batch_size \(=128\) must not exceed the training set, which has 100 examples"
    ):
        units_of(task="cifar10", models="resnet", depths=8, train_size=100, batch_size=128, steps=5)


@pytest.mark.parametrize(
    ("device", "machines", "options", "expected"),
    [  # device, workers and threads
        ("auto", [Machine(8)], {}, ("cpu", 8, 1)),
        ("auto", [Machine(8)], {"jobs": 3}, ("cpu", 3, 2)),
        ("auto", [Machine(8), Machine(4)], {"jobs": 1}, ("cpu", 1, 8)),
        ("auto", [Machine(8), Machine(4)], {}, ("cpu", 12, 1)),
        ("auto", [Machine(8, 1)], {}, ("cuda", 1, 8)),
        ("auto", [Machine(8, 1)], {"jobs": 2}, ("cuda", 2, 4)),
        ("auto", [Machine(8, 4)], {}, ("cuda", 4, 2)),
        ("auto", [Machine(8, 4)], {"runs_per_gpu": 3}, ("cuda", 12, 1)),
        ("auto", [Machine(8, 4)], {"runs_per_gpu": 3, "jobs": 4}, ("cuda", 4, 1)),
        ("auto", [Machine(64), Machine(8, 2), Machine(32, 2)], {}, ("cuda", 4, 4)),
        ("cpu", [Machine(8, 4)], {}, ("cpu", 8, 1)),
        ("cuda:1", [Machine(8, 4)], {}, ("cuda:1", 1, 8)),
        ("cuda", [Machine(8)], {}, ("cuda", 1, 8)),
    ],
)
def test_workers_and_threads_follow_from_the_machines(
    device: str, machines: list[Machine], options: dict[str, int], expected: tuple[str, int, int]
) -> None:
    plan = plan_sweep({"task": "sine", "depths": "2..40", "device": device})
    found = choose_conditions(plan, "results", machines=machines, **options)  # type: ignore[arg-type]
    assert (found.device, found.workers, found.threads) == expected


def test_runs_per_gpu_is_an_error_where_it_has_no_effect_or_contradicts_jobs() -> None:
    plan = plan_sweep({"task": "sine"})
    with pytest.raises(UserError, match=r"runs_per_gpu \(=2\) has no effect on device cpu; leave it out"):
        choose_conditions(plan, "results", machines=[Machine(8)], runs_per_gpu=2)
    with pytest.raises(
        UserError, match=r"jobs \(=9\) must be at most 8, which is runs_per_gpu \(=2\) times the number"
    ):
        choose_conditions(plan, "results", machines=[Machine(8, 4)], runs_per_gpu=2, jobs=9)
