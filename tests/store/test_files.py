"""Files appear whole or not at all."""

import stat
from pathlib import Path

import pytest

from resnet_cli.store.files import atomic_file, remove_temporary_files, write_text


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


def test_the_file_is_not_there_before_the_end(tmp_path: Path) -> None:
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


def test_left_over_temporary_files_are_removed_and_others_kept(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".tmp-mine").write_text("not ours")
    (tmp_path / ".tmp-folder").mkdir()
    (tmp_path / ".tmp-123-metrics.csv").write_text("half")
    (tmp_path / "metrics.csv").write_text("whole")
    remove_temporary_files(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".tmp-folder", ".tmp-mine", "metrics.csv", "other"]
