"""The estimate of disk space against the files of real sweeps."""

from pathlib import Path
from typing import Any

import pytest

from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.disk import BLOCK, disk_of
from resnet_cli.planning.plan import plan_sweep

FACTOR = 1.2


@pytest.mark.parametrize("save_models", [False, True])
@pytest.mark.parametrize(
    "request_",
    [
        {"task": "sine", "depths": "2..12", "seeds": 0, "steps": 40, "eval_every": 1},
        {"task": "digits", "models": "resnet", "depths": "8,14", "seeds": 0, "steps": 4, "eval_every": 1, "width": 8},
    ],
    ids=str,
)
def test_the_estimate_fits_a_real_sweep(tmp_path: Path, request_: dict[str, Any], save_models: bool) -> None:
    plan = plan_sweep({"train_size": 200, "eval_size": 20, "batch_size": 16, "threads": 1, **request_})
    with open_sweep(plan, tmp_path, jobs=1, save_models=save_models) as sweep:
        expected = disk_of(sweep.units, sweep.conditions)
        sweep.execute(lambda event: None)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name not in (".lock", "sweep.toml")]
    used = sum(-(-path.stat().st_size // BLOCK) * BLOCK for path in files) + BLOCK * len(plan.runs)
    assert expected.files == len(files)
    assert used / FACTOR < expected.bytes < used * FACTOR


@pytest.mark.parametrize("engine", ["loop", "stacked"])
def test_the_estimate_of_checkpoints_fits_a_real_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    written: list[int] = []
    plan = plan_sweep({"depths": "6", "seeds": 0, "steps": 6, "eval_every": 3, "engine": engine, "threads": 1})
    real = Path.replace

    def replace(path: Path, target: Path) -> Path:
        written.extend([path.stat().st_size] if target.suffix == ".pt" else [])
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with open_sweep(plan, tmp_path, jobs=1, checkpoint_seconds=0) as sweep:
        expected = disk_of(sweep.units, sweep.conditions).while_training
        sweep.execute(lambda event: None)
    assert 2 * max(written) / 1.5 < expected < 2 * max(written) * 1.5, "one is written beside the one that it replaces"


def test_nothing_left_takes_nothing(tmp_path: Path) -> None:
    plan = plan_sweep({"depths": "2", "seeds": 0})
    with open_sweep(plan, tmp_path, jobs=1) as sweep:
        assert disk_of([], sweep.conditions).bytes == 0
