"""Memory that runs out in one run: it is failed with the reason, the others go on, the next sweep tries it again."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PLUGIN = """
import os, signal
from dataclasses import replace
import torch
from resnet_cli.models import mlp

def fill(make):
    blocks = []
    while True:
        blocks.append(make())

FAULTS = {
    "torch": lambda: fill(lambda: torch.empty(2**24)),
    "python": lambda: fill(lambda: bytes(2**26)),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "": lambda: None,
}

def build(run, input_shape, outputs):
    net = mlp.MODELS[0].build(run, input_shape, outputs)
    calls = []

    def exhaust(module, inputs):
        calls.append(module.training)
        if sum(calls) == 5:
            FAULTS[os.environ["FAULT"]]()

    if run.depth == 3:
        net.register_forward_pre_hook(exhaust)
    return net

MODELS = replace(mlp.MODELS[0], name="greedy-mlp", role="other", build=build)
"""
SCRIPT = """
import json, os, resource, sys
from pathlib import Path
from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.plan import plan_sweep
from tests.execution.test_sweep import contents

def do(fault, name, jobs=1):
    os.environ["FAULT"] = fault
    plan = plan_sweep({"plugins": "greedy.py", "models": "greedy-mlp", "task": "sine", "depths": "2..4", "seeds": 0,
                       "steps": 6, "eval_every": 3, "threads": 1, "engine": "loop"})
    with open_sweep(plan, Path(name), jobs=jobs, checkpoint_seconds=0) as sweep:
        results = sweep.execute(lambda event: None)
    return {stored.run.depth: [stored.status, stored.message] for stored in results.runs}

if __name__ == "__main__":
    do("", "whole")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**31, resource.getrlimit(resource.RLIMIT_AS)[1]))
    for fault, jobs in json.loads(sys.argv[1]):
        answer = {"fault": fault, "first": do(fault, fault, jobs), "again": do("", fault)}
        print(json.dumps(answer | {"same": contents(Path(fault)) == contents(Path("whole"))}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is that of Linux")
def test_a_run_without_memory_fails_alone_and_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text(PLUGIN)
    (tmp_path / "script.py").write_text(SCRIPT)
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    faults = [("torch", 1), ("python", 1), ("killed", 2)]
    done = subprocess.run(
        [sys.executable, "script.py", json.dumps(faults)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    answers: dict[str, dict[str, Any]] = {a["fault"]: a for a in map(json.loads, done.stdout.splitlines())}
    assert list(answers) == ["torch", "python", "killed"]
    for answer in answers.values():
        assert {depth: status for depth, (status, _) in answer["first"].items()} == {
            "2": "done",
            "3": "failed",
            "4": "done",
        }
        assert answer["again"] == {depth: ["done", ""] for depth in "234"}
        assert answer["same"]
    messages = {fault: answer["first"]["3"][1] for fault, answer in answers.items()}
    assert "can't allocate memory" in messages["torch"]
    assert messages["python"] == "MemoryError: the memory is exhausted"
    assert messages["killed"] == "its process was killed (SIGKILL), as the system does where memory runs out"
