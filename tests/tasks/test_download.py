import errno
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from resnet_cli.settings.errors import UserError
from resnet_cli.tasks import cifar10, download
from resnet_cli.tasks.archive import Archive
from resnet_cli.tasks.base import Task
from tests.tasks.archives import Member, Serve, link, pack, plain
from tests.tasks.conftest import RECORDS, Records, TaskRun


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_fetched_files_are_whole_recorded_and_verified(tmp_path: Path, archive: Archive, records: Records) -> None:
    report = download.fetch(archive, tmp_path / "new" / "data", progress=False)
    folder = tmp_path / "new" / "data" / cifar10.ARCHIVE.folder
    assert report == download.Report(archive, folder, "official archive")
    assert files_below(tmp_path) == sorted(
        f"new/data/{cifar10.ARCHIVE.folder}/{name}" for name in (*records, "batches.meta.txt", "fetched.json")
    )
    assert all((folder / name).read_bytes() == content.tobytes() for name, content in records.items())
    record = json.loads((folder / "fetched.json").read_text())
    assert record["source"] == archive.url
    assert record["archive_md5"] == archive.md5
    assert record["sha256"]["test_batch.bin"] == hashlib.sha256(records["test_batch.bin"].tobytes()).hexdigest()
    assert download.check(archive, tmp_path / "new" / "data") == report


def test_fetched_files_load(tmp_path: Path, archive: Archive, task_run: TaskRun, small_task: Task) -> None:
    download.fetch(archive, tmp_path, progress=False)
    assert len(small_task.load(task_run("cifar10"), tmp_path).train_inputs) == 5 * RECORDS


def test_the_progress_bar_goes_to_stderr(tmp_path: Path, archive: Archive, capfd: pytest.CaptureFixture[str]) -> None:
    download.fetch(archive, tmp_path, progress=True)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "100%" in captured.err


def test_existing_official_images_are_not_fetched_again(small_cifar: Path, archive: Archive) -> None:
    nowhere = replace(archive, url="http://127.0.0.1:1/")
    assert download.fetch(nowhere, small_cifar, progress=False).verdict == "official images"


def test_other_images_are_not_overwritten(small_cifar: Path, archive: Archive) -> None:
    path = small_cifar / cifar10.ARCHIVE.folder / "test_batch.bin"
    path.write_bytes(bytes(RECORDS * cifar10.ARCHIVE.record_bytes))
    with pytest.raises(UserError, match=r"not the official CIFAR-10.*not overwritten; move them away"):
        download.fetch(archive, small_cifar, progress=False)
    assert not any(path.read_bytes())


@pytest.mark.parametrize("inside", ["", cifar10.ARCHIVE.folder])
def test_only_a_broken_file_is_replaced(small_cifar: Path, archive: Archive, inside: str) -> None:
    folder = small_cifar / cifar10.ARCHIVE.folder
    (folder / "data_batch_2.bin").write_bytes(b"cut")
    (folder / "notes.txt").write_text("mine")
    report = download.fetch(archive, small_cifar / inside, progress=False)
    assert report == download.Report(archive, folder, "official archive")
    assert download.check(archive, small_cifar) == report
    assert (folder / "notes.txt").read_text() == "mine"
    assert not list(small_cifar.rglob(".fetch-*"))


