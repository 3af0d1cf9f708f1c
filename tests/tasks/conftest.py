import hashlib
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.run import Run
from resnet_cli.tasks import cifar10, transfer
from resnet_cli.tasks.archive import Archive
from resnet_cli.tasks.base import Task
from resnet_cli.tasks.cifar import make_task
from tests.tasks.archives import Member, Serve, pack, plain

RECORDS = 30  # in each file of the small CIFAR-10

TaskRun = Callable[..., Run]
Records = dict[str, npt.NDArray[np.uint8]]


@pytest.fixture
def task_run() -> TaskRun:
    """A run of a task with its defaults, some settings changed."""

    def make(task: str, **settings: Any) -> Run:
        (run,) = plan_sweep({"task": task, "models": "plain", "depths": 8, "seeds": 0}).runs
        return run.but(**settings)

    return make


def small(archive: Archive) -> Archive:
    """An archive of the same form with 30 images in each file."""
    return replace(archive, train=replace(archive.train, records=RECORDS), test=replace(archive.test, records=RECORDS))


def make_records(archive: Archive) -> Records:
    """Records for a small archive, (30, bytes) a file: classes of equal frequency, random pixels."""
    random = np.random.default_rng(0)
    made = {}
    for name in archive.files:
        content = random.integers(256, size=(RECORDS, archive.record_bytes), dtype=np.uint8)
        for column, classes in enumerate(archive.classes):
            content[:, column] = random.permutation(np.arange(RECORDS) % classes)
        made[name] = content
    return made


@pytest.fixture
def records() -> Records:
    """The records of a small CIFAR-10: every class three times in a file."""
    return make_records(cifar10.ARCHIVE)


@pytest.fixture
def small_task() -> Task:
    """CIFAR-10 with 30 images in each file."""
    return make_task(small(cifar10.ARCHIVE))


@pytest.fixture
def small_cifar(tmp_path: Path, records: Records) -> Path:
    """A data folder with the small CIFAR-10."""
    folder = tmp_path / "data" / cifar10.ARCHIVE.folder
    folder.mkdir(parents=True)
    for name, content in records.items():
        content.tofile(folder / name)
    return folder.parent


def fingerprint(records: Records, names: tuple[str, ...]) -> str:
    digests = [hashlib.sha256(bytes(record)).hexdigest() for name in names for record in records[name]]
    return f"{sum(int(digest, 16) for digest in digests) % 2**256:064x}"


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
    monkeypatch.setattr(transfer, "WAIT_SECONDS", 0)
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
