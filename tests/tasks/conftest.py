from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from resnet_cli.settings.run import Run
from resnet_cli.tasks import cifar10, get_task
from resnet_cli.tasks.archive import Archive
from resnet_cli.tasks.base import Task
from resnet_cli.tasks.cifar import make_task

RECORDS = 30  # in each file of the small CIFAR-10

TaskRun = Callable[..., Run]
Records = dict[str, npt.NDArray[np.uint8]]


@pytest.fixture
def task_run() -> TaskRun:
    """A run of a task with its defaults, some settings changed."""

    def make(task: str, **settings: Any) -> Run:
        found = get_task(task)
        base = {"model": "plain", "depth": 8, "seed": 0, "batch_norm": False, "init": "default"}
        defaults = {**found.defaults, **found.family_defaults.get(found.families[0], {})}
        return Run(task=task, **{**base, **defaults, **settings})

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