def test_a_wrong_checksum_is_rejected_and_leaves_nothing(tmp_path: Path, archive: Archive) -> None:
    wrong = replace(archive, md5="0" * 32)
    with pytest.raises(UserError, match=f"MD5 is not {'0' * 32}.*nothing was unpacked; try again"):
        download.fetch(wrong, tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_download_is_rejected_and_leaves_nothing(
    tmp_path: Path, serve: Serve, members: list[Member]
) -> None:
    archive = serve(pack(members), sent=5000)
    with pytest.raises(UserError, match=r"cannot be downloaded \(.*5000 bytes read"):
        download.fetch(archive, tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


def test_an_http_error_is_reported_and_leaves_nothing(tmp_path: Path, serve: Serve) -> None:
    archive = serve(b"gone", status=404)
    with pytest.raises(UserError, match=r"cannot be downloaded \(404 .*check the network and try again"):
        download.fetch(archive, tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


def test_a_refused_connection_is_explained_in_one_sentence(tmp_path: Path, archive: Archive) -> None:
    nobody = replace(archive, url="http://127.0.0.1:1/cifar.tar.gz")
    with pytest.raises(UserError) as caught:
        download.fetch(nobody, tmp_path, progress=False)
    assert "refused" in str(caught.value)  # the system's own words
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(UserError, match="No space left on device; about 400 MB are needed"):
        download.fetch(archive, tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path, archive: Archive) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be stored in .*file.cifar-10-batches-bin \(.*--data-dir"):
        download.fetch(archive, tmp_path / "file", progress=False)


def test_an_interrupt_leaves_nothing(tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfileobj", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download.fetch(archive, tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


KILLED = """
import os, shutil, sys
from dataclasses import replace
from pathlib import Path
from resnet_cli.tasks import download
from resnet_cli.tasks.cifar10 import ARCHIVE
shutil.copyfileobj = lambda *_: (print("unpacking", flush=True), sys.stdin.read(), os._exit(9))
url, md5, folder = sys.argv[1:]
download.fetch(replace(ARCHIVE, url=url, md5=md5), Path(folder), progress=False)
"""


@pytest.mark.slow
def test_the_next_fetch_removes_what_a_killed_one_left(tmp_path: Path, archive: Archive) -> None:
    somebodys = tmp_path / ".fetch-mine" / "NOTE.txt"
    somebodys.parent.mkdir()
    somebodys.write_text("my fetch, keep it")
    arguments = [archive.url, archive.md5, str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "unpacking\n"
    (other,) = set(tmp_path.iterdir()) - {somebodys.parent}
    download._remove_leftovers(tmp_path)
    assert other.exists(), "its process is at work"
    process.communicate()
    assert process.returncode == 9
    download.fetch(archive, tmp_path, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".fetch-mine", cifar10.ARCHIVE.folder]
    assert [path.name for path in somebodys.parent.iterdir()] == ["NOTE.txt"]


def test_names_in_the_archive_are_never_used_as_paths(tmp_path: Path, serve: Serve, members: list[Member]) -> None:
    target = tmp_path / "outside.bin"
    evil = [
        plain("../test_batch.bin", b"evil"),
        plain(f"{cifar10.ARCHIVE.folder}/../../outside.bin", b"evil"),
        plain(str(target), b"evil"),
        plain(f"{cifar10.ARCHIVE.folder}/deeper/test_batch.bin", b"evil"),
        link(f"{cifar10.ARCHIVE.folder}/batches.meta.txt", str(target), tarfile.SYMTYPE),
    ]
    archive = serve(pack([*evil, *members[:-2]]))
    download.fetch(archive, tmp_path / "data", progress=False)
    expected = [f"data/{cifar10.ARCHIVE.folder}/{name}" for name in (*cifar10.ARCHIVE.files, "fetched.json")]
    assert files_below(tmp_path) == sorted(expected)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_in_place_of_a_file_is_rejected(
    tmp_path: Path, serve: Serve, members: list[Member], kind: bytes
) -> None:
    name = f"{cifar10.ARCHIVE.folder}/test_batch.bin"
    kept = [member for member in members if member[0].name != name]
    archive = serve(pack([*kept, link(name, f"{cifar10.ARCHIVE.folder}/data_batch_1.bin", kind)]))
    with pytest.raises(UserError, match=r"does not hold a whole cifar-10-batches-bin/test_batch\.bin"):
        download.fetch(archive, tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


def test_the_official_archive_has_the_published_checksum() -> None:
    assert cifar10.ARCHIVE.url == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    assert cifar10.ARCHIVE.md5 == "c32a1d4ab5d03f1284b67883e8d87530"
    assert cifar10.ARCHIVE.train.records == cifar10.ARCHIVE.test.records == 10_000
