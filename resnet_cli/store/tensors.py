"""Tensors and plain values in one file, behind a SHA-256 of its bytes.

    resnet-exp tensors <64 hexadecimal digits>\\n<archive of torch.save>

Nothing is unpickled before the checksum has shown that the bytes are those that were written, and then only tensors and
plain values are.
"""

import hashlib
import io
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resnet_cli.store.files import atomic_file

MAGIC = b"resnet-exp tensors "
TORCH_ARCHIVE = b"PK\x03\x04"
_HEADER_LENGTH = len(MAGIC) + 2 * hashlib.sha256().digest_size + 1


class DamagedFile(Exception):
    """The bytes of a file are not those that were written, or not those of tensors and plain values."""


def write_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values to `path`, whole or not at all. Raises StorageError if that is impossible."""
    archive = io.BytesIO()
    torch.save(dict(content), archive)
    with atomic_file(path) as file:
        file.write(_header(archive.getbuffer()))
        file.write(archive.getbuffer())


def read_tensors(path: Path) -> dict[str, Any]:
    """What `write_tensors` wrote, on the CPU.

    Files of earlier versions are bare torch archives; they are read if the checksums inside the archive match.

    Raises:
        DamagedFile: the file is cut, was changed, or holds something else.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    if content.startswith(MAGIC):
        archive = memoryview(content)[_HEADER_LENGTH:]
        whole = content[:_HEADER_LENGTH] == _header(archive)
    else:
        archive = memoryview(content)
        whole = content.startswith(TORCH_ARCHIVE) and _is_whole_archive(content)
    if not whole:
        raise DamagedFile
    try:
        with warnings.catch_warnings(action="ignore"):  # torch's warnings about files that are rejected anyway
            tensors = torch.load(io.BytesIO(archive), map_location="cpu", weights_only=True)
    except Exception:  # there is no list of what torch raises where an archive holds something else
        raise DamagedFile from None
    if not isinstance(tensors, dict):
        raise DamagedFile
    return tensors


def same_form(found: object, like: object) -> bool:
    """Whether two values agree in everything but numbers: types, keys of dictionaries, shapes and dtypes of tensors."""
    if isinstance(like, Tensor):
        return (
            isinstance(found, Tensor)
            and (found.shape, found.dtype) == (like.shape, like.dtype)
            and found.layout == like.layout
        )
    if isinstance(like, dict):
        return (
            isinstance(found, dict)
            and found.keys() == like.keys()
            and all(same_form(found[key], value) for key, value in like.items())
        )
    if isinstance(like, list):
        return isinstance(found, list) and len(found) == len(like) and all(map(same_form, found, like))
    return type(found) is type(like)


def _header(archive: memoryview) -> bytes:
    return MAGIC + hashlib.sha256(archive).hexdigest().encode() + b"\n"


def _is_whole_archive(content: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError, RuntimeError):
        return False
