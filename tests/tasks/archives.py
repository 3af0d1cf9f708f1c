"""Archives like the official ones, to be served on this machine."""

import io
import tarfile
from collections.abc import Callable

from resnet_cli.tasks.archive import Archive

Member = tuple[tarfile.TarInfo, bytes]
Serve = Callable[..., Archive]


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
