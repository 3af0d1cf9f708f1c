import errno
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from resnet_cli.settings.errors import UserError
from resnet_cli.tasks import cifar10, download
from resnet_cli.tasks.archive import Archive
from resnet_cli.tasks.base import Task
from tests.tasks.conftest import RECORDS, Records, TaskRun, small

Member = tuple[tarfile.TarInfo, bytes]
Serve = Callable[..., Archive]


def fingerprint(records: Records, names: tuple[str, ...]) -> str:
    digests = [hashlib.sha256(bytes(record)).hexdigest() for name in names for record in records[name]]
    return f"{sum(int(digest, 16) for digest in digests) % 2**256:064x}"


def plain(name: str, content: bytes) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def link(name: str, target: str, kind: bytes) -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def pack(members: list[Member]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def members(records: Records) -> list[Member]:
    """The small CIFAR-10, packed like the official archive."""
    folder = tarfile.TarInfo(cifar10.ARCHIVE.folder)
    folder.type = tarfile.DIRTYPE
    made = [(folder, b"")]
    made += [plain(f"{cifar10.ARCHIVE.folder}/{name}", content.tobytes()) for name, content in records.items()]
    made.append(plain(f"{cifar10.ARCHIVE.folder}/batches.meta.txt", b"airplane\n"))
    made.append(plain(f"{cifar10.ARCHIVE.folder}/readme.html", b"<html>"))
    return made


@pytest.fixture
def serve(records: Records, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Serve bytes over HTTP on this machine, as they are, cut short, or with an error status."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers = []

    def start(content: bytes, *, status: int = 200, sent: int | None = None) -> Archive:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[:sent])

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        known = small(cifar10.ARCHIVE)
        return replace(
            known,
            url=f"http://127.0.0.1:{server.server_port}/cifar-10-binary.tar.gz",
            md5=hashlib.md5(content).hexdigest(),
            train=replace(known.train, fingerprint=fingerprint(records, known.train.files)),
            test=replace(known.test, fingerprint=fingerprint(records, known.test.files)),
        )

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def archive(serve: Serve, members: list[Member]) -> Archive:
    return serve(pack(members))


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


def test_the_official_archive_has_the_published_checksum() -> None:
    assert cifar10.ARCHIVE.url == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    assert cifar10.ARCHIVE.md5 == "c32a1d4ab5d03f1284b67883e8d87530"
    assert cifar10.ARCHIVE.train.records == cifar10.ARCHIVE.test.records == 10_000
