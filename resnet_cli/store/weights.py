"""The final values of a net on disk: a state dict, with a checksum over its bytes."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.format import FORMAT, check_format
from resnet_cli.settings.run import Run
from resnet_cli.store.layout import WEIGHTS_FILE, run_folder
from resnet_cli.store.tensors import DamagedFile, read_tensors, write_tensors


class UnusableWeights(UserError):
    """A file does not hold the saved net of its run."""


def write_weights(folder: Path, run: Run, state: Mapping[str, Tensor]) -> None:
    """Write the state dict of a run's net into the results folder `folder`. Raises StorageError if it cannot."""
    path = run_folder(folder, run) / WEIGHTS_FILE
    write_tensors(path, {"format": FORMAT, "run_id": run.run_id, "state": dict(state)})


def has_weights(folder: Path, run: Run) -> bool:
    """Whether the net of a run has been saved."""
    return (run_folder(folder, run) / WEIGHTS_FILE).is_file()


def read_weights(folder: Path, run: Run) -> dict[str, Tensor]:
    """The state dict of a run's net, on the CPU. Nothing but tensors and plain values is ever unpickled.

    The file's bytes must fit its SHA-256. Those of earlier versions have none: they are read if the CRC-32 of each
    part of torch's archive fits.

    Raises:
        UserError: it was not saved, cannot be read, is damaged, is another run's, or is of a newer version of the
            program.
    """
    path, fix = run_folder(folder, run) / WEIGHTS_FILE, "repeat the sweep with --save-models."
    try:
        content = read_tensors(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing, so {run.run_id} has no saved net; {fix}") from None
    except OSError as error:
        raise UnusableWeights(f"{path} cannot be read: {error.strerror}; {fix}") from None
    except DamagedFile:
        content = {}
    state = content.get("state")
    if "format" not in content or "run_id" not in content or not isinstance(state, dict):
        raise UnusableWeights(f"{path} is damaged or holds no saved net; {fix}")
    check_format(path, content["format"])
    if content["run_id"] != run.run_id:
        raise UnusableWeights(f"{path} holds the net of {content['run_id']}; {fix}")
    return dict(state)
