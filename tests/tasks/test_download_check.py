"""Whether the files are the official ones."""

import hashlib
import json
from pathlib import Path

import pytest

from resnet_cli.settings.errors import UserError
from resnet_cli.tasks import cifar10, download
from resnet_cli.tasks.archive import Archive
from tests.tasks.conftest import Records


def test_official_images_are_recognised_in_any_order(small_cifar: Path, archive: Archive, records: Records) -> None:
    folder = small_cifar / cifar10.ARCHIVE.folder
    first, second = records["data_batch_1.bin"].copy(), records["data_batch_2.bin"].copy()
    first[0], second[5] = second[5].copy(), first[0].copy()
    first[::-1].tofile(folder / "data_batch_1.bin")
    second.tofile(folder / "data_batch_2.bin")
    assert download.check(archive, small_cifar).verdict == "official images"


def test_a_training_image_among_the_test_images_is_noticed(
    small_cifar: Path, archive: Archive, records: Records
) -> None:
    folder = small_cifar / cifar10.ARCHIVE.folder
    train, test = records["data_batch_1.bin"].copy(), records["test_batch.bin"].copy()
    train[0], test[0] = test[0].copy(), train[0].copy()
    train.tofile(folder / "data_batch_1.bin")
    test.tofile(folder / "test_batch.bin")
    assert download.check(archive, small_cifar).verdict == "other images"


@pytest.mark.parametrize("place", [0, 1, 3072])
def test_one_changed_byte_is_noticed(tmp_path: Path, archive: Archive, records: Records, place: int) -> None:
    download.fetch(archive, tmp_path, progress=False)
    changed = records["data_batch_4.bin"].copy()
    changed[7, place] = (int(changed[7, place]) + 1) % 10
    changed.tofile(tmp_path / cifar10.ARCHIVE.folder / "data_batch_4.bin")
    report = download.check(archive, tmp_path)
    assert report.verdict == "other images"
    assert "NOT the official CIFAR-10" in str(report)


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"archive_md5": "x", "sha256": {}}', "\x00", "[" * 100_000])
def test_an_empty_record_is_ignored(small_cifar: Path, archive: Archive, record: str) -> None:
    (small_cifar / cifar10.ARCHIVE.folder / "fetched.json").write_text(record)
    assert download.check(archive, small_cifar).verdict == "official images"


def test_a_forged_record_does_not_hide_changed_labels(tmp_path: Path, archive: Archive, records: Records) -> None:
    download.fetch(archive, tmp_path, progress=False)
    path = tmp_path / cifar10.ARCHIVE.folder / "test_batch.bin"
    changed = records["test_batch.bin"].copy()
    changed[:, 0] = (changed[:, 0] + 1) % 10
    changed.tofile(path)
    forged = json.loads((path.parent / "fetched.json").read_text())
    forged["sha256"]["test_batch.bin"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (path.parent / "fetched.json").write_text(json.dumps(forged, indent=2) + "\n")
    assert download.check(archive, tmp_path).verdict == "other images"


def test_control_codes_of_a_path_are_not_printed(tmp_path: Path, archive: Archive, small_cifar: Path) -> None:
    folder = tmp_path / "\x9b31mred"
    with pytest.raises(UserError) as caught:
        download.check(archive, folder)
    assert str(caught.value).isprintable()
    (small_cifar / cifar10.ARCHIVE.folder).rename(folder)
    report = download.check(archive, folder)
    assert report.folder == folder
    assert str(report).isprintable()


def test_a_missing_file_cannot_be_checked(small_cifar: Path, archive: Archive) -> None:
    (small_cifar / cifar10.ARCHIVE.folder / "data_batch_5.bin").unlink()
    with pytest.raises(UserError, match=r"data_batch_5\.bin is missing"):
        download.check(archive, small_cifar)
