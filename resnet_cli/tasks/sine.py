"""Learning the sine: the smallest problem on which plain nets degrade with depth.

Kowsik (2021) trains plain MLPs with 30 units per layer and more and more hidden layers on sin(x): the loss falls at
first, then rises and stays high. With a skip over every three layers it keeps falling.
"""

import math
from pathlib import Path

import torch
from torch import Tensor

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.tasks.base import Data, Task
from resnet_cli.tasks.sampling import generator

TRAIN_SIZE = 1000
TEST_SIZE = 1000
SINE_RANGE = 2 * math.pi
MAX_TRAIN_SIZE = 10_000_000
MAX_SINE_RANGE = 1e6  # radians; beyond this, float32 inputs are more than 0.06 apart and miss parts of the wave


def load(run: Run, data_dir: Path | None = None) -> Data:
    """Points on the sine: inputs uniform in ±sine_range radians, targets sin(x), both float32 (N, 1).

    The points are always the same; a larger `train_size` adds points to those of a smaller one. Only the training
    targets are noisy. `data_dir` is unused.

    Raises:
        UserError: `train_size` or `sine_range` is too large.
    """
    train_size = TRAIN_SIZE if run.train_size is None else run.train_size
    sine_range = SINE_RANGE if run.sine_range is None else run.sine_range
    if train_size > MAX_TRAIN_SIZE:
        raise UserError(f"train_size (={train_size}) must be at most {MAX_TRAIN_SIZE:,} on sine; lower it.")
    if sine_range > MAX_SINE_RANGE:
        raise UserError(
            f"sine_range (={sine_range:g}) must be at most {MAX_SINE_RANGE:,.0f} radians, "
            "or float32 inputs miss parts of the wave; lower it."
        )
    train_inputs = _inputs(train_size, sine_range, "train")
    test_inputs = _inputs(TEST_SIZE, sine_range, "test")
    noise = (run.noise or 0.0) * _normal(train_size)
    return Data(
        train_inputs=train_inputs,
        train_targets=(train_inputs.double().sin() + noise).float(),
        test_inputs=test_inputs,
        test_targets=test_inputs.double().sin().float(),
        loss="mse",
        outputs=1,
    )


def _inputs(count: int, sine_range: float, name: str) -> Tensor:
    uniform = torch.rand(count, 1, dtype=torch.float64, generator=generator("sine", name))
    return ((2 * uniform - 1) * sine_range).float()


def _normal(count: int) -> Tensor:
    # the inverse normal distribution function of uniform draws: the first values of torch.randn depend on how many
    # are drawn, but more training points should not change the noise on the others
    uniform = torch.rand(count, 1, dtype=torch.float64, generator=generator("sine", "noise"))
    normal: Tensor = torch.special.ndtri(uniform)
    return normal


def constant_loss(run: Run) -> float:
    """The variance of the training targets: the loss of a net that always answers their mean."""
    return float(load(run).train_targets.double().var(correction=0))


TASK = Task(
    name="sine",
    title="sin(x)",
    source="Kowsik 2021",
    families=("mlp",),
    shape=(1,),
    outputs=1,
    train_examples=TRAIN_SIZE,
    test_examples=TEST_SIZE,
    settings=frozenset({"train_size", "sine_range", "noise"}),
    default_depths={"mlp": "2..40"},
    default_seeds="0..4",
    load=load,
    constant_loss=constant_loss,
    defaults={
        "train_size": TRAIN_SIZE,
        "sine_range": SINE_RANGE,
        "noise": 0.0,
        "width": 30,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "batch_size": 32,
        "steps": 1000,
        "eval_every": 50,
    },
)
