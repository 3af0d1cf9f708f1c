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

from resnet_cli.store.files import write_bytes
from resnet_cli.store.regular import open_regular

MAGIC = b"resnet-exp tensors "
TORCH_ARCHIVE = b"PK\x03\x04"
_HEADER_LENGTH = len(MAGIC) + 2 * hashlib.sha256().digest_size + 1


class DamagedFile(Exception):
    """The bytes of a file are not those that were written, or not those of tensors and plain values."""


def pack_tensors(content: Mapping[str, Any]) -> bytes:
    """Tensors and plain values as the bytes of a file."""
    file = io.BytesIO()
    file.write(bytes(_HEADER_LENGTH))
    torch.save(dict(content), file)
    with file.getbuffer() as whole:
        whole[:_HEADER_LENGTH] = _header(whole[_HEADER_LENGTH:])
    return file.getvalue()


def unpack_tensors(packed: bytes) -> dict[str, Any]:
    """What `pack_tensors` packed, on the CPU.

    Files of earlier versions are bare torch archives; they are read if the CRC-32 of every part of the archive matches.

    Raises:
        DamagedFile: the bytes are cut, were changed, or hold something else.
    """
    try:
        archive = _checked_archive(packed)
        with warnings.catch_warnings(action="ignore"):  # torch's warnings about files that are rejected anyway
            tensors = torch.load(archive, map_location="cpu", weights_only=True)
    except Exception:  # there is no list of what zipfile and torch raise where an archive holds something else
        raise DamagedFile from None
    if not isinstance(tensors, dict):
        raise DamagedFile
    return tensors


def write_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values to `path`, whole or not at all. Raises StorageError if that is impossible."""
    write_bytes(path, pack_tensors(content))


def read_tensors(path: Path) -> dict[str, Any]:
    """What `write_tensors` wrote, on the CPU. Raises DamagedFile, or OSError if the file cannot be read."""
    return unpack_tensors(read_packed(path))


def read_packed(path: Path) -> bytes:
    """The content of a file for `unpack_tensors`. Raises DamagedFile if memory has no room for it, or OSError."""
    with open_regular(path) as file:
        try:
            return file.read()
        except (MemoryError, OverflowError):  # no net of this size can be used here
            raise DamagedFile from None


def same_form(found: object, like: object) -> bool:
    """Whether two values agree in everything but numbers: types, keys of dictionaries, shapes and dtypes of tensors.

    What is found must have a value of its own in memory for each element: a few bytes can claim to be a large tensor.
    """
    if isinstance(like, Tensor):
        return (
            isinstance(found, Tensor)
            and (found.shape, found.dtype) == (like.shape, like.dtype)
            and found.layout == like.layout
            and not found.is_meta
            and _is_dense(found)
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


def _is_dense(tensor: Tensor) -> bool:
    """Whether no two elements of a tensor share their memory, and none of it lies idle between them."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and stride != expected:
            return False
        expected *= size
    return True


def _header(archive: memoryview) -> bytes:
    return MAGIC + hashlib.sha256(archive).hexdigest().encode() + b"\n"


def _checked_archive(content: bytes) -> io.BytesIO:
    """The torch archive in the content of a file, if its checksums fit.

    A bare archive is put together anew from its parts: their checksums do not cover the archive's own directory, which
    says where they are and how long.
    """
    if content.startswith(MAGIC):
        archive = memoryview(content)[_HEADER_LENGTH:]
        if content[:_HEADER_LENGTH] != _header(archive):
            raise DamagedFile
        return io.BytesIO(archive)
    if not content.startswith(TORCH_ARCHIVE):
        raise DamagedFile
    rebuilt = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as parts, zipfile.ZipFile(rebuilt, "w") as copy:
        if sum(part.file_size for part in parts.infolist()) > len(content):  # torch compresses nothing
            raise DamagedFile
        for part in parts.infolist():
            values = parts.read(part)  # raises BadZipFile if the CRC-32 does not fit
            copy.writestr(zipfile.ZipInfo(part.filename), values)  # by name it would take the time, from 1980 on
    rebuilt.seek(0)
    return rebuilt
