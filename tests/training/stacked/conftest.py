"""Optimisers and activation functions that only a test knows."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import TypeAdapter

from resnet_cli.models.activations import ACTIVATIONS, Activation
from resnet_cli.models.settings import ACTIVATION
from resnet_cli.settings.setting import Setting
from resnet_cli.training.optimizers import OPTIMIZER, OPTIMIZERS, Optimizer

Register = Callable[[Optimizer | Activation], None]


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    """Declares an optimiser or an activation function as if its file did, for the duration of the test."""

    def declare(new: Optimizer | Activation) -> None:
        known: Mapping[str, Any] = OPTIMIZERS if isinstance(new, Optimizer) else ACTIVATIONS
        setting: Setting[str] = OPTIMIZER if isinstance(new, Optimizer) else ACTIVATION
        monkeypatch.setitem(known, new.name, new)
        monkeypatch.setitem(vars(setting), "_adapter", TypeAdapter(str))

    return declare
