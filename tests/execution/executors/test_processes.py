"""Several processes do what one does, and one that dies takes only its own unit with it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from resnet_cli.execution.executors.processes import assign_devices
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings import discovery
from resnet_cli.store.reader import load_results
from tests.execution.test_sweep import SMALL, do

PLUGIN = """
from dataclasses import replace
from resnet_cli.models import mlp
MODELS = replace(mlp.MODELS[0], name="somebody-elses-mlp", role="other")
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
def test_every_process_loads_the_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_plugins", {})
    (tmp_path / "elsewhere.py").write_text(PLUGIN)
    foreign = {"plugins": str(tmp_path / "elsewhere.py"), "models": "somebody-elses-mlp", "engine": "loop"}
    do(plan_sweep(SMALL | foreign), tmp_path / "sine", jobs=2)
    assert [stored.status for stored in load_results(tmp_path / "sine").runs] == ["done"] * 3


@pytest.mark.slow
def test_a_dying_worker_fails_only_its_run(tmp_path: Path) -> None:
    folder = tmp_path / "sine"
    script = tmp_path / "dying.py"
    script.write_text(
        "import os\n"
        "from pathlib import Path\n"
        "from resnet_cli.execution.executors import processes\n"
        "from resnet_cli.planning.plan import plan_sweep\n"
        "from resnet_cli.execution.sweep import open_sweep\n"
        "original = processes.run_unit\n"
        "def run_unit(unit, conditions, emit):\n"
        "    if unit.runs[0].depth == 3:\n"
        "        os._exit(7)\n"
        "    original(unit, conditions, emit)\n"
        "processes.run_unit = run_unit\n"
        "if __name__ == '__main__':\n"
        f"    plan = plan_sweep({SMALL | {'engine': 'loop'}!r})\n"
        f"    with open_sweep(plan, Path({str(folder)!r}), jobs=2) as sweep:\n"
        "        sweep.execute(lambda event: None)\n"
    )
    subprocess.run([sys.executable, str(script)], check=True)
    results = load_results(folder)
    assert results.summary().groupby("depth")["status"].unique().map(list).to_dict() == {
        2: ["done"],
        3: ["failed"],
        4: ["done"],
    }
    assert "exit code 7" in next(stored.message for stored in results.runs if stored.run.depth == 3)
