"""How much disk space the files of a plan take, from what a run writes: rows of metrics, a record, saved tensors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from resnet_cli.models import describe_net
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.memory import optimizer_copies, size
from resnet_cli.planning.units import Unit, kind_of_net
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.layout import RUN_FILE, run_folder
from resnet_cli.store.record import RunRecord, metrics_text, write_run
from resnet_cli.tasks import get_task
from resnet_cli.training.device import environment
from resnet_cli.training.loop import DTYPES
from resnet_cli.training.schedule import length
from resnet_cli.training.settings import PRECISION

BLOCK = 4096
"""Bytes in which file systems count: the two small files of a run and its folder take one each."""

ROW = Metrics(1 / 31, 100, 0.001, 1 / 3, 1 / 3, None, None, 1 / 3)
CLASSIFICATION_ROW = ROW._replace(train_error=100 / 3, test_error=100 / 3)

OF_A_TENSOR, OF_AN_ARCHIVE = 280, 1500
"""Bytes of a saved tensor and of a file of them beside the numbers: a net of 82 tensors has 270 a tensor, one of 6
tensors 474."""

OF_A_SUMMARY_ROW = 250


@dataclass(frozen=True)
class Disk:
    """Bytes and files that finished runs add, and bytes of the checkpoints that are there while nets train."""

    bytes: int
    files: int
    while_training: int

    def __str__(self) -> str:
        more = f", and up to {size(self.while_training)} of checkpoints during training" if self.while_training else ""
        return f"about {size(self.bytes)} in {self.files:,} files{more}"


def disk_of(units: Sequence[Unit], conditions: Conditions) -> Disk:
    """What the runs that are left of some units will write."""
    runs = [run for unit in units for run in unit.unfinished]
    if not runs:
        return Disk(0, 0, 0)
    record = _record_bytes(runs[0])
    header = len(metrics_text([]))
    total = 0
    for run in runs:
        task = get_task(run.task)
        steps, interval, _ = length(run, task.examples(run)[0])
        row = len(metrics_text([CLASSIFICATION_ROW if task.is_classification else ROW])) - header
        total += BLOCK + _blocks(record) + _blocks(header + (-(-steps // interval) + 1) * row)
        if conditions.save_models:
            total += _blocks(_net_bytes(run))
    total += _blocks(OF_A_SUMMARY_ROW * len(runs))
    files = len(runs) * (3 if conditions.save_models else 2) + 1
    return Disk(total, files, _checkpoint_bytes(units, conditions))


def _blocks(count: int) -> int:
    return -(-count // BLOCK) * BLOCK


def _record_bytes(run: Run) -> int:
    with TemporaryDirectory() as folder:
        write_run(
            Path(folder),
            RunRecord(status="done", run=run, environment=environment(torch.device("cpu"), 1), history=[ROW]),
        )
        return (run_folder(Path(folder), run) / RUN_FILE).stat().st_size


def _net_bytes(run: Run, copies: int = 1) -> int:
    """The bytes of a file with a net's values, or with `copies` of them."""
    count, numbers = _tensors_of(_Kind(f"{run.depth} {kind_of_net(run)}", run))
    return OF_AN_ARCHIVE + copies * (numbers + OF_A_TENSOR * count)


@dataclass(frozen=True)
class _Kind:
    """Stands for the net of a run; equal for all runs with the same layers."""

    key: str
    run: Run = field(compare=False)


@lru_cache(maxsize=1000)
def _tensors_of(kind: _Kind) -> tuple[int, int]:
    """How many tensors a net's state has, and their bytes."""
    task = get_task(kind.run.task)
    net = describe_net(kind.run, task.input_shape(kind.run), task.outputs).to(DTYPES[kind.run[PRECISION]])
    tensors = net.state_dict().values()
    return len(tensors), sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _checkpoint_bytes(units: Iterable[Unit], conditions: Conditions) -> int:
    """Those of the largest units that train at the same time; each is written beside the one that it replaces."""
    copies = {optimizer: 1 + optimizer_copies(run) for optimizer, run in _by_update_rule(units).items()}
    found = sorted(
        (sum(_net_bytes(run, copies[run.that_affect("update rule")]) for run in unit.runs) for unit in units),
        reverse=True,
    )
    return 2 * sum(found[: conditions.workers])


def _by_update_rule(units: Iterable[Unit]) -> dict[object, Run]:
    return {run.that_affect("update rule"): run for unit in units for run in unit.runs}
