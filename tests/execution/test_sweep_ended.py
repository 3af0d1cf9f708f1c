"""A sweep that is ended from outside: one sentence, no process left, finished work kept."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resnet_cli.store.reader import load_results

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals between processes"),
]

KEPT = "finished runs and checkpoints are kept, and the same command resumes from there.\n"
SWEEP = """
task = "sine"
models = "plain"
depths = "2,3"
seeds = 0
engine = "loop"
steps = 10_000_000
eval_every = 1_000_000
threads = 1
[[override]]
depths = 2
steps = 5
eval_every = 5
"""
"""A short run, and one that does not end."""

SLOW_IMPORT = "import time\nprint('here', flush=True)\ntime.sleep(30)\n"
Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the program in a group of its own, as a terminal does."""
    started: list[Process] = []

    def begin(*arguments: object, **environment: str) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-m", "resnet_cli", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | environment,
        )
        started.append(process)
        return process

    (tmp_path / "endless.toml").write_text(SWEEP)
    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def options(tmp_path: Path) -> list[object]:
    return ["--config", tmp_path / "endless.toml", "--out", tmp_path / "sine", "--quiet", "--checkpoint-every", 0.1]


def wait_until(condition: Callable[[], object], process: Process) -> None:
    while not condition() and process.poll() is None:
        time.sleep(0.01)


def processes_of(group: int) -> list[str]:
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if line.split()[0] == str(group) and "Z" not in line.split()[1]]


def assert_no_process_is_left(group: int) -> None:
    """The tracker of multiprocessing ends just after the program."""
    for _ in range(1000):
        if not (left := processes_of(group)):
            return
        time.sleep(0.01)
    raise AssertionError(left)


@pytest.mark.parametrize(
    ("name", "words", "jobs"),
    [
        ("SIGINT", "interrupted", 1),
        ("SIGTERM", "ended by SIGTERM", 2),
        ("SIGHUP", "ended by SIGHUP", 1),
    ],
)
def test_a_signal_keeps_finished_work_and_leaves_no_process(
    tmp_path: Path, start: Start, name: str, words: str, jobs: int
) -> None:
    folder, number = tmp_path / "sine", signal.Signals[name]
    process = start("sweep", *options(tmp_path), "--jobs", jobs)
    finished = 1 if jobs == 2 else 0  # alone, the endless run comes first
    wait_until(lambda: len([*folder.glob("runs/*/run.json")]) == finished and [*folder.rglob("*.pt")], process)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (128 + number, "", f"resnet-exp: {words}; {KEPT}")
    assert_no_process_is_left(process.pid)
    results = load_results(folder)
    assert [stored.status for stored in results.runs] == ["done"] * finished
    assert results.problems == []
    assert (folder / "summary.csv").exists()
    assert [path.name for path in folder.rglob("*.pt")] == ["checkpoint.pt"]


def test_ctrl_c_while_workers_start_shows_no_traceback(tmp_path: Path, start: Start) -> None:
    process = start("sweep", *options(tmp_path), "--seeds", "0..3", "--jobs", 8)
    wait_until(lambda: len(processes_of(process.pid)) > 3, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, f"resnet-exp: interrupted; {KEPT}")
    assert_no_process_is_left(process.pid)


@pytest.mark.parametrize("module", ["typer", "torch"])
def test_ctrl_c_during_imports_shows_no_traceback(tmp_path: Path, start: Start, module: str) -> None:
    (tmp_path / f"{module}.py").write_text(SLOW_IMPORT)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    process = start("sweep", *options(tmp_path), PYTHONPATH=path)
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


@pytest.mark.parametrize("lost_in", ["weakref.ref(thing, lambda reference: end())", "None"])
def test_a_signal_inside_a_destructor_is_not_lost(lost_in: str) -> None:
    """Python ignores exceptions there, so the exit must come again."""
    program = f"""
import signal, time, weakref
import resnet_cli.cli.main
from resnet_cli.__main__ import main

def end():
    signal.raise_signal(signal.SIGTERM)

class Thing:
    def __del__(self):
        if reference is None:
            end()

def run():
    global reference
    thing = Thing()
    reference = {lost_in}
    del thing
    print("in time", flush=True)
    time.sleep(60)
    print("too late")

resnet_cli.cli.main.run = run
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, f"resnet-exp: ended by SIGTERM; {KEPT}")
    assert "too late" not in done.stdout
