"""The final values of a net on disk: a state dict, written and read without pickled code."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from resnet_cli.spec.errors import UserError
from resnet_cli.spec.format import FORMAT, check_format
from resnet_cli.spec.run import Run
from resnet_cli.store.files import atomic_file
from resnet_cli.store.layout import WEIGHTS_FILE, run_folder


def write_weights(folder: Path, run: Run, state: Mapping[str, Tensor]) -> None:
    """Write the state dict of a run's net into the results folder `folder`."""
    with atomic_file(run_folder(folder, run) / WEIGHTS_FILE) as file:
        torch.save({"format": FORMAT, "run_id": run.run_id, "state": dict(state)}, file)


def has_weights(folder: Path, run: Run) -> bool:
    """Whether the net of a run has been saved."""
    return (run_folder(folder, run) / WEIGHTS_FILE).is_file()


def read_weights(folder: Path, run: Run) -> dict[str, Tensor]:
    """The state dict of a run's net, on the CPU. Nothing but tensors and plain values is ever unpickled.

    Raises:
        UserError: it was not saved, cannot be read, is another run's, or is of a newer version of the program.
    """
    path = run_folder(folder, run) / WEIGHTS_FILE
    try:
        with warnings.catch_warnings(action="ignore"):  # what torch remarks on files that are refused anyway
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing, so {run.run_id} has no saved net; repeat the sweep with --save-models."
        ) from None
    except (
        OSError,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ):
        content = None
    whole = isinstance(content, dict) and content.keys() >= {"format", "run_id", "state"}
    if not whole or not isinstance(content["state"], dict):
        raise UserError(f"{path} is cut off or holds no saved net; repeat the sweep with --save-models --fresh.")
    check_format(path, content["format"])
    if content["run_id"] != run.run_id:
        raise UserError(f"{path} holds the net of {content['run_id']}; repeat the sweep with --save-models --fresh.")
    return dict(content["state"])
