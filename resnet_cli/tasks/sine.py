"""Learning the sine: the smallest problem on which plain nets degrade with depth.

Kowsik (2021) trains plain MLPs with 30 units per layer and more and more hidden layers on sin(x): the loss falls at
first, then rises and stays high. With a skip over every three layers it keeps falling.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import NotNegative, Positive, Setting
from resnet_cli.tasks.base import Task
from resnet_cli.tasks.settings import TRAIN_SIZE

if TYPE_CHECKING:
    from torch import Tensor

    from resnet_cli.tasks.data import Data

TEST_SIZE = 1000
MAX_TRAIN_SIZE = 10_000_000
MAX_SINE_RANGE = 1e6  # radians; beyond this, float32 inputs are more than 0.06 apart and miss parts of the wave

SINE_RANGE = Setting[float](
    "sine_range", Positive, "Sine inputs are drawn uniformly from ± this many radians.", affects=("data",)
)
NOISE = Setting[float](
    "noise", NotNegative, "Standard deviation of the Gaussian noise on the sine's training targets.", affects=("data",)
)
DEFAULTS = {
    "train_size": 1000,
    "sine_range": 2 * math.pi,
    "noise": 0.0,
    "width": 30,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "batch_size": 32,
    "steps": 1000,
    "eval_every": 50,
}


def load(run: Run, data_dir: Path | None = None) -> "Data":
    """Points on the sine: inputs uniform in ±sine_range radians, targets sin(x), both float32 (N, 1).

    The points are always the same; a larger `train_size` adds points to those of a smaller one. Only the training
    targets are noisy. `data_dir` is unused.

    Raises:
        UserError: `train_size` or `sine_range` is too large.
    """
    import torch

    from resnet_cli.tasks.data import Data

    train_size, sine_range = run[TRAIN_SIZE], run[SINE_RANGE]
    if train_size > MAX_TRAIN_SIZE:
        raise UserError(f"train_size (={train_size}) must be at most {MAX_TRAIN_SIZE:,} on sine; lower it.")
    if sine_range > MAX_SINE_RANGE:
        raise UserError(
            f"sine_range (={sine_range:g}) must be at most {MAX_SINE_RANGE:,.0f} radians, "
            "or float32 inputs miss parts of the wave; lower it."
        )
    counts = {"train": train_size, "test": TEST_SIZE}
    train_inputs, test_inputs = (((2 * _uniform(n, name) - 1) * sine_range).float() for name, n in counts.items())
    # the inverse normal distribution function of uniform draws: the first values of torch.randn depend on how many
    # are drawn, but more training points should not change the noise on the others
    noise = run[NOISE] * torch.special.ndtri(_uniform(train_size, "noise"))
    return Data(
        train_inputs=train_inputs,
        train_targets=(train_inputs.double().sin() + noise).float(),
        test_inputs=test_inputs,
        test_targets=test_inputs.double().sin().float(),
        loss="mse",
        outputs=1,
    )


def _uniform(count: int, name: str) -> "Tensor":
    import torch

    from resnet_cli.tasks.data.sampling import generator

    return torch.rand(count, 1, dtype=torch.float64, generator=generator("sine", name))


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
    train_examples=1000,
    test_examples=TEST_SIZE,
    settings=(TRAIN_SIZE, SINE_RANGE, NOISE),
    default_depths={"mlp": "2..40"},
    default_seeds="0..4",
    load=load,
    constant_loss=constant_loss,
    defaults=DEFAULTS,
)
