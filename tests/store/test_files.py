"""Files appear whole or not at all."""

import errno
import os
import pickle
import stat
import time
from pathlib import Path

import pytest

from resnet_cli.settings.errors import StorageError
from resnet_cli.store.files import atomic_file, is_temporary, remove_temporary_files, set_aside, write_text


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail_half_way() -> None:
        with atomic_file(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_appears_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic_file(path) as file:
        file.write(b"text")
        assert not path.exists()
    assert path.read_bytes() == b"text"


def test_permissions_are_those_of_an_ordinary_new_file(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("")
    write_text(tmp_path / "ours", "")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ordinary", "ours")}
    assert len(modes) == 1


def test_only_our_temporary_files_are_removed(tmp_path: Path) -> None:
    ours = ".resnet-exp-ab_12xyz.tmp"
    kept = {".tmp-123-metrics.csv", ".resnet-exp-notes.tmp", ".resnet-exp-ab_12xyz.tmp.bak", "metrics.csv"}
    for name in {ours, *kept}:
        (tmp_path / name).write_text("")
    (tmp_path / ".resnet-exp-folder12.tmp").mkdir()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / ours).write_text("")
    remove_temporary_files(tmp_path, idle_seconds=0)
    assert {path.name for path in tmp_path.iterdir()} == {*kept, ".resnet-exp-folder12.tmp", "below"}
    assert (tmp_path / "below" / ours).exists()


def test_recent_temporary_files_are_kept(tmp_path: Path) -> None:
    old, new = tmp_path / ".resnet-exp-00000000.tmp", tmp_path / ".resnet-exp-11111111.tmp"
    for path in (old, new):
        path.write_text("")
    os.utime(old, (time.time() - 100, time.time() - 100))
    remove_temporary_files(tmp_path)
    assert list(tmp_path.iterdir()) == [new]


def test_temporary_files_of_killed_processes_are_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(path: Path, **options: object) -> None:
        raise SystemExit

    monkeypatch.setattr(Path, "unlink", kill)  # what a killed process does not come to
    with pytest.raises(SystemExit), atomic_file(tmp_path / "a.txt"):
        raise SystemExit
    monkeypatch.undo()
    (left,) = tmp_path.iterdir()
    assert is_temporary(left)
    remove_temporary_files(tmp_path, idle_seconds=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, "No space left on device; free some space there, then repeat"),
        (errno.EDQUOT, "free some of your quota there, then repeat"),
        (errno.EROFS, "Read-only file system; make that place writable, then repeat"),
        (errno.EIO, "Input/output error; check the disk or the network drive, then repeat"),
    ],
)
def test_a_full_disk_is_reported_with_path_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, fix: str
) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError) as caught:
        write_text(path, "new")
    assert str(caught.value).startswith(f"{path} cannot be written: ")
    assert f"{fix} the same command: finished work is kept." in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_last_of_several_files_set_aside_is_kept(tmp_path: Path) -> None:
    for text in ("one", "two"):
        write_text(tmp_path / "checkpoint.pt", text)
        assert set_aside(tmp_path / "checkpoint.pt") == tmp_path / "checkpoint.damaged"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.damaged"]
    assert (tmp_path / "checkpoint.damaged").read_text() == "two"
