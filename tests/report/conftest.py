"""Results folders to report on, packed by hand from runs that nobody trained."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import tomli_w

from resnet_cli.models.settings import WIDTH
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.events import Status
from resnet_cli.settings.format import FORMAT
from resnet_cli.settings.metrics import Metrics
from resnet_cli.store.layout import SWEEP_FILE
from resnet_cli.store.record import RunRecord, write_run

MakeSweep = Callable[..., Path]

ENVIRONMENT = {"resnet_exp": "0.1.0", "python": "3.11.7", "system": "Linux", "device": "cpu"}
STARTED, FINISHED = "2026-01-02T03:04:05+00:00", "2026-01-02T03:05:06+00:00"


def metrics(step: int, loss: float, error: float | None = None) -> Metrics:
    """An evaluation with the same loss and error in training and test."""
    return Metrics(step / 10, step, 0.1, loss, loss, error, error)


@pytest.fixture
def make_sweep(tmp_path: Path) -> MakeSweep:
    """`make_sweep("mine", {("plain-mlp", 3): [0.5, 0.4]}, task="sine")`: losses after training by model and depth.

    One loss a seed; None is a run that was planned and is missing, infinity one that diverged, nan one that failed. All
    begin with a loss of 1.
    """

    def make(
        name: str,
        losses: Mapping[tuple[str, int], Sequence[float | None]],
        *,
        message: str = "out of memory",
        **settings: object,
    ) -> Path:
        folder = tmp_path / name
        models = list(dict.fromkeys(model for model, _ in losses))
        depths = sorted({depth for _, depth in losses})
        seeds = max(map(len, losses.values()))
        request = {"task": "sine", "models": models, "depths": depths, "seeds": f"0..{seeds - 1}", **settings}
        plan = plan_sweep(request)
        folder.mkdir(parents=True)
        content = {"format": FORMAT, **{key: value for key, value in plan.resolved.items() if value is not None}}
        (folder / SWEEP_FILE).write_text(tomli_w.dumps(content))
        for run in plan.runs:
            of_seeds = losses.get((run.model, run.depth), [])
            loss = of_seeds[run["seed"]] if run["seed"] < len(of_seeds) else None
            if loss is None:
                continue
            status: Status = "failed" if loss != loss else "diverged" if loss == float("inf") else "done"
            history = [metrics(0, 1.0), *([metrics(10, loss)] if status == "done" else [])]
            record = RunRecord(
                status=status,
                run=run,
                message=message if status == "failed" else "",
                parameters=None if status == "failed" else 100 * run.depth + run[WIDTH],
                environment=ENVIRONMENT,
                started=STARTED,
                finished=FINISHED,
                seconds=61.0,
                history=[] if status == "failed" else history,
            )
            write_run(folder, record)
        return folder

    return make


DEGRADING = {
    ("plain-mlp", 2): [0.2, 0.3, 0.1],
    ("plain-mlp", 4): [0.01, 0.02, 0.03],
    ("plain-mlp", 8): [0.5, 0.5, 0.5],
    ("residual-mlp", 2): [0.2, 0.3, 0.1],
    ("residual-mlp", 4): [0.01, 0.03, 0.02],
    ("residual-mlp", 8): [0.002, 0.001, 0.003],
}
"""Losses of plain nets that get worse, and of residual ones that do not."""
