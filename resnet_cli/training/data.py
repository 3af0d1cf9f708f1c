"""The data of a run on its device, loaded once for all runs that have them in common."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from resnet_cli.settings.run import TASK_SETTINGS, Run
from resnet_cli.tasks import get_task
from resnet_cli.tasks.base import Data
from resnet_cli.training.device import resolve_device
from resnet_cli.training.loop import DTYPES

_DECIDING = ("task", "precision", *TASK_SETTINGS)


def data_key(run: Run) -> str:
    """A key shared by runs with the same data; runs sorted by it load each data set once."""
    return str([run[name] for name in _DECIDING])


def load_data(run: Run, data_dir: Path | None, device: str) -> Data:
    """The data of a run, from a folder of data sets (see `resnet_cli.tasks`), on a device.

    Raises:
        UserError: there is no such device, or the data set is missing or corrupt.
    """
    deciding: dict[str, Any] = {name: run[name] if name in _DECIDING else None for name in Run.model_fields}
    return _load(Run.model_construct(None, **deciding), data_dir, device)


@lru_cache(maxsize=4)
def _load(run: Run, data_dir: Path | None, device: str) -> Data:
    return get_task(run.task).load(run, data_dir).to(resolve_device(device), DTYPES[run.precision])
