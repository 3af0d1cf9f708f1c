"""From what an engine has measured to metrics, for both engines."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.tasks.data import Data
from resnet_cli.training.settings import EVAL_SIZE


@dataclass(frozen=True)
class Evaluation:
    """What an engine has measured of N nets at once; everything is on the device.

    Attributes:
        train: summed loss and number of errors over the training examples, (2, N).
        test: the same over the test examples.
        gradient_norms: of the last training batch, (N,); None before the first step.
        parameters: of the nets, (n, …) each; it belongs to the first n of them.
    """

    train: Tensor
    test: Tensor
    gradient_norms: Tensor | None
    parameters: Sequence[Tensor]


def metrics_rows(
    found: Evaluation, runs: Sequence[Run], data: Data, *, step: int, epoch: float, rates: Sequence[float]
) -> list[Metrics]:
    """The metrics of each run, with one copy to the host."""
    on_device = {
        "train_loss": found.train[0],
        "train_error": found.train[1],
        "test_loss": found.test[0],
        "test_error": found.test[1],
    }
    if found.gradient_norms is not None:
        on_device["gradient_norm"] = found.gradient_norms
    counts = {"train": len(data.train_inputs), "test": len(data.test_inputs)}
    rows = []
    for run, rate, numbers in zip(runs, rates, torch.stack([*on_device.values()], dim=1).tolist(), strict=True):
        values = dict(zip(on_device, numbers, strict=True))
        for split, count in counts.items():
            examples = min(run[EVAL_SIZE], count)
            values[f"{split}_loss"] /= examples
            values[f"{split}_error"] = (
                100 * values[f"{split}_error"] / examples if data.loss == "cross_entropy" else None
            )
        rows.append(Metrics(epoch=epoch, step=step, scheduled_learning_rate=rate, **values))
    return rows
