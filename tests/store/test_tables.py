"""Tables of analyses: read as they were written, or called damaged."""

import contextlib
import gzip
import hashlib
import shutil
from pathlib import Path

import pandas as pd
import pytest

from resnet_cli.settings.errors import UserError
from resnet_cli.store.pack import pack_folder, unpack_folder
from resnet_cli.store.reader import load_results
from resnet_cli.store.tables import DamagedTable, checksum_file, read_table, write_table
from tests.conftest import MakeRun
from tests.store.damage import damages
from tests.store.records import store

FRAME = pd.DataFrame({"model": ["plain", "residual"], "loss": [0.25, 1e-9], "depth": [3, 40]})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "analysis" / "paths.csv"
    write_table(path, FRAME)
    return path


def is_whole_or_damaged(path: Path) -> None:
    with contextlib.suppress(DamagedTable, OSError):
        pd.testing.assert_frame_equal(read_table(path), FRAME)


def test_a_table_is_read_back_and_its_checksum_is_that_of_sha256sum(table: Path) -> None:
    pd.testing.assert_frame_equal(read_table(table), FRAME)
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    assert table.with_suffix(".sha256").read_text() == f"{digest}  paths.csv\n"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("of", ["table", "checksum"])
def test_no_cut_and_no_flipped_bit_changes_a_number(table: Path, compressed: bool, of: str) -> None:
    if compressed:
        table.with_name("paths.csv.gz").write_bytes(gzip.compress(table.read_bytes(), mtime=0))
        table.unlink()
        table = table.with_name("paths.csv.gz")
    path = table if of == "table" else checksum_file(table)
    for _, damaged in damages(path.read_bytes(), 200):
        path.write_bytes(damaged)
        is_whole_or_damaged(table)


def test_another_analysis_in_its_place_is_called_so(table: Path) -> None:
    write_table(table.with_name("remove.csv"), FRAME.assign(loss=0.5))
    shutil.copy(table.with_name("remove.csv"), table)
    with pytest.raises(DamagedTable, match=r"another table; repeat the analysis, or remove paths\.sha256 to use it as"):
        read_table(table)
    checksum_file(table).unlink()
    assert read_table(table)["loss"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,0.1", b"\xff\n"])
def test_a_table_without_a_checksum_is_called_damaged_where_that_shows(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "paths.csv").write_bytes(content)
    with pytest.raises(DamagedTable):
        read_table(tmp_path / "paths.csv")


def test_checksums_are_packed_and_unpacked_and_never_outlive_their_tables(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resnet_cli.store.pack.MOST_OF_TABLE", 10)
    folder, packed, again = (tmp_path / name for name in ("folder", "packed", "again"))
    store(folder, make_run())
    table = folder / "analysis" / "paths.csv"
    write_table(table, FRAME)
    pack_folder(load_results(folder), packed)
    pd.testing.assert_frame_equal(read_table(packed / "analysis" / "paths.csv.gz"), FRAME)
    unpack_folder(load_results(packed), again)
    pd.testing.assert_frame_equal(read_table(again / "analysis" / "paths.csv"), FRAME)
    assert checksum_file(again / "analysis" / "paths.csv").exists()
    table.write_text("a\n1\n")  # of an earlier version
    checksum_file(table).unlink()
    pack_folder(load_results(folder), packed)
    assert read_table(packed / "analysis" / "paths.csv")["a"].tolist() == [1]


@pytest.mark.parametrize("cut", [0, 1, 20])
def test_a_compressed_table_that_is_cut_is_not_unpacked(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr("resnet_cli.store.pack.MOST_OF_TABLE", 10)
    store(tmp_path / "folder", make_run())
    write_table(tmp_path / "folder" / "analysis" / "paths.csv", FRAME)
    pack_folder(load_results(tmp_path / "folder"), tmp_path / "packed")
    path = tmp_path / "packed" / "analysis" / "paths.csv.gz"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"paths\.csv\.gz cannot be unpacked \(.+\); restore or remove it\."):
        unpack_folder(load_results(tmp_path / "packed"), tmp_path / "again")
    assert not (tmp_path / "again").exists()
