"""The data of a run on its device, loaded once for all runs that have them in common."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from resnet_cli.settings.run import Run
from resnet_cli.tasks import get_task
from resnet_cli.tasks.data import Data
from resnet_cli.training.device import resolve_device
from resnet_cli.training.loop import DTYPES
from resnet_cli.training.settings import PRECISION


def data_key(run: Run) -> str:
    """A key shared by runs with the same data."""
    return str((run.task, run.that_affect("data")))


def load_data(run: Run, data_dir: Path | None, device: str) -> Data:
    """The data of a run, from a folder of data sets (see `resnet_cli.tasks`), on a device.

    Raises:
        UserError: there is no such device, or the data set is missing or corrupt.
    """
    return _load(_DataOf(data_key(run), run), data_dir, device)


@dataclass(frozen=True)
class _DataOf:
    """Stands for the data of a run; equal for all runs with the same data."""

    key: str
    run: Run = field(compare=False)


@lru_cache(maxsize=4)
def _load(wanted: _DataOf, data_dir: Path | None, device: str) -> Data:
    run = wanted.run
    return get_task(run.task).load(run, data_dir).to(resolve_device(device), DTYPES[run[PRECISION]])
