"""Length of training and learning rate by step, as pure functions: nothing to save, nothing to restore wrongly."""

import math

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.training.optimizers import LEARNING_RATE
from resnet_cli.training.settings import (
    BATCH_SIZE,
    DECAY_FACTOR,
    EPOCHS,
    EVAL_EVERY,
    MILESTONES,
    SCHEDULE,
    STEPS,
    WARMUP_FACTOR,
    WARMUP_SHAPE,
    WARMUP_STEPS,
)


def length(run: Run, train_examples: int) -> tuple[int, int, int]:
    """The number of steps in the whole training, between evaluations, and in an epoch.

    An epoch consists of full batches only; which examples are left over differs from epoch to epoch.

    Raises:
        UserError: the batch is larger than the training set.
    """
    batch = run[BATCH_SIZE]
    if batch > train_examples:
        raise UserError(f"batch_size (={batch}) must not exceed the training set, which has {train_examples} examples.")
    epoch_steps = train_examples // batch
    if (steps := run.get(STEPS)) is not None:
        return steps, run[EVAL_EVERY], epoch_steps
    return run[EPOCHS] * epoch_steps, run[EVAL_EVERY] * epoch_steps, epoch_steps


def learning_rate(run: Run, step: int, total_steps: int, warmup_end: int | None = None) -> float:
    """The learning rate of optimiser step number `step` (from 0) of `total_steps`.

    Schedules: `constant`; `steps`, the multi-step schedule, multiplies the learning rate by `decay_factor` at each
    milestone (He et al. 2015, §4.2: by 0.1 at 1/2 and 3/4 of the training); `cosine` decays to zero along half a period
    (Loshchilov & Hutter 2017, eq. 5, without restarts). Warm-up multiplies the learning rate of the first
    `warmup_steps` steps by `warmup_factor` (shape `constant`, He et al. 2015, §4.2) or by a ramp from there to 1 (shape
    `linear`, Goyal et al. 2017, §2.2). It does not shift the schedule, which applies unchanged afterwards. It ends
    earlier, at the step `warmup_end`, if the training error said so (`warmup.py`).
    """
    rate = run[LEARNING_RATE] * _schedule(run, step / total_steps)
    if step < run[WARMUP_STEPS] and (warmup_end is None or step < warmup_end):
        ramp = step / run[WARMUP_STEPS] if run[WARMUP_SHAPE] == "linear" else 0.0
        rate *= run[WARMUP_FACTOR] + (1 - run[WARMUP_FACTOR]) * ramp
    return rate


def _schedule(run: Run, progress: float) -> float:
    if run[SCHEDULE] == "cosine":
        return (1 + math.cos(math.pi * progress)) / 2
    if run[SCHEDULE] == "steps":
        passed = sum(progress >= float(milestone) for milestone in run[MILESTONES].split("/"))
        return float(run[DECAY_FACTOR] ** passed)
    return 1.0
