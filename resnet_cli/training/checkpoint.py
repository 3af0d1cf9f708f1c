"""The state of an unfinished training run, saved from time to time."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.files import damaged_path, set_aside, write_bytes
from resnet_cli.store.tensors import DamagedFile, pack_tensors, read_packed, same_form, unpack_tensors
from resnet_cli.training.optimizers import build_optimizer


class State(NamedTuple):
    """The state of some runs after `step` optimiser steps; `optimizer` is the state of their optimisers.

    `warmup` is that of a warm-up that the training error ends; earlier versions had none.
    """

    run_ids: list[str]
    net: dict[str, Any]
    optimizer: Any
    step: int
    history: list[Metrics]
    warmup: Any = None


class Checkpoint:
    """A file that holds the latest state of a run, or of runs that train together.

    Args:
        path: the file, to which nobody else may write.
        every_seconds: least time between two saves; 0 saves at every step.
        on_load: called with the step that a loaded state has reached.
        on_damage: called with a message if the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        every_seconds: float,
        on_load: Callable[[int], None] = lambda step: None,
        on_damage: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.path, self.every_seconds, self.on_load, self.on_damage = path, every_seconds, on_load, on_damage
        self._last_save = time.monotonic()

    def is_due(self) -> bool:
        """Whether the last save, or the start, was long enough ago."""
        return time.monotonic() - self._last_save >= self.every_seconds

    def save(self, state: State) -> None:
        """Replace the file by this state. Raises StorageError if it cannot be written."""
        self.write(pack_tensors(state._asdict() | {"history": [tuple(row) for row in state.history]}), state.step)
        self._last_save = time.monotonic()

    def load(self, run_ids: list[str], total_steps: int, fits: Callable[[State], bool]) -> State | None:
        """The state in the file; None if there is none or it cannot be used, so that training starts anew.

        A file that cannot be used is set aside and named. Nothing of it reaches a net or an optimiser.

        The state must be that of these runs before `total_steps`, in the form that net and optimiser have (`fits`).
        """
        try:
            state = _parse(unpack_tensors(self.read()))
        except FileNotFoundError:
            return None
        except (DamagedFile, OSError):
            state = None
        if state is None or state.run_ids != run_ids or not 0 < state.step < total_steps or not fits(state):
            self.set_aside()
            self.on_damage(
                f"{self.path} is damaged or not the state of this training; it is kept as "
                f"{damaged_path(self.path).name}, and the training starts anew."
            )
            return None
        self.on_load(state.step)
        return state

    def read(self) -> bytes:
        """The content of the file. Raises OSError if it cannot be read, DamagedFile if it is too large."""
        return read_packed(self.path)

    def write(self, content: bytes, step: int) -> None:
        """Replace the file by the state that a training has reached at a step. Raises StorageError if it cannot."""
        write_bytes(self.path, content)

    def set_aside(self) -> None:
        """Rename the file, which cannot be used. Raises StorageError if that is impossible."""
        set_aside(self.path)

    def remove(self) -> None:
        """Delete the file: the training is finished."""
        self.path.unlink(missing_ok=True)


def _parse(content: dict[str, Any]) -> State | None:
    """The state that a file holds; None if the file is another kind of file, such as one of an earlier version."""
    if content.keys() | State._field_defaults.keys() != {*State._fields}:
        return None
    step, history = content["step"], content["history"]
    if type(step) is not int or not isinstance(content["net"], dict) or not isinstance(history, list) or not history:
        return None
    most, optional = len(Metrics._fields), len(Metrics._field_defaults)
    if not all(isinstance(row, tuple) and most - optional <= len(row) <= most for row in history):
        return None  # rows of an earlier version lack the metrics that came later
    return State(**content | {"history": [Metrics(*row) for row in history]})


def state_of(optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    """What an optimiser knows of each parameter, by its place; its settings follow from the run."""
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    return state


def state_fits(found: object, run: Run, parameters: Sequence[Tensor]) -> bool:
    """Whether `found` has the form of what the optimiser of a run knows of these parameters.

    Torch's fused optimisers do not check shapes and dtypes: values that do not fit end the process. A parameter that
    has not had a gradient yet may be missing.
    """
    example = nn.Parameter(parameters[0].new_zeros(1))
    example.grad = torch.zeros_like(example)
    optimizer = build_optimizer(run, [example])
    optimizer.step()
    own = state_of(optimizer).get(0, {})
    return isinstance(found, dict) and all(
        type(place) is int
        and 0 <= place < len(parameters)
        and same_form(state, {name: parameters[place] if value.shape == (1,) else value for name, value in own.items()})
        for place, state in found.items()
    )


def load_state(optimizer: torch.optim.Optimizer, state: dict[int, dict[str, Any]]) -> None:
    """Let an optimiser know what another of the same run knew; `state` must fit."""
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
