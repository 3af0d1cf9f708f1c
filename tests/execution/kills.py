"""Sweeps that are killed at random moments, again and again, and must end with the same files.

    python -m tests.execution.kills --kills 50

The program is imported once: each command is a process forked from this one, and its workers are forked from another
that has imported the program too. So a kill takes seconds, not minutes.
"""

import argparse
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace

MLPS = "--task sine --depths 2,4 --width 4 --train-size 100 --batch-size 50 --steps 1000 --eval-every 500"
CNNS = "--task digits --models plain-cnn,resnet --depths 8 --width 2 --train-size 40 --batch-size 20 --epochs 12"
SWEEPS = {"stacked MLPs": f"{MLPS} --engine stacked", "looped CNNs": f"{CNNS} --engine loop"}
ALWAYS = "--seeds 0,1 --threads 1 --checkpoint-every 0.05 --save-models --quiet"
VICTIMS = ("driver", "driver with workers", "worker")
ENDED = ("SIGINT", "SIGTERM", "SIGHUP")
"""Sent to all processes of the command, as a terminal does."""
RIVAL = "rival"
"""Not killed: another command for the same folder, started at a random moment."""
ALL = (*VICTIMS, *ENDED, RIVAL)
PATIENCE = 300.0
"""Seconds after which a process that should end counts as hanging."""
PRELOADED = ["resnet_cli.execution.executors.processes", "sklearn.datasets", "torch.optim"]


@dataclass
class Trial:
    """Commands that do one sweep, disturbed by one kind of signal at random moments.

    `killed` counts the moments that met a process; `commands` and `sweeps` what it took.
    """

    sweep: str
    victim: str
    place: Path
    moments: random.Random
    killed: int = 0
    commands: int = 0
    sweeps: int = 0
    horizon: float = 0.0
    """Seconds from the opening of the sweep to its end."""
    whole: dict[str, object] = field(default_factory=dict)

    @property
    def jobs(self) -> int:
        return 2 if self.victim in ("worker", "driver with workers") else 1

    @property
    def folder(self) -> Path:
        return self.place / f"sweep-{self.sweeps}"

    def run(self, wanted: int) -> None:
        """Kill so many times, finish the last sweep, and compare the files of every sweep that was finished."""
        self._finish(self.place / "undisturbed", measure=True)
        self.whole = files_of(self.place / "undisturbed")
        before = 0
        while self.killed < wanted:
            if self._disturb(wanted):
                before = self._compare(before)
        self._finish(self.folder)
        self._compare(before)

    def _finish(self, folder: Path, *, measure: bool = False) -> None:
        """The command, left alone; failed runs are tried again by the first, and done."""
        process, mark = self._start(folder)
        wait_for_opening(folder, process, mark)
        began = time.monotonic()
        code = ended(process)
        assert code == 0, f"{self.folder}: exit code {code}: {self._said()}"
        if measure:
            self.horizon = time.monotonic() - began

    def _disturb(self, wanted: int) -> bool:
        """Start the command and kill at random moments; returns whether it finished the sweep."""
        process, mark = self._start(self.folder)
        wait_for_opening(self.folder, process, mark)
        began, before, code = time.monotonic(), self.killed, None
        while code is None:
            until = time.monotonic() + self.moments.uniform(0, self.horizon * 0.8)
            while time.monotonic() < until and (code := poll(process)) is None:
                time.sleep(0.002)
            if code is None and self.killed < wanted:
                code = self._kill(process)
            if self.killed == wanted and code is None:
                code = ended(process)
        self._check(code)
        if self.killed == before:  # the machine may be less busy than before
            self.horizon = min(self.horizon, time.monotonic() - began)
        return code == 0

    def _kill(self, process: int) -> int | None:
        """Returns the exit code if the command ended by it."""
        if self.victim == RIVAL:
            other, _ = self._start(self.folder)
            code = ended(other)
            assert code == 0 or "is in use by another sweep; wait for it to end" in self._said(), self._said()
            self.killed += code == 2
            return None
        if self.victim == "worker":
            if workers := workers_now():
                os.kill(self.moments.choice(workers), signal.SIGKILL)
                self.killed += 1
            return None
        if self.victim in ENDED:
            os.killpg(process, signal.Signals[self.victim])
        else:
            os.kill(process, signal.SIGKILL)
        code = ended(process)
        self.killed += code != 0
        if self.victim in ENDED or self.moments.random() < 0.5:  # otherwise the next command meets what is left of it
            assert_no_worker_is_left()
        return code

    def _check(self, code: int) -> None:
        """The exit code and what was said fit the signal."""
        said = self._said()
        assert "Traceback" not in said, said
        if self.victim in ENDED and code:
            assert code == 128 + signal.Signals[self.victim], said
            assert said.count("\n") == 1, said
        elif self.victim == "worker":
            assert code in (0, 1), said
        else:
            assert code in (0, -signal.SIGKILL), (code, said)

    def _compare(self, before: int) -> int:
        assert files_of(self.folder) == self.whole, f"{self.folder} differs after {self.killed - before} kills"
        self.sweeps += 1
        return self.killed

    def _said(self) -> str:
        return (self.place / "said").read_text()

    def _start(self, folder: Path) -> tuple[int, int]:
        """A command in a group of processes of its own, and the mark of its folder before."""
        self.commands += 1
        mark = mark_of(folder)
        sys.stdout.flush()
        if self.jobs > 1:
            time.sleep(0.05)
            forkserver.ensure_running()  # it dies of a command that is killed while it asks for a worker
        if process := os.fork():
            return process, mark
        code = 70
        try:
            os.setsid()
            said = os.open(self.place / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(said, 1)
            os.dup2(said, 2)
            words = f"sweep {SWEEPS[self.sweep]} {ALWAYS} --jobs {self.jobs} --out".split()
            sys.argv = ["resnet-exp", *words, str(folder)]
            run_command()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 70
        finally:
            sys.stderr.flush()
            os._exit(code)

    def __str__(self) -> str:
        return (
            f"| {self.sweep} | {self.victim} | {self.killed} | {self.commands} | {self.sweeps} | "
            f"{self.sweeps} of {self.sweeps} |"
        )


def mark_of(folder: Path) -> int:
    """Changes when a command has opened the folder."""
    try:
        return (folder / "sweep.toml").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def wait_for_opening(folder: Path, process: int, mark: int) -> None:
    """Until the sweep's file is written anew: signals are answered, and training begins."""
    while mark_of(folder) == mark and not is_dead(process):
        time.sleep(0.002)


def is_dead(process: int) -> bool:
    """Whether a child has ended; it stays to be waited for."""
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process, options) is not None


