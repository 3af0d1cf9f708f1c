"""A limit on the time of a command: how it ends, and that the same command goes on."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from resnet_cli.cli.budget import Budget
from resnet_cli.settings.errors import UserError
from resnet_cli.store.reader import load_results
from tests.cli.conftest import Command

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timer")

OVER = (
    "resnet-exp: --max-hours (={hours}) are over; finished runs and checkpoints are kept, "
    "and the same command resumes from there.\n"
)


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_budget_is_a_number_of_hours_above_zero(hours: float) -> None:
    with pytest.raises(UserError, match=r"max-hours \(=.*\) must be a number of hours above 0"):
        Budget(hours)


def import_something() -> None:
    try:
        time.sleep(30)
    except SystemExit:
        raise ImportError from None


def test_the_end_is_code_75_even_if_an_import_hides_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop, Budget(1e-6):
        import_something()
    assert stop.value.code == 75
    assert capsys.readouterr().err == OVER.format(hours="1e-06")


def test_within_the_budget_nothing_happens_and_no_timer_is_left() -> None:
    handler = signal.getsignal(signal.SIGALRM)
    budget = Budget(1)
    for _ in range(2):
        with budget:
            assert 3500 < signal.getitimer(signal.ITIMER_REAL)[0] <= 3600
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) is handler
    with Budget(None):
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


class Thing:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGALRM)
        time.sleep(0.01)


def lose_the_end() -> None:
    Thing()
    time.sleep(30)
    pytest.fail("too late")


def test_an_end_that_python_loses_in_a_destructor_comes_again(capsys: pytest.CaptureFixture[str]) -> None:
    hook = sys.unraisablehook
    with pytest.raises(SystemExit) as stop, Budget(1):
        lose_the_end()
    assert stop.value.code == 75
    assert capsys.readouterr().err == OVER.format(hours=1)
    assert sys.unraisablehook is hook


def end_after_a_checkpoint(folder: Path) -> None:
    """Let the timer of this process go off as soon as a run has a checkpoint."""
    while not [*folder.glob("runs/*/checkpoint.pt")]:
        time.sleep(0.005)
    os.kill(os.getpid(), signal.SIGALRM)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_sweep_stops_at_its_budget_and_resumes(command: Command, jobs: int) -> None:
    sweep = ["sweep", "--task", "sine", "--models", "plain", "--depths", "2,3", "--seeds", 0, "--engine", "loop"]
    sweep += ["--steps", 1000, "--eval-every", 500, "--threads", 1, "--checkpoint-every", 0.01, "--quiet"]
    assert command(*sweep, "--jobs", 1, "--out", "whole").code == 0
    threading.Thread(target=end_after_a_checkpoint, args=[Path("stopped")], daemon=True).start()
    stopped = command(*sweep, "--jobs", jobs, "--out", "stopped", "--max-hours", 10)
    assert stopped == (75, "", OVER.format(hours=10))
    assert [*Path("stopped").glob("runs/*/checkpoint.pt")]
    assert len(load_results("stopped").runs) < 2
    assert (Path("stopped") / "summary.csv").read_text().count("\n") == 1 + len(load_results("stopped").runs)
    assert multiprocessing.active_children() == []
    assert command(*sweep, "--jobs", 1, "--out", "stopped", "--max-hours", 10) == (0, "", "")
    assert Path("stopped/summary.csv").read_bytes() == Path("whole/summary.csv").read_bytes()
