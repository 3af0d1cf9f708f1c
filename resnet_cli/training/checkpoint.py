"""The state of a training run that is not finished, saved from time to time."""

import dataclasses
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from resnet_cli.spec.events import Metrics
from resnet_cli.store.files import atomic_file


@dataclass(frozen=True)
class State:
    """Where a run stands after `step` optimiser steps."""

    net: dict[str, Any]
    optimizer: dict[str, Any]
    step: int
    history: list[Metrics]


class Checkpoint:
    """A file that holds a run's latest state.

    Args:
        path: the file; its folder must belong to the run alone.
        every_seconds: least time between two saves; 0 saves at every step.
        on_load: called with the step that a loaded state has reached.
    """

    def __init__(self, path: Path, every_seconds: float, on_load: Callable[[int], None] = lambda step: None) -> None:
        self.path, self.every_seconds, self.on_load = path, every_seconds, on_load
        self._last_save = time.monotonic()

    def is_due(self) -> bool:
        """Whether the last save, or the start, is long enough ago."""
        return time.monotonic() - self._last_save >= self.every_seconds

    def save(self, net: dict[str, Any], optimizer: dict[str, Any], step: int, history: list[Metrics]) -> None:
        """Replace the file by this state."""
        state = State(net, optimizer, step, history)
        with atomic_file(self.path) as file:
            torch.save(dataclasses.asdict(state) | {"history": [tuple(row) for row in history]}, file)
        self._last_save = time.monotonic()

    def load(self) -> State | None:
        """The state in the file; None if there is none, or none that can be read (the run then starts anew)."""
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            state = State(**content | {"history": [Metrics(*row) for row in content["history"]]})
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError, TypeError, ValueError):
            return None
        self.on_load(state.step)
        return state

    def remove(self) -> None:
        """Delete the file: the run is finished."""
        self.path.unlink(missing_ok=True)
