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
        loaded, arrays = load.remote(run.as_dict(), data_dir, sources)
        try:
            ray.get(loaded)
        except ray.exceptions.RayError as error:  # the node is lost, or has not this package
            cause = getattr(error, "cause", None)
            problem = cause if isinstance(cause, UserError) else problem
        else:
            return arrays
    raise problem


def _load(values: dict[str, Any], data_dir: Path | None, sources: Sources) -> tuple[None, Arrays]:
    """On a node: that it could load the data of a run, and the data. Ray may call it again where they were lost.

    Raises:
        UserError: the node has not the data.
    """
    load_sources(sources)
    return None, to_arrays(load_data(Run(**values), data_dir, "cpu"))


def _shared(value: Any) -> Any:
    return value.contiguous().numpy() if isinstance(value, Tensor) else value
