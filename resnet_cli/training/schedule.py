"""Length of training and learning rate by step, as pure functions: nothing to save, nothing to restore wrongly."""

import math

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run


def length(run: Run, train_examples: int) -> tuple[int, int, int]:
    """The number of steps in the whole training, between evaluations, and in an epoch.

    An epoch consists of full batches only; which examples are left over differs from epoch to epoch.

    Raises:
        UserError: the batch is larger than the training set.
    """
    if run.batch_size > train_examples:
        raise UserError(
            f"batch_size (={run.batch_size}) must not exceed the training set, which has {train_examples} examples."
        )
    epoch_steps = train_examples // run.batch_size
    if run.steps is not None:
        return run.steps, run.eval_every, epoch_steps
    assert run.epochs is not None
    return run.epochs * epoch_steps, run.eval_every * epoch_steps, epoch_steps


def learning_rate(run: Run, step: int, total_steps: int) -> float:
    """The learning rate of optimiser step number `step` (from 0) of `total_steps`.

    Schedules: `constant`; `steps`, the multi-step schedule, multiplies the learning rate by `decay_factor` at each
    milestone (He et al. 2015, §4.2: by 0.1 at 1/2 and 3/4 of the training); `cosine` decays to zero along half a period
    (Loshchilov & Hutter 2017, eq. 5, without restarts). Warm-up multiplies the learning rate of the first
    `warmup_steps` steps by `warmup_factor` (shape `constant`, He et al. 2015, §4.2) or by a ramp from there to 1 (shape
    `linear`, Goyal et al. 2017, §2.2). It does not shift the schedule, which applies unchanged afterwards.
    """
    rate = run.learning_rate * _schedule(run, step / total_steps)
    if step < run.warmup_steps:
        assert run.warmup_factor is not None
        ramp = step / run.warmup_steps if run.warmup_shape == "linear" else 0.0
        rate *= run.warmup_factor + (1 - run.warmup_factor) * ramp
    return rate


def _schedule(run: Run, progress: float) -> float:
    if run.schedule == "cosine":
        return (1 + math.cos(math.pi * progress)) / 2
    if run.schedule == "steps":
        assert run.milestones is not None
        assert run.decay_factor is not None
        passed = sum(progress >= float(milestone) for milestone in run.milestones.split("/"))
        return float(run.decay_factor**passed)
    return 1.0
