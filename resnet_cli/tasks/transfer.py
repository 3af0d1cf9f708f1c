"""One file from a web server that may stall, break off, lie about the length, or send something else.

A connection that is lost is made again, and goes on at the byte that it had reached if the server can do that. What the
bytes are is for the caller to check.
"""

import re
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING

from resnet_cli.settings.errors import shorten

if TYPE_CHECKING:
    import requests
    from rich.progress import Progress

ATTEMPTS = 3
"""How often in a row a server may bring nothing new."""
WAIT_SECONDS = 1.0
"""Before the second attempt; the wait before each further one is longer."""
STALL_SECONDS = 60.0
"""A server that sends nothing for so long has stalled."""
MOST_REDIRECTS = 5
CHUNK = 2**14
TRY_LATER = {408, 425, 429}
"""Besides 5xx, the answers of a server after which it is asked again."""


class TransferError(Exception):
    """A file could not be downloaded; the message is the reason on one line."""


class _Lost(Exception):
    """A connection broke off, or the server is not ready; another attempt may help."""


def transfer(url: str, path: Path, *, most_bytes: int, progress: bool = False) -> None:
    """Download a file to `path`, which must not be in use; after an error its content means nothing.

    Args:
        url: where the file is; redirections are followed.
        path: in a folder of one's own.
        most_bytes: nothing longer is downloaded.
        progress: whether stderr shows a bar.

    Raises:
        TransferError: the server cannot be reached, refuses, keeps breaking off, or sends too much.
        OSError: the file cannot be written.
    """
    import requests

    with ExitStack() as stack:
        session, file = stack.enter_context(requests.Session()), stack.enter_context(path.open("wb"))
        session.max_redirects = MOST_REDIRECTS
        bar = stack.enter_context(_bar()) if progress else None
        furthest = failures = 0
        while True:
            try:
                _receive(session, url, file, most_bytes, bar)
                return
            except _Lost as lost:
                failures = 1 if file.tell() > furthest else failures + 1
                furthest = max(furthest, file.tell())
                if failures == ATTEMPTS:
                    raise TransferError(str(lost)) from None
            time.sleep(WAIT_SECONDS * failures)


def _receive(session: "requests.Session", url: str, file: IO[bytes], most_bytes: int, bar: "Progress | None") -> None:
    """Append what is missing of a file, or write it anew if the server does not go on where it is told to."""
    import requests
    from urllib3.exceptions import HTTPError

    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={file.tell()}-"} if file.tell() else {})
    try:
        with session.get(url, headers=headers, stream=True, timeout=STALL_SECONDS) as response:
            _check_status(response)
            if not _continues(response, file.tell()):
                file.seek(0)
                file.truncate()
            announced = file.tell() + int(response.headers.get("Content-Length") or 0)
            if announced > most_bytes:
                raise TransferError(f"the server announces {announced:,} bytes, and no more than {most_bytes:,} fit")
            if bar is not None:
                bar.update(bar.task_ids[0], total=announced, completed=file.tell())
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                if file.tell() + len(chunk) > most_bytes:
                    raise TransferError(f"the server sends more than the {most_bytes:,} bytes that fit")
                file.write(chunk)
                if bar is not None:
                    bar.update(bar.task_ids[0], completed=file.tell())
    except (requests.ConnectionError, requests.Timeout, HTTPError) as error:
        raise _Lost(_reason(error)) from None
    except (requests.RequestException, ValueError) as error:
        raise TransferError(_reason(error)) from None


def _check_status(response: "requests.Response") -> None:
    status = response.status_code
    if status in (200, 206):
        return
    words = f"{status} {shorten(response.reason or '')}".strip()
    if status in TRY_LATER or status >= 500 or status == 416:  # 416: it has no such range, and is asked for all
        raise _Lost(words)
    raise TransferError(words)


def _continues(response: "requests.Response", start: int) -> bool:
    """Whether a server sends what comes after the first `start` bytes; not one that sends something else."""
    if response.status_code != 206:
        return False
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != start:
        raise TransferError("the server sends another part of the file than it was asked for")
    return True


def _bar() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), DownloadColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True))
    bar.add_task("", total=None)
    return bar


def _reason(error: Exception) -> str:
    """What went wrong, on one line and without the layers that HTTP libraries wrap around it."""
    cause = error
    while cause.args and isinstance(cause.args[0], Exception):
        cause = cause.args[0]
    cause = getattr(cause, "reason", cause)
    words = cause.args[0] if cause.args else cause
    return shorten(" ".join(str(words).split()) or type(error).__name__, 200)
