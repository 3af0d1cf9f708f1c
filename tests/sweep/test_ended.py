"""A sweep that is ended from outside: one sentence, no process left, finished work kept."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_cli.store.reader import load_results

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals between processes")

KEPT = "finished runs and checkpoints are kept, and the same command resumes from there.\n"
LONG = ["--task", "sine", "--depths", "2..5", "--seeds", "0", "--eval-every", "50", "--threads", "1"]
SLOW_IMPORTS = "import sys, time\nprint('here', flush=True)\ntime.sleep(30)\n"


def start(folder: Path, *options: str, environment: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    """A sweep in a group of its own, as a terminal gives it."""
    program = [sys.executable, "-m", "resnet_cli", "sweep", *LONG, "--out", str(folder), "--quiet", "--engine", "loop"]
    return subprocess.Popen(
        [*program, "--checkpoint-every", "0.01", "--jobs", "2", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | (environment or {}),
    )


def wait_until(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    while not condition() and process.poll() is None:
        time.sleep(0.01)


def processes_of(group: int) -> list[str]:
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if line.split()[0] == str(group) and "Z" not in line.split()[1]]


@pytest.mark.parametrize(
    ("name", "words"), [("SIGINT", "interrupted"), ("SIGTERM", "ended by SIGTERM"), ("SIGHUP", "ended by SIGHUP")]
)
def test_a_signal_keeps_finished_runs_and_leaves_no_process(tmp_path: Path, name: str, words: str) -> None:
    folder, number = tmp_path / "sine", signal.Signals[name]
    process = start(folder, "--steps", "100000", "--set", "depths=2,200")
    wait_until(lambda: [*folder.rglob("checkpoint.pt")], process)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (128 + number, "", f"resnet-exp: {words}; {KEPT}")
    assert processes_of(process.pid) == []
    assert load_results(folder).problems == []
    assert (folder / "summary.csv").exists()
    assert [*folder.rglob("checkpoint.pt")]
    assert load_results(folder).runs == []  # none failed because its worker was ended too


def test_finished_runs_are_kept_when_the_sweep_is_interrupted(tmp_path: Path) -> None:
    folder = tmp_path / "sine"
    process = start(folder, "--steps", "20000", "--set", "models=plain", "--jobs", "1")
    wait_until(lambda: [*folder.glob("runs/*/run.json")], process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("the sweep was over before it could be interrupted")
    assert (process.returncode, err) == (130, f"resnet-exp: interrupted; {KEPT}")
    assert {stored.status for stored in load_results(folder).runs} == {"done"}


def test_ctrl_c_while_workers_start_shows_no_traceback(tmp_path: Path) -> None:
    folder = tmp_path / "sine"
    process = start(folder, "--steps", "1000", "--jobs", "8", "--seeds", "0..3")
    wait_until((folder / "sweep.toml").exists, process)  # written just before workers start
    wait_until(lambda: len(processes_of(process.pid)) > 3, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, f"resnet-exp: interrupted; {KEPT}")
    assert processes_of(process.pid) == []


@pytest.mark.parametrize("module", ["typer", "torch"])
def test_ctrl_c_during_imports_shows_no_traceback(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text(SLOW_IMPORTS)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    process = start(tmp_path / "sine", environment={"PYTHONPATH": path})
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, f"resnet-exp: interrupted; {KEPT}")


def test_a_sweep_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("print('here', flush=True)\ninput()\nraise SystemExit(7)\n")
    program = (
        "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); from resnet_cli.__main__ import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "sweep", "--smoke"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGHUP)
    process.communicate("go\n", timeout=60)
    assert process.returncode == 7
