"""Results folders that vanish, are moved, copied or put together by hand, and clocks that go backwards."""

import os
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from resnet_cli.execution import unit
from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.errors import StorageError, UserError
from resnet_cli.settings.events import Evaluated, Event, Finished
from resnet_cli.store.reader import load_results
from tests.execution.test_sweep import SMALL, contents, do

LOST = {"loop": 1, "stacked": 2}
ONE_MODEL = SMALL | {"models": "plain", "threads": 1}


def finished(events: list[Event]) -> int:
    return sum(isinstance(event, Finished) for event in events)


@pytest.mark.parametrize("engine", ["loop", "stacked"])
@pytest.mark.parametrize("moment", [Evaluated, Finished])
def test_a_folder_that_vanishes_costs_its_runs_and_no_more(tmp_path: Path, engine: str, moment: type) -> None:
    plan, folder, whole = plan_sweep(ONE_MODEL | {"engine": engine}), tmp_path / "out", tmp_path / "whole"
    do(plan, whole)
    gone: list[Event] = []

    def vanish(event: Event) -> None:
        if isinstance(event, moment) and not gone:
            gone.append(event)
            shutil.rmtree(folder)

    with open_sweep(plan, folder, jobs=1, checkpoint_seconds=0) as sweep:
        if moment is Evaluated:
            sweep.execute(vanish)  # all files come later
        else:
            with pytest.raises(UserError, match=rf"{LOST[engine]} of 3 runs are not in out .* trains what is missing"):
                sweep.execute(vanish)
    assert all(stored.status == "done" for stored in load_results(folder).runs)
    do(plan, folder)
    assert contents(folder) == contents(whole)


def test_a_folder_that_vanishes_at_the_end_is_said_to_be_gone(tmp_path: Path) -> None:
    plan, folder = plan_sweep(ONE_MODEL), tmp_path / "out"
    left = len(plan.runs)

    def vanish(event: Event) -> None:
        nonlocal left
        left -= isinstance(event, Finished)
        if not left:
            shutil.rmtree(folder, ignore_errors=True)

    with open_sweep(plan, folder, jobs=1) as sweep, pytest.raises(UserError) as told:
        sweep.execute(vanish)
    assert str(told.value).startswith(f"3 of 3 runs are not in out (={folder}): it was moved")
    assert not folder.exists()


def test_ctrl_c_after_the_folder_vanished_is_still_ctrl_c(tmp_path: Path) -> None:
    def vanish(event: Event) -> None:
        shutil.rmtree(tmp_path / "out")
        raise KeyboardInterrupt

    with open_sweep(plan_sweep(ONE_MODEL), tmp_path / "out", jobs=1) as sweep, pytest.raises(KeyboardInterrupt):
        sweep.execute(vanish)


def test_a_file_in_the_place_of_the_folder_is_one_sentence(tmp_path: Path) -> None:
    def replace(event: Event) -> None:
        if (tmp_path / "out").is_dir():
            shutil.rmtree(tmp_path / "out")
            (tmp_path / "out").write_text("mine")

    with open_sweep(plan_sweep(ONE_MODEL), tmp_path / "out", jobs=1) as sweep, pytest.raises(StorageError) as told:
        sweep.execute(replace)
    assert "cannot be written: Not a directory; make that place writable" in str(told.value)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="nothing is read-only for this user")
def test_a_read_only_folder_is_named_and_unchanged(tmp_path: Path) -> None:
    plan = plan_sweep(ONE_MODEL)
    do(plan, tmp_path / "out")
    tmp_path.chmod(0o555)
    (tmp_path / "out").chmod(0o555)
    try:
        for name in ("out", "new"):
            with pytest.raises(UserError, match="cannot be written: Permission denied"):
                do(plan_sweep(ONE_MODEL | {"depths": 9}), tmp_path / name)
        assert len(load_results(tmp_path / "out").runs) == 3
    finally:
        tmp_path.chmod(0o755)
        (tmp_path / "out").chmod(0o755)


def interrupted(folder: Path, request: dict[str, Any]) -> None:
    """A sweep that was ended after its first evaluations, with a checkpoint."""
    seen = []

    def interrupt(event: Event) -> None:
        seen.append(event)
        if isinstance(event, Evaluated) and event.metrics.step == 6 and list(folder.rglob("*.pt")):
            raise KeyboardInterrupt

    with (
        open_sweep(plan_sweep(request), folder, jobs=1, checkpoint_seconds=0) as sweep,
        pytest.raises(KeyboardInterrupt),
    ):
        sweep.execute(interrupt)
    assert list(folder.rglob("*.pt"))


@pytest.mark.parametrize("engine", ["loop", "stacked"])
def test_a_folder_moved_or_copied_half_way_is_continued(tmp_path: Path, engine: str) -> None:
    request = ONE_MODEL | {"engine": engine, "steps": 9}
    folder, copied, moved = (tmp_path / name for name in ("out", "copied", "moved"))
    do(plan_sweep(request), tmp_path / "whole")
    interrupted(folder, request)
    shutil.copytree(folder, copied)
    folder.rename(moved)
    for place in (copied, moved):
        do(plan_sweep(request), place)
        assert contents(place) == contents(tmp_path / "whole")


def test_runs_put_together_by_hand_are_not_trained_again(tmp_path: Path) -> None:
    together, other, whole = (tmp_path / name for name in ("together", "other", "whole"))
    do(plan_sweep(ONE_MODEL | {"depths": "2,3"}), together)
    do(plan_sweep(ONE_MODEL | {"depths": "3,4"}), other)
    do(plan_sweep(ONE_MODEL), whole)
    shutil.copytree(other / "runs", together / "runs", dirs_exist_ok=True)
    assert finished(do(plan_sweep(ONE_MODEL), together)) == 0
    assert contents(together) == contents(whole)


def test_a_clock_set_back_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are dated in the future, then a run ends before it began."""
    plan = plan_sweep(ONE_MODEL)
    do(plan, tmp_path / "whole")
    folder = tmp_path / "out"
    do(plan_sweep(ONE_MODEL | {"depths": 2}), folder)
    leftover = next(folder.glob("runs/*")) / ".resnet-exp-abcdefgh.tmp"
    leftover.write_text("")
    tomorrow = time.time() + 86400
    for path in folder.rglob("*"):
        os.utime(path, (tomorrow, tomorrow))
    dates = iter(range(50, 0, -1))

    class Clock:
        @staticmethod
        def now(zone: object) -> datetime:
            return datetime(1971, 1, 1, 0, next(dates), tzinfo=UTC)

    monkeypatch.setattr(unit, "datetime", Clock)
    monkeypatch.setattr(time, "time", lambda: float(next(dates)))
    assert finished(do(plan, folder)) == 2
    assert contents(folder) == contents(tmp_path / "whole")
    assert load_results(folder).problems == []
    assert all(stored.seconds >= 0 for stored in load_results(folder).runs)
