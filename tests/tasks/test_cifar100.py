import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resnet_cli.settings.errors import UserError
from resnet_cli.tasks import cifar100, download
from resnet_cli.tasks.archive import Archive
from resnet_cli.tasks.cifar import make_task
from tests.tasks.conftest import RECORDS, Records, TaskRun, make_records, small


@pytest.fixture
def archive() -> Archive:
    return small(cifar100.ARCHIVE)


@pytest.fixture
def records() -> Records:
    return make_records(cifar100.ARCHIVE)


@pytest.fixture
def folder(tmp_path: Path, records: Records) -> Path:
    """The files of a small CIFAR-100, which nobody has fetched."""
    folder = tmp_path / cifar100.ARCHIVE.folder
    folder.mkdir()
    for name, content in records.items():
        content.tofile(folder / name)
    return folder


def fetch(archive: Archive, records: Records, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> download.Report:
    """Fetch an archive of some records as if it had been downloaded."""
    packed = data_dir / "packed.tar.gz"
    with tarfile.open(packed, "w:gz") as content:
        for name, record in records.items():
            info = tarfile.TarInfo(f"{archive.folder}/{name}")
            info.size = record.nbytes
            content.addfile(info, io.BytesIO(record.tobytes()))
    monkeypatch.setattr(download, "_download", lambda *_: packed)
    return download.fetch(replace(archive, md5=hashlib.md5(packed.read_bytes()).hexdigest()), data_dir, progress=False)


def test_the_fine_classes_and_images_match_the_files(
    archive: Archive, records: Records, folder: Path, task_run: TaskRun
) -> None:
    data = make_task(archive).load(task_run("cifar100"), folder.parent)
    assert np.array_equal(data.train_targets, records["train.bin"][:, 1])
    assert np.array_equal(data.train_inputs, records["train.bin"][:, 2:].reshape(-1, 3, 32, 32))
    assert np.array_equal(data.test_targets, records["test.bin"][:, 1])
    assert (data.outputs, data.input_shape, data.crop_padding) == (100, (3, 32, 32), 4)


@pytest.mark.parametrize(("column", "value", "limit"), [(0, 20, 19), (1, 100, 99)])
def test_a_class_that_does_not_exist_is_refused(
    archive: Archive, records: Records, folder: Path, column: int, value: int, limit: int
) -> None:
    records["test.bin"][4, column] = value
    records["test.bin"].tofile(folder / "test.bin")
    with pytest.raises(UserError, match=f"holds class {value} in record 5 where classes are 0 to {limit}"):
        archive.read(folder / "test.bin", RECORDS)


def test_files_that_nobody_fetched_are_called_unknown(archive: Archive, folder: Path) -> None:
    report = download.check(archive, folder.parent)
    assert report.verdict == "unknown images"
    assert "cannot be told" in str(report)


def test_fetched_files_are_official_until_a_byte_changes(
    archive: Archive, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = fetch(archive, records, tmp_path, monkeypatch)
    assert report.verdict == "official archive"
    assert download.check(report.archive, tmp_path).verdict == "official archive"
    with (report.folder / "train.bin").open("r+b") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))
    assert download.check(report.archive, tmp_path).verdict == "unknown images"


def test_an_archive_with_a_short_file_is_refused(
    archive: Archive, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"does not hold a whole cifar-100-binary/test\.bin.*not CIFAR-100's binary"):
        fetch(archive, records | {"test.bin": records["test.bin"][:-1]}, tmp_path, monkeypatch)
    assert not (tmp_path / archive.folder).exists()


def test_the_archive_is_the_published_one() -> None:
    assert cifar100.ARCHIVE.url == "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    assert cifar100.ARCHIVE.md5 == "03b5dce01913d631647c71ecec9e9cb8"
    assert (cifar100.ARCHIVE.train.records, cifar100.ARCHIVE.test.records) == (50_000, 10_000)
    assert cifar100.ARCHIVE.record_bytes == 3074
