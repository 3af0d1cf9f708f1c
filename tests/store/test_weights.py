import contextlib
import pickle
import random
import re
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_cli.analysis.trained_nets import read_net
from resnet_cli.models import build_net
from resnet_cli.settings.errors import UserError
from resnet_cli.store.layout import WEIGHTS_FILE, run_folder
from resnet_cli.store.ownership import forget_runs
from resnet_cli.store.weights import has_weights, read_weights, write_weights
from tests.conftest import MakeRun


class Trap:
    """Pickled, it writes a file when it is read by an unrestricted unpickler."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("sprung"),))


def test_weights_are_restored_to_the_bit(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(task="digits", models="resnet", depths=8, width=2)
    state = build_net(run, (1, 8, 8), 10).state_dict()
    assert not has_weights(tmp_path, run)
    write_weights(tmp_path, run, state)
    again = read_weights(tmp_path, run)
    assert has_weights(tmp_path, run)
    assert_same(again, state)


def test_missing_weights_are_explained_with_the_remedy(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"weights\.pt is missing.* repeat the sweep with --save-models"):
        read_weights(tmp_path, make_run())


@pytest.mark.parametrize("content", [b"", b"not a file of torch", pickle.dumps(Trap()), pickle.dumps({"format": 1})])
def test_truncated_and_foreign_files_are_rejected_and_never_executed(
    content: bytes, make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run()
    path = run_folder(tmp_path, run) / WEIGHTS_FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"weights\.pt is damaged or holds no saved net"):
        read_weights(tmp_path, run)
    assert not Path("sprung").exists()


def test_pickled_code_is_rejected_and_never_executed(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    path = run_folder(tmp_path, run) / WEIGHTS_FILE
    path.parent.mkdir(parents=True)
    torch.save({"format": 1, "run_id": run.run_id, "state": Trap()}, path)
    with pytest.raises(UserError, match="holds no saved net"):
        read_weights(tmp_path, run)
    assert not Path("sprung").exists()


def test_weights_truncated_anywhere_are_rejected(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(depths=2, width=2)
    write_weights(tmp_path, run, build_net(run, (1,), 1).state_dict())
    path = run_folder(tmp_path, run) / WEIGHTS_FILE
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, len(whole) // 20):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="holds no saved net"):
            read_weights(tmp_path, run)


def damage(whole: bytes, draw: random.Random) -> bytes:
    """`whole` with a bit turned over somewhere."""
    damaged = bytearray(whole)
    damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def test_weights_with_any_flipped_bit_are_rejected(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(depths=2, width=2)
    write_weights(tmp_path, run, build_net(run, (1,), 1).state_dict())
    path = run_folder(tmp_path, run) / WEIGHTS_FILE
    whole, draw = path.read_bytes(), random.Random(0)
    for _ in range(300):
        path.write_bytes(damage(whole, draw))
        with pytest.raises(UserError, match=r"is damaged or holds no saved net; repeat the sweep with --save-models\."):
            read_weights(tmp_path, run)


def test_damaged_weights_of_earlier_versions_are_never_accepted(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(depths=2, width=2)
    state = build_net(run, (1,), 1).state_dict()
    path = run_folder(tmp_path, run) / WEIGHTS_FILE
    path.parent.mkdir(parents=True)
    torch.save({"format": 1, "run_id": run.run_id, "state": dict(state)}, path)  # as they wrote it
    whole, draw = path.read_bytes(), random.Random(0)
    assert_same(read_weights(tmp_path, run), state)
    refused = 0
    for _ in range(300):
        path.write_bytes(damage(whole, draw))
        try:
            assert_same(read_weights(tmp_path, run), state)
        except UserError:
            refused += 1
    assert refused > 30


def test_weights_of_earlier_versions_are_read_where_the_clock_was_reset(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive cannot hold the times before 1980."""
    run = make_run(depths=2, width=2)
    state = build_net(run, (1,), 1).state_dict()
    path = run_folder(tmp_path, run) / WEIGHTS_FILE
    path.parent.mkdir(parents=True)
    torch.save({"format": 1, "run_id": run.run_id, "state": dict(state)}, path)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert_same(read_weights(tmp_path, run), state)