def poll(process: int) -> int | None:
    """The exit code of a child, minus the signal that killed it; None while it runs."""
    found, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def ended(process: int) -> int:
    """The exit code of a child, when it has ended."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if (code := poll(process)) is not None:
            return code
        time.sleep(0.005)
    os.killpg(process, signal.SIGKILL)
    raise AssertionError(f"the command did not end within {PATIENCE:.0f} s")


def listed(columns: str) -> Iterator[list[str]]:
    """The processes of this machine, a list of words for each."""
    answer = subprocess.run(["ps", "-A", "-o", columns], capture_output=True, text=True, check=True)
    yield from (line.split() for line in answer.stdout.splitlines())


def workers_now() -> list[int]:
    """The worker processes that have not ended."""
    server = str(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]
    return [int(pid) for pid, parent, state in listed("pid=,ppid=,stat=") if parent == server and "Z" not in state]


def assert_no_worker_is_left() -> None:
    """They notice that their command has gone."""
    until = time.monotonic() + PATIENCE
    while left := workers_now():
        assert time.monotonic() < until, f"workers {left} are left"
        time.sleep(0.02)


def import_program() -> None:
    """Here, and in the process from which workers are forked."""
    multiprocessing.set_forkserver_preload(PRELOADED)
    for name in ("resnet_cli.cli.main", *PRELOADED, "resnet_cli.cli.live", "resnet_cli.store.reader"):
        import_module(name)
    forkserver.ensure_running()


def run_command() -> None:
    """The command in `sys.argv`, its workers forked."""
    from resnet_cli.__main__ import main
    from resnet_cli.execution.executors import processes

    vars(forkserver._forkserver)["ensure_running"] = lambda: None  # its parent sees to that
    context = multiprocessing.get_context("forkserver")
    vars(processes)["mp"] = SimpleNamespace(get_context=lambda method: context)
    main()


def files_of(folder: Path) -> dict[str, object]:
    """All files but what depends on the time."""
    from tests.execution.test_sweep import contents

    return contents(folder)


def main() -> None:
    """Do what the options say, and print a row of a table for each trial."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sweeps", default=",".join(SWEEPS))
    parser.add_argument("--victims", default="all", help=", ".join(ALL))
    options = parser.parse_args()
    import_program()
    memory = Path("/dev/shm")  # SIGKILL, unlike a power cut, leaves what was written but not yet on a disk
    began = time.monotonic()
    print("| nets | killed | kills | commands | sweeps | same files |\n|---|---|---|---|---|---|", flush=True)
    for sweep in options.sweeps.split(","):
        for victim in ALL if options.victims == "all" else options.victims.split(","):
            with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
                moments = random.Random(f"{options.seed} {sweep} {victim}")
                trial = Trial(sweep, victim, Path(place), moments)
                trial.run(options.kills)
                print(trial, flush=True)
    assert_no_worker_is_left()
    print(f"{time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
