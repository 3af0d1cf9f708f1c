"""Archives that are damaged, and archives made to do harm."""

import contextlib
import gzip
import random
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from resnet_cli.tasks import cifar10, unpack
from resnet_cli.tasks.archive import Archive, Part
from resnet_cli.tasks.unpack import MOST_OF_ANOTHER, NotUnpacked
from tests.tasks.archives import Member, link, pack, plain

FOLDER = cifar10.ARCHIVE.folder
SMALL = replace(
    cifar10.ARCHIVE, train=Part(("train.bin",), records=2), test=Part(("test.bin",), records=1), others=("names.txt",)
)
TRAIN, TEST = bytes(range(256)) * 24 + b"ab", b"x" * SMALL.record_bytes
GOOD = [plain(f"{FOLDER}/train.bin", TRAIN), plain(f"{FOLDER}/test.bin", TEST), plain(f"{FOLDER}/names.txt", b"cat")]
SIZED = {"train.bin": TRAIN, "test.bin": TEST}


def unpacked(tmp_path: Path, content: bytes, archive: Archive = SMALL) -> dict[str, bytes]:
    """The files that come out of an archive; nothing else in `tmp_path` may change."""
    packed, folder = tmp_path / "packed", tmp_path / "inner" / "folder"
    packed.write_bytes(content)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        unpack.unpack(packed, folder, archive)
    finally:
        assert {path for path in tmp_path.rglob("*") if path.is_symlink()} == set()
        assert {path for path in tmp_path.rglob("*") if path.is_file()} <= {packed, *folder.iterdir()}
        assert packed.read_bytes() == content
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_files_that_are_known_come_out(tmp_path: Path) -> None:
    assert len(TRAIN) == 2 * SMALL.record_bytes
    found = unpacked(tmp_path, pack([*GOOD, plain(f"{FOLDER}/unknown.txt", b"?")]))
    assert found == {"train.bin": TRAIN, "test.bin": TEST, "names.txt": b"cat"}


def special(name: str, kind: bytes) -> Member:
    return link(name, "/etc/passwd", kind)


@pytest.mark.parametrize(
    "evil",
    [
        plain("../outside", b"evil"),
        plain("/outside", b"evil"),
        plain(f"{FOLDER}/../names.txt", b"evil"),
        plain(f"../{FOLDER}/names.txt", b"evil"),
        plain(f"{FOLDER}/inner/names.txt", b"evil"),
        plain(f"{FOLDER}\\names.txt", b"evil"),
        plain(f"{FOLDER}/" + "x" * 5000, b"evil"),
        *(special(f"{FOLDER}/names.txt", kind) for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE)),
        *(special(f"{FOLDER}/names.txt", kind) for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, b"?")),
        special(FOLDER, tarfile.SYMTYPE),
        plain(f"{FOLDER}/names.txt", bytes(MOST_OF_ANOTHER + 1)),
        plain(f"{FOLDER}/train.bin", TRAIN + b"x"),
        plain(f"{FOLDER}/train.bin", TRAIN[:-1]),
    ],
    ids=lambda member: f"{member[0].type!r} {member[0].name[-30:]}",
)
def test_harmful_members_are_passed_over(tmp_path: Path, evil: Member) -> None:
    for members in ([evil, *GOOD], [*GOOD, evil]):
        found = unpacked(tmp_path, pack(members))
        assert found == {"train.bin": TRAIN, "test.bin": TEST, "names.txt": b"cat"}


def test_a_sparse_file_is_passed_over(tmp_path: Path) -> None:
    info, _ = plain(f"{FOLDER}/test.bin", b"")
    info.pax_headers = {"GNU.sparse.size": str(2**40), "GNU.sparse.map": "0,0", "GNU.sparse.numblocks": "1"}
    assert unpacked(tmp_path, pack([(info, b"")])) == {}


@pytest.mark.parametrize("where", ["member", "header"])
def test_a_bomb_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setattr(unpack, "MEGABYTE", 1000)
    info, huge = tarfile.TarInfo("bomb"), 2_000_000
    if where == "member":
        content = pack([plain("bomb", bytes(huge)), *GOOD])
    else:
        info.pax_headers = {"comment": "x" * huge}
        content = pack([(info, b"")])
    assert len(content) < 20_000
    with pytest.raises(NotUnpacked, match="it holds more than 34,438 bytes"):
        unpacked(tmp_path, content)


def test_a_million_empty_members_are_not_counted(tmp_path: Path) -> None:
    with pytest.raises(NotUnpacked, match="more than 1,000 files"):
        unpacked(tmp_path, pack([plain(str(number), b"") for number in range(1100)]))


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8b", b"not an archive", gzip.compress(b"not a tar file" * 100)],
    ids=["empty", "two bytes", "text", "no tar"],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(NotUnpacked):
        unpacked(tmp_path, content)


def test_cut_and_damaged_archives_give_whole_files_or_a_reason(tmp_path: Path) -> None:
    whole, draw = pack(GOOD), random.Random(0)
    tar = gzip.decompress(whole)
    refused = 0
    for number in range(300):
        damaged = bytearray(tar if number % 3 == 0 else whole)
        damaged[draw.randrange(512 if number % 3 == 0 else len(whole))] ^= 1 << draw.randrange(8)
        content = {0: gzip.compress(damaged, 1), 1: bytes(damaged), 2: whole[: draw.randrange(len(whole))]}[number % 3]
        with contextlib.suppress(NotUnpacked):
            found = unpacked(tmp_path, content)
            assert all(len(found[name]) == len(own) for name, own in SIZED.items() if name in found)
            continue
        refused += 1
    assert refused > 100
