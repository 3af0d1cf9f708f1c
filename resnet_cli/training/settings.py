"""The settings of training but for those of its optimiser; importing them does not import torch."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Count, Need, Setting, Share, always
from resnet_cli.tasks import all_tasks

Schedule = Literal["constant", "steps", "cosine"]
WarmupShape = Literal["linear", "constant"]
Precision = Literal["float32", "float64", "bfloat16"]
StepCount = Annotated[int, Field(ge=0, le=10**9)]
Percentage = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]

WARMUP_WINDOW = 50
"""Number of steps over which the training error is measured that ends a warm-up. In batches of 128 it has a standard
error of half a percentage point at an error of 80 %."""


def _fractions(text: str) -> str:
    if not re.fullmatch(r"0?\.[0-9]+(/0?\.[0-9]+)*", text):
        raise ValueError("must be fractions joined by /, such as 0.5/0.75")
    return text


BATCH_SIZE = Setting[int]("batch_size", Count, "Number of examples in a training step.", stacks=always, smoke=16)
EPOCHS = Setting[int](
    "epochs", Count, "Length of training in passes over the training set.", affects=("length",), one_of="length"
)
STEPS = Setting[int](
    "steps",
    Count,
    "Length of training in optimiser steps, instead of --epochs.",
    affects=("length",),
    one_of="length",
    smoke=4,
)
SCHEDULE = Setting[Schedule](
    "schedule",
    Schedule,
    "Learning-rate schedule: constant, steps (multi-step decay) or cosine.",
    default="constant",
    affects=(),
)
_MULTI_STEP = Need(SCHEDULE, lambda schedule: schedule == "steps", "schedule steps")
MILESTONES = Setting[str](
    "milestones",
    Annotated[str, Field(max_length=1000), AfterValidator(_fractions)],
    "When the multi-step schedule decays the learning rate: fractions of the training, joined by / (0.5/0.75).",
    default="0.5/0.75",
    affects=(),
    need=_MULTI_STEP,
)
DECAY_FACTOR = Setting[float](
    "decay_factor",
    Share,
    "Factor that the multi-step schedule applies to the learning rate at each milestone.",
    default=0.1,
    affects=(),
    need=_MULTI_STEP,
)
WARMUP_STEPS = Setting[int](
    "warmup_steps",
    StepCount,
    "Number of steps at the start with a reduced learning rate (warm-up); 0 for none. With --warmup-until-error, the "
    "most there can be.",
    default=0,
    affects=(),
)
_WARMUP = Need(WARMUP_STEPS, lambda steps: str(steps) != "0", "warmup_steps above 0")
WARMUP_FACTOR = Setting[float](
    "warmup_factor",
    Share,
    "Fraction of the learning rate at which warm-up starts.",
    default=0.1,
    affects=(),
    need=_WARMUP,
)
WARMUP_SHAPE = Setting[WarmupShape](
    "warmup_shape",
    WarmupShape,
    "Shape of the warm-up: linear (ramp up) or constant (hold, then jump; He et al. 2015).",
    default="linear",
    affects=(),
    need=_WARMUP,
)


def _without_errors(run: Run) -> str:
    task = all_tasks().get(run.task)
    if task is None or task.is_classification or run[WARMUP_UNTIL_ERROR] == 0:
        return ""
    return f"{WARMUP_UNTIL_ERROR.name} (={run[WARMUP_UNTIL_ERROR]:g}) needs classes, which {task.name} does not have"


WARMUP_UNTIL_ERROR = Setting[float](
    "warmup_until_error",
    Percentage,
    f"End warm-up when the training error (%) of {WARMUP_WINDOW} steps is below this (He et al. 2015: 80); 0: never.",
    default=0.0,
    affects=(),
    stacks=lambda error: error == 0,
    need=Need(WARMUP_SHAPE, lambda shape: shape == "constant", "warmup_steps above 0 and warmup_shape constant"),
    before={"*": 0.0},
    came_later=True,
    complaint=_without_errors,
)
EVAL_EVERY = Setting[int](
    "eval_every",
    Count,
    "Number of epochs between evaluations (of steps if --steps is given).",
    affects=("length",),
    smoke=2,
)
EVAL_SIZE = Setting[int](
    "eval_size",
    Count,
    "Maximum number of training examples, and of test examples, in an evaluation.",
    default=10_000,
    affects=("length",),
    smoke=64,
)
PRECISION = Setting[Precision](
    "precision",
    Precision,
    "Numerical precision: float32, float64 or bfloat16 (automatic mixed precision).",
    default="float32",
    affects=("data", "cost"),
    stacks=lambda precision: precision != "bfloat16",
)


def work(run: Run) -> int:
    """The cost of a run relative to others in its sweep: its depth times its length."""
    return run.depth * (run.get(STEPS) or run.get(EPOCHS) or 0)
