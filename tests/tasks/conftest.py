from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from resnet_cli.settings.run import Run
from resnet_cli.tasks import cifar10, get_task

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


@pytest.fixture
def records() -> Records:
    """The records of a small CIFAR-10, (30, 3073) a file: every class three times, random pixels."""
    random = np.random.default_rng(0)
    made = {}
    for name in cifar10.TRAIN_FILES + cifar10.TEST_FILES:
        content = random.integers(256, size=(RECORDS, cifar10.RECORD_BYTES), dtype=np.uint8)
        content[:, 0] = random.permutation(np.arange(RECORDS) % 10)
        made[name] = content
    return made


@pytest.fixture
def small_cifar(tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with the small CIFAR-10, taken for whole."""
    monkeypatch.setattr(cifar10, "RECORDS_PER_FILE", RECORDS)
    folder = tmp_path / "data" / cifar10.FOLDER
    folder.mkdir(parents=True)
    for name, content in records.items():
        content.tofile(folder / name)
    return folder.parent
