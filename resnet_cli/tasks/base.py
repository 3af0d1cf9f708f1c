"""What every task consists of: a description from which a sweep can be planned, and data on a device."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_cli.settings.run import Run

Family = Literal["mlp", "cnn"]
Loss = Literal["mse", "cross_entropy"]


@dataclass(frozen=True)
class Data:
    """A task's tensors, all on one device.

    Images are stored as uint8 (N, C, H, W) and standardised batch by batch; other inputs are floats (N, features).
    Targets are class numbers, int64 (N,), or floats (N, outputs).
    """

    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    loss: Loss
    outputs: int
    mean: Tensor | None = None  # (C,), of the whole training set, on the scale 0 to 1
    deviation: Tensor | None = None  # (C,), the standard deviation
    dtype: torch.dtype = torch.float32
    crop_padding: int = 0  # pixels of zero padding for random crops; 0: training images are not augmented

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: (features,) or (C, H, W)."""
        return tuple(self.train_inputs.shape[1:])

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.train_inputs.device

    def to(self, device: torch.device, dtype: torch.dtype) -> "Data":
        """The same data on `device`, with floats as `dtype`; uint8 images stay uint8 until they are standardised."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device, dtype if tensor.is_floating_point() else None)

        return replace(
            self,
            train_inputs=move(self.train_inputs),
            train_targets=move(self.train_targets),
            test_inputs=move(self.test_inputs),
            test_targets=move(self.test_targets),
            mean=None if self.mean is None else move(self.mean),
            deviation=None if self.deviation is None else move(self.deviation),
            dtype=dtype,
        )

    def prepare(self, inputs: Tensor) -> Tensor:
        """Turn stored inputs into inputs of a net: images are standardised channel by channel.

        (B, C, H, W) uint8 becomes (B, C, H, W) `dtype` in the same memory format; floats are returned unchanged.
        """
        if self.mean is None or self.deviation is None:
            return inputs
        scale = (255 * self.deviation).reciprocal()[:, None, None]
        shift = (self.mean / self.deviation)[:, None, None]
        return inputs.to(self.dtype) * scale - shift

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of each example, (B,): squared error averaged over outputs, or cross-entropy in nats."""
        if self.loss == "mse":
            return (outputs - targets).square().mean(dim=1)
        return F.cross_entropy(outputs, targets, reduction="none")

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor | None:
        """Whether each example is misclassified, (B,) bool; None on a regression task.

        A row of outputs that is not finite counts as an error.
        """
        if self.loss == "mse":
            return None
        return (outputs.argmax(dim=1) != targets) | ~outputs.isfinite().all(dim=1)


@dataclass(frozen=True)
class Task:
    """What is known about a task without loading its data, and how to load them.

    `load(run, data_dir)` returns the data on the CPU in float32. They depend only on the run's task settings, never on
    its seed, so that all runs of a sweep see the same examples.
    """

    name: str
    title: str
    source: str
    families: tuple[Family, ...]  # of models that can learn it, the most suitable one first
    shape: tuple[int, ...]  # of an input, (features,) or (C, H, W), unless `image_size` is set
    outputs: int
    train_examples: int  # unless `train_size` is set
    test_examples: int
    settings: frozenset[str]  # the task settings that apply to it
    default_depths: Mapping[Family, str]
    default_seeds: str
    load: Callable[[Run, Path | None], Data]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    family_defaults: Mapping[Family, Mapping[str, Any]] = field(default_factory=dict)
    constant_loss: Callable[[Run], float] | None = (
        None  # of a regression: the training loss of the best constant answer
    )

    def constant_answer(self, run: Run) -> dict[str, float]:
        """The `loss` of a net that always gives the same answer, and the `error` (%) of one that guesses a class."""
        if self.constant_loss is not None:
            return {"loss": self.constant_loss(run)}
        return {"loss": math.log(self.outputs), "error": 100 * (1 - 1 / self.outputs)}

    def input_shape(self, run: Run) -> tuple[int, ...]:
        """The shape of one input in the data of a run, without loading the data."""
        return self.shape if run.image_size is None else (self.shape[0], run.image_size, run.image_size)

    def examples(self, run: Run) -> tuple[int, int]:
        """The number of training examples and of test examples in the data of a run, without loading the data."""
        return run.train_size or self.train_examples, self.test_examples
