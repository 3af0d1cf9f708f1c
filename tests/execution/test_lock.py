"""Who may work in a folder at the same time."""

import contextlib
from pathlib import Path

import pytest

from resnet_cli.execution import lock
from resnet_cli.execution.lock import locked, turn_to_summarise
from resnet_cli.planning.plan import Shard
from resnet_cli.settings.errors import UserError


def enter(folder: Path, shard: Shard | None = None) -> contextlib.AbstractContextManager[None]:
    return locked(folder, shard, lambda others: None)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "START_SECONDS", 0.1)
    monkeypatch.setattr(lock, "SUMMARY_SECONDS", 0.1)


def test_shards_of_one_division_work_side_by_side(tmp_path: Path) -> None:
    told: list[bool] = []
    with locked(tmp_path, Shard(1, 3), told.append), locked(tmp_path, Shard(3, 3), told.append):
        pass
    assert told == [False, True]


@pytest.mark.parametrize(
    ("first", "second", "by"),
    [
        (None, None, "another sweep"),
        (None, Shard(1, 2), "another sweep"),
        (Shard(1, 2), None, "shard 1/2 of a sweep"),
        (Shard(1, 2), Shard(1, 2), "another process with shard 1/2"),
        (Shard(2, 2), Shard(1, 4), "shard 2/2, which divides its sweep differently"),
    ],
)
def test_who_is_in_the_way_is_named(tmp_path: Path, first: Shard | None, second: Shard | None, by: str) -> None:
    message = f"out (={tmp_path}) is in use by {by}; wait for it to end, or choose another folder with --out."
    with enter(tmp_path, first), pytest.raises(UserError) as refused, enter(tmp_path, second):
        pass
    assert str(refused.value) == message
    with enter(tmp_path, second):
        pass


def test_a_refused_start_leaves_no_lock(tmp_path: Path) -> None:
    def refuse(others: bool) -> None:
        raise UserError("no")

    for shard in (None, Shard(1, 2)):
        with pytest.raises(UserError, match="no"), locked(tmp_path, shard, refuse):
            pass
    with enter(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"], "free locks of shards are removed"


def test_a_summary_is_written_in_turn_but_nobody_waits_forever(tmp_path: Path) -> None:
    with turn_to_summarise(tmp_path, Shard(1, 2)), turn_to_summarise(tmp_path, Shard(2, 2)):
        pass
    with turn_to_summarise(tmp_path / "gone", Shard(1, 2)):
        pass
    assert not (tmp_path / "gone").exists()
