"""Servers on this machine that do everything that a server should not."""

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from resnet_cli.tasks import transfer
from resnet_cli.tasks.transfer import ATTEMPTS, TransferError

CONTENT = random.Random(0).randbytes(200_000)
MOST = 300_000
CUT = 120_000  # more than a chunk

Answer = Callable[[BaseHTTPRequestHandler], None]
Serve = Callable[..., "Server"]


class Server:
    """Answers one request after another in the given ways, and any further one in the last of them."""

    def __init__(self, answers: tuple[Answer, ...]) -> None:
        self.asked: list[str] = []  # the header Range of each request
        ways = [*answers]

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:
                self.asked.append(handler.headers.get("Range", ""))
                (ways.pop(0) if len(ways) > 1 else ways[0])(handler)

            def log_message(handler, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/file"

    def stop(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.socket.close()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer, "WAIT_SECONDS", 0)
    monkeypatch.setattr(transfer, "STALL_SECONDS", 0.3)
    servers: list[Server] = []

    def start(*answers: Answer) -> Server:
        servers.append(Server(answers))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def send(status: int, content: bytes, **headers: object) -> Answer:
    """An answer with these headers beside those that its content needs."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        given = {"Content-Length": len(content)} | {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in given.items():
            if value is not None:
                handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


whole = send(200, CONTENT)
cut = send(200, CONTENT[:CUT], Content_Length=len(CONTENT))


def resumed(handler: BaseHTTPRequestHandler) -> None:
    """The rest from the byte that was asked for, or all of it."""
    found = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", "bytes=0-"))
    assert found is not None
    start = int(found[1])
    part = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    (send(206, CONTENT[start:], Content_Range=part) if start else whole)(handler)


def stall(handler: BaseHTTPRequestHandler) -> None:
    """Some bytes, then nothing."""
    cut(handler)
    handler.wfile.flush()
    time.sleep(1)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """No answer at all."""
    handler.close_connection = True


def fetch(server: Server, path: Path) -> bytes:
    transfer.transfer(server.url, path, most_bytes=MOST)
    return path.read_bytes()


def reached(asked: str) -> int:
    """The byte that a request began with."""
    return int(asked.removeprefix("bytes=").removesuffix("-") or 0)


def test_a_file_arrives_whole_with_one_request(serve: Serve, tmp_path: Path) -> None:
    server = serve(whole)
    assert fetch(server, tmp_path / "file") == CONTENT
    assert server.asked == [""]


@pytest.mark.parametrize("broken", [cut, stall])
def test_a_lost_connection_goes_on_where_it_was(serve: Serve, tmp_path: Path, broken: Answer) -> None:
    server = serve(broken, resumed)
    assert fetch(server, tmp_path / "file") == CONTENT
    assert len(server.asked) == 2
    assert 0 < reached(server.asked[1]) <= CUT


def test_a_server_without_ranges_sends_all_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(cut, whole)
    assert fetch(server, tmp_path / "file") == CONTENT
    assert len(server.asked) == 2


def test_a_server_that_breaks_off_further_each_time_is_asked_on(serve: Serve, tmp_path: Path) -> None:
    def some_more(handler: BaseHTTPRequestHandler) -> None:
        start = reached(handler.headers.get("Range", ""))
        if start + 40_000 > len(CONTENT):
            resumed(handler)
            return
        part = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        piece, left = CONTENT[start : start + 30_000], len(CONTENT) - start
        send(206 if start else 200, piece, Content_Length=left, Content_Range=part if start else None)(handler)

    server = serve(some_more)
    assert fetch(server, tmp_path / "file") == CONTENT
    assert len(server.asked) > ATTEMPTS
    assert [reached(asked) for asked in server.asked] == sorted({reached(asked) for asked in server.asked})


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_not_ready_is_asked_again(serve: Serve, tmp_path: Path, status: int) -> None:
    server = serve(send(status, b"later"), whole)
    assert fetch(server, tmp_path / "file") == CONTENT
    assert server.asked == ["", ""]


def test_a_range_that_a_server_does_not_have_is_given_up(serve: Serve, tmp_path: Path) -> None:
    server = serve(cut, send(416, b""), whole)
    assert fetch(server, tmp_path / "file") == CONTENT


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (cut, "bytes read"),
        (stall, "timed out"),
        (hang_up, ""),
        (send(500, b"oops"), "500 Internal Server Error"),
        (send(200, CONTENT, Content_Length="many"), ""),
    ],
)
def test_a_server_that_never_delivers_is_given_up(serve: Serve, tmp_path: Path, answer: Answer, reason: str) -> None:
    server = serve(answer)
    with pytest.raises(TransferError) as caught:
        fetch(server, tmp_path / "file")
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()
    assert 1 <= len(server.asked) <= ATTEMPTS + 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (send(404, b"gone"), "404 Not Found"),
        (send(403, b"no"), "403 Forbidden"),
        (send(200, bytes(MOST + 1)), "announces 300,001 bytes, and no more than 300,000 fit"),
        (send(200, bytes(MOST + 1), Content_Length=None), "sends more than the 300,000 bytes that fit"),
        (send(206, CONTENT, Content_Range="bytes 7-9/10"), "another part of the file"),
        (send(206, CONTENT, Content_Range="\x1b[2J"), "another part of the file"),
        (send(302, b"", Location="/file"), "redirects"),
        (send(302, b"", Location="file:///etc/hostname"), "No connection adapters"),
        (send(302, b"", Location="http://"), ""),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(serve: Serve, tmp_path: Path, answer: Answer, reason: str) -> None:
    server = serve(answer)
    with pytest.raises(TransferError) as caught:
        fetch(server, tmp_path / "file")
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(server.asked) <= transfer.MOST_REDIRECTS + 1
    assert (tmp_path / "file").stat().st_size <= MOST


def test_a_redirection_is_followed(serve: Serve, tmp_path: Path) -> None:
    server = serve(send(302, b"", Location="/elsewhere"), whole)
    assert fetch(server, tmp_path / "file") == CONTENT


def test_a_length_that_is_too_short_cuts_the_file(serve: Serve, tmp_path: Path) -> None:
    """Nobody but the checksum can tell."""
    assert fetch(serve(send(200, CONTENT, Content_Length=1000)), tmp_path / "file") == CONTENT[:1000]


def test_packed_files_are_not_unpacked_on_the_way(serve: Serve, tmp_path: Path) -> None:
    assert fetch(serve(send(200, CONTENT, Content_Encoding="gzip")), tmp_path / "file") == CONTENT