def test_damaged_directory_of_an_archive_never_yields_other_weights(make_run: MakeRun, tmp_path: Path) -> None:
    """Torch follows the sizes there, which no checksum covers."""
    run = make_run(depths=2, width=2)
    state = build_net(run, (1,), 1).state_dict()
    path = run_folder(tmp_path, run) / WEIGHTS_FILE
    path.parent.mkdir(parents=True)
    torch.save({"format": 1, "run_id": run.run_id, "state": dict(state)}, path)
    whole = path.read_bytes()
    entries = [match.start() for match in re.finditer(rb"PK\x01\x02", whole)]
    method, packed_size, size = 10, 20, 24  # where they are in an entry
    accepted = 0
    for place in [entry + offset for entry in entries for offset in (method, packed_size, size)]:
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            with contextlib.suppress(UserError):
                assert_same(read_weights(tmp_path, run), state)
                accepted += 1
    assert accepted > 0


def test_an_archive_that_would_fill_the_memory_is_rejected(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    path = run_folder(tmp_path, run) / WEIGHTS_FILE
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(10_000_000))
    tracemalloc.start()
    with pytest.raises(UserError, match="holds no saved net"):
        read_weights(tmp_path, run)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor.to("meta"),
        lambda tensor: torch.zeros(1).expand(tensor.shape) if tensor.numel() > 1 else None,
        lambda tensor: tensor.to_sparse(),
        lambda tensor: tensor.double(),
        lambda tensor: tensor.to(torch.complex64),
        lambda tensor: torch.zeros(*tensor.shape, 1),
        lambda tensor: "text",
        lambda tensor: None,
    ],
)
def test_a_net_of_another_form_is_refused_though_its_checksum_fits(
    make_run: MakeRun, tmp_path: Path, change: Callable[[torch.Tensor], Any]
) -> None:
    run = make_run(depths=3, width=3)
    state = build_net(run, (1,), 1).state_dict()
    for name in state:
        write_weights(tmp_path, run, {**state, name: change(state[name])})
        with pytest.raises(UserError, match=r"does not fit this version's plain-mlp; repeat the sweep with --save-mod"):
            read_net(tmp_path, run, (1,), 1)
    write_weights(tmp_path, run, {**state, 7: torch.zeros(1)})  # type: ignore[dict-item]
    with pytest.raises(UserError, match="does not fit"):
        read_net(tmp_path, run, (1,), 1)


def assert_same(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_weights_of_newer_versions_or_other_runs_are_rejected(make_run: MakeRun, tmp_path: Path) -> None:
    run, other = make_run(), make_run(seeds=1)
    path = run_folder(tmp_path, run) / WEIGHTS_FILE
    path.parent.mkdir(parents=True)
    torch.save({"format": 99, "run_id": run.run_id, "state": {}}, path)
    with pytest.raises(UserError, match="has format version 99, newer than"):
        read_weights(tmp_path, run)
    torch.save({"format": 1, "run_id": other.run_id, "state": {}}, path)
    with pytest.raises(UserError, match=f"holds the net of {other.run_id}"):
        read_weights(tmp_path, run)


@pytest.mark.parametrize("state", [None, [1], "text"])
def test_a_file_without_a_state_dict_is_rejected(state: object, make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    path = run_folder(tmp_path, run) / WEIGHTS_FILE
    path.parent.mkdir(parents=True)
    torch.save({"format": 1, "run_id": run.run_id, "state": state}, path)
    with pytest.raises(UserError, match="holds no saved net"):
        read_weights(tmp_path, run)


def test_orphaned_weights_are_removed_with_the_runs(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    write_weights(tmp_path, run, {"weight": torch.ones(1)})
    forget_runs(tmp_path)
    assert not has_weights(tmp_path, run)
