"""Several processes do what one does, and one that dies takes only its own unit with it."""

from pathlib import Path

import pytest
import torch

from resnet_cli.execution.executors.processes import assign_devices
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings import discovery
from resnet_cli.store.reader import load_results
from tests.execution.test_sweep import SMALL, do

PLUGIN = """
import multiprocessing
import os
from dataclasses import replace
from resnet_cli.models import mlp

def build(run, *others):
    if run.depth == 3 and multiprocessing.parent_process() is not None:
        os._exit(7)
    return mlp.MODELS[0].build(run, *others)

MODELS = replace(mlp.MODELS[0], name="deadly-mlp", role="other", build=build)
"""


@pytest.mark.parametrize(
    ("workers", "device", "gpus", "devices"),
    [
        (2, "cpu", 0, ["cpu", "cpu"]),
        (2, "cpu", 4, ["cpu", "cpu"]),
        (1, "cuda", 1, ["cuda"]),
        (2, "cuda", 1, ["cuda", "cuda"]),
        (4, "cuda", 4, ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]),
        (2, "cuda", 4, ["cuda:0", "cuda:1"]),
        (5, "cuda", 2, ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]),
        (2, "cuda:1", 4, ["cuda:1", "cuda:1"]),
    ],
)
def test_workers_take_the_gpus_in_turn(workers: int, device: str, gpus: int, devices: list[str]) -> None:
    assert assign_devices(workers, device, gpus) == devices


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_all_gpus_are_used(tmp_path: Path) -> None:
    gpus = torch.cuda.device_count()
    plan = plan_sweep(SMALL | {"depths": f"2..{gpus + 2}", "device": "cuda"})
    do(plan, tmp_path, runs_per_gpu=2)
    used = {stored.environment["device"] for stored in load_results(tmp_path).runs}
    assert used == ({f"cuda:{number}" for number in range(gpus)} if gpus > 1 else {"cuda"})


@pytest.mark.slow
def test_processes_load_the_plugins_and_one_that_dies_fails_only_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "_plugins", {})
    (tmp_path / "elsewhere.py").write_text(PLUGIN)
    foreign = {"plugins": str(tmp_path / "elsewhere.py"), "models": "deadly-mlp", "engine": "loop"}
    do(plan_sweep(SMALL | foreign), tmp_path / "sine", jobs=2)
    results = load_results(tmp_path / "sine")
    assert {stored.run.depth: stored.status for stored in results.runs} == {2: "done", 3: "failed", 4: "done"}
    assert "exit code 7" in next(stored.message for stored in results.runs if stored.run.depth == 3)
