"""What happens while a sweep runs, as plain values that travel between processes."""

from dataclasses import dataclass
from typing import Literal

from resnet_cli.settings.metrics import Metrics

Status = Literal["done", "diverged", "failed"]


@dataclass(frozen=True)
class Started:
    """A run has started, or has resumed from its checkpoint (`step` > 0)."""

    run_id: str
    step: int


@dataclass(frozen=True)
class Evaluated:
    """A run was evaluated; `total_steps` is the length of its training."""

    run_id: str
    metrics: Metrics
    total_steps: int


@dataclass(frozen=True)
class Finished:
    """A run's files are on disk. `metrics` is its last evaluation, `message` says why a run failed.

    `seconds` are those of the `together` runs that trained in one stack with it, itself included.
    """

    run_id: str
    status: Status
    metrics: Metrics | None
    seconds: float
    message: str = ""
    together: int = 1


@dataclass(frozen=True)
class Warned:
    """Something could not be used, such as a file; `message` is a sentence that says what, and what happens instead."""

    message: str


Event = Started | Evaluated | Finished | Warned
