"""How many threads a run gets, and by which engine it is trained."""

from pathlib import Path
from typing import Any

import pytest

from resnet_cli.execution.sweep import open_sweep
from resnet_cli.execution.units import Job, make_jobs
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.store.reader import load_results
from resnet_cli.training.data import load_data

LONE = {"task": "sine", "models": "residual", "depths": 5, "seeds": 0, "steps": 40, "eval_every": 20}


def jobs_of(**request: Any) -> list[Job]:
    plan = plan_sweep(LONE | request)
    return make_jobs(plan, lambda run: load_data(run, None, "cpu"), 1, "cpu")


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
    (job,) = jobs_of(engine="loop", **settings)
    assert job.threads(8) == threads


def test_a_lone_small_net_is_stacked_a_lone_large_one_is_not() -> None:
    assert [job.stacked for job in jobs_of()] == [True]
    assert [job.stacked for job in jobs_of(width=2000)] == [False]
    assert [job.stacked for job in jobs_of(engine="loop")] == [False]


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
