"""The data of runs in the cluster's object store: loaded once, copied once to every node that needs them."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resnet_cli.execution.executors.ray.plugins import Sources, load_sources
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.tasks.data import Data
from resnet_cli.training.data import load_data

Arrays = dict[str, Any]
"""The fields of `Data` with NumPy arrays for tensors, which all processes of a node read from the same memory."""


def to_arrays(data: Data) -> Arrays:
    """Data on the CPU in a form that Ray shares."""
    return {name: _shared(value) for name, value in vars(data).items()}


def from_arrays(arrays: Arrays) -> Data:
    """The data on the CPU, in memory that cannot be written."""
    fields = dict(arrays)
    with warnings.catch_warnings(action="ignore"):  # that the memory cannot be written
        for name, value in fields.items():
            if hasattr(value, "__array__"):
                fields[name] = torch.from_numpy(value)
    return Data(**fields)


def share(ray: Any, run: Run, data_dir: Path | None, sources: Sources) -> Any:
    """A reference to the data of a run: the driver loads them if it has them, otherwise a node does.

    Raises:
        UserError: neither has them.
    """
    try:
        return ray.put(to_arrays(load_data(run, data_dir, "cpu")))
    except UserError as error:
        problem = error
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    for node in ray.nodes():
        if not node["Alive"]:
            continue
        place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)
        load = ray.remote(_load).options(num_cpus=0, num_returns=2, max_retries=5, scheduling_strategy=place)
        found, arrays = load.remote(run.as_dict(), data_dir, sources)
        try:
            answer: UserError | None = ray.get(found)
        except ray.exceptions.RayError:  # the node is lost, or has not this package
            continue
        if answer is None:
            return arrays
        problem = answer
    raise problem


def _load(values: dict[str, Any], data_dir: Path | None, sources: Sources) -> tuple[UserError | None, Arrays | None]:
    """On a node: what keeps it from loading the data of a run, and otherwise the data."""
    try:
        load_sources(sources)
        return None, to_arrays(load_data(Run(**values), data_dir, "cpu"))
    except UserError as error:
        return error, None


def _shared(value: Any) -> Any:
    return value.contiguous().numpy() if isinstance(value, Tensor) else value
