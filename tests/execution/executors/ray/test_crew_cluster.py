"""Sweeps on a real Ray of three nodes with one CPU each, on this machine: a driver and a node are killed."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resnet_cli.execution.executors.ray.session import ENVIRONMENT
from resnet_cli.store.layout import CHECKPOINT_FILE
from tests.execution.test_sweep import contents

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="Ray has clusters of several nodes on Linux alone"),
]

CLUSTER = """
import sys
from ray.cluster_utils import Cluster

small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args=small | {"include_dashboard": False})
others = [cluster.add_node(**small, wait=False) for _ in range(2)]
cluster.wait_for_nodes()
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.remove_node(others.pop(), allow_graceful=False)
cluster.shutdown()
"""
"""Starts three nodes, says where they are, kills one for every line that comes, and ends when no more can come."""

PLUGIN = """
import os, time
from dataclasses import replace
from pathlib import Path
from torch import nn
from resnet_cli.models import mlp
from resnet_cli.settings.errors import UserError
from resnet_cli.tasks import sine

def load(run, data_dir):
    if "resnet-exp-plugins-" not in __file__ and "HAS_THE_DATA" not in os.environ:
        raise UserError("the data set is not here")
    return sine.TASK.load(run, data_dir)

def wait(net, inputs):
    net.passes += 1
    while net.passes > 40 and not Path(GATE).exists():
        time.sleep(0.01)

def build(*arguments):
    net = mlp.MODELS[0].build(*arguments)
    net.passes = 0
    net.register_forward_pre_hook(wait)
    return net

TASK = replace(sine.TASK, name="far-away", load=load)
MODELS = replace(mlp.MODELS[0], name="waiting-mlp", build=build, can_stack=False, role="other")
"""
"""Only nodes have the data, not the driver's copy of this file; and half-way every run waits for a file called GATE."""

SWEEP = """
task = "far-away"
models = "waiting-mlp"
plugins = ["waiting.py"]
depths = "2..5"
seeds = 0
steps = 60
eval_every = 20
width = 8
threads = 1
"""
TOKEN = {"RAY_AUTH_TOKEN": "a-token-that-only-these-tests-use"}
Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python process that ends with the test; Ray's files are in a folder of its own."""
    temporary = tempfile.mkdtemp(prefix="ray")  # pytest's own is too long for the names of Ray's sockets
    environment = os.environ | ENVIRONMENT | TOKEN | {"RAY_TMPDIR": temporary}
    started: list[Process] = []

    def begin(*arguments: object, **others: str) -> Process:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment | others,
        )
        started.append(process)
        return process

    yield begin
    for process in reversed(started):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=30)  # without more input the cluster ends by itself
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    shutil.rmtree(temporary, ignore_errors=True)


def test_a_killed_driver_and_a_killed_node_change_nothing(tmp_path: Path, start: Start) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    (tmp_path / "sweep.toml").write_text(SWEEP)
    (tmp_path / "waiting.py").write_text(PLUGIN.replace("GATE", repr(str(tmp_path / "gate"))))
    cluster = start("-c", CLUSTER)
    assert cluster.stdout is not None
    assert cluster.stdin is not None

    def sweep(folder: Path, *options: object, **environment: str) -> Process:
        command = ("-m", "resnet_cli", "sweep", "--config", tmp_path / "sweep.toml", "--out", folder)
        return start(*command, "--quiet", "--checkpoint-every", 0, *options, **environment)

    def wait_for_checkpoints(number: int, process: Process, since: float = 0.0) -> None:
        def written() -> Iterator[Path]:
            for path in (tmp_path / "ray").glob(f"runs/*/{CHECKPOINT_FILE}"):
                with contextlib.suppress(FileNotFoundError):  # its run is done
                    if path.stat().st_mtime >= since:
                        yield path

        while len([*written()]) < number and process.poll() is None:
            time.sleep(0.05)

    gate = tmp_path / "gate"
    gate.touch()
    local = sweep(tmp_path / "local", HAS_THE_DATA="1")
    address = cluster.stdout.readline().strip()
    assert (local.communicate(), local.returncode) == (("", ""), 0)
    expected = contents(tmp_path / "local")
    on_ray = ("--executor", "ray", "--address", address)

    gate.unlink()
    driver = sweep(tmp_path / "ray", *on_ray, "--jobs", 1)
    wait_for_checkpoints(1, driver)
    driver.kill()
    driver.communicate()

    restarted = time.time()
    driver = sweep(tmp_path / "ray", *on_ray)
    wait_for_checkpoints(3, driver, since=restarted)
    cluster.stdin.write("kill a node\n")
    cluster.stdin.flush()
    time.sleep(1)
    gate.touch()
    printed, complaint = driver.communicate()
    assert (printed, driver.returncode) == ("", 0)
    assert complaint.count(" was lost (") == complaint.count(" resumes from step ") == 1
    assert contents(tmp_path / "ray") == expected
