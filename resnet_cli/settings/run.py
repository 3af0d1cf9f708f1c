"""A run: one model at one depth with one seed on one task, with every setting spelled out."""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from resnet_cli.settings.ranges import MAX_DEPTH, MAX_SEED, shorten
from resnet_cli.settings.setting import IDENTITY as IDENTITY
from resnet_cli.settings.setting import check_setting_name, words_of

NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,59}$"
"""What tasks, models and words that are values of options look like: safe in file names, figures and terminals."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Name = Annotated[str, Field(pattern=NAME)]

Activation = Literal["relu", "tanh", "sigmoid"]
Initialisation = Literal["default", "he", "glorot", "normal"]
Optimizer = Literal["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop"]
Schedule = Literal["constant", "steps", "cosine"]
WarmupShape = Literal["linear", "constant"]
Precision = Literal["float32", "float64", "bfloat16"]


ADDED_LATER: dict[str, dict[str, Any]] = {
    "residual-mlp": {"survival": 1.0},
    "resnet": {"block_size": 2, "ordering": "original", "survival": 1.0},
}
"""Settings that a model got after runs of it had been stored, with the values that apply to those runs."""


class Run(BaseModel):
    """Everything that decides the outcome of one training run; `None` means that the setting does not apply.

    Device and number of threads are not here: they change the speed of a run, and its last bits, but not what it is.
    Field descriptions are the help texts of the command line. Besides the fields, a run holds the settings that only
    its model declares (`Model.options`), such as `growth_rate`; `run["growth_rate"]` gives access to both kinds.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, str | int | float | bool]

    task: Name = Field(description="Task to learn: sine, digits or cifar10.")
    model: Name = Field(description="Model to train; `resnet-exp models` lists them.")
    depth: int = Field(
        ge=1,
        le=MAX_DEPTH,
        description="Number of layers as the model's paper counts them: hidden layers of an MLP, weight layers of a "
        "CNN.",
    )
    seed: int = Field(ge=0, le=MAX_SEED, description="Seed of initialisation, data order and augmentation.")

    # the model
    width: Count = Field(description="Units per hidden layer (MLP) or filters in the first stage (CNN).")
    block_size: Count | None = Field(None, description="Number of layers that each skip connection spans.")
    shortcut: Literal["A", "B", "C"] | None = Field(
        None,
        description="Shortcuts of residual CNNs: A zero padding, B projections where the shape changes, C projections "
        "everywhere.",
    )
    activation: Activation = Field("relu", description="Activation function: relu, tanh or sigmoid.")
    batch_norm: bool = Field(False, description="Batch normalisation before each activation: on or off.")
    dropout: Fraction = Field(0.0, description="Dropout: probability of zeroing a hidden activation.")
    init: Initialisation = Field(
        description="Initial weights: default (PyTorch's: uniform ±1/√fan_in), he or glorot (both normal), or normal "
        "(see --init-std)."
    )
    init_std: Positive | None = Field(
        None, description="Standard deviation of the initial weights under --init normal."
    )

    # the task
    train_size: Count | None = Field(None, description="Number of training examples to use (all unless set).")
    sine_range: Positive | None = Field(None, description="Sine inputs are drawn uniformly from ± this many radians.")
    noise: NotNegative | None = Field(
        None, description="Standard deviation of the Gaussian noise on the sine's training targets."
    )
    image_size: Literal[8, 16, 32] | None = Field(
        None, description="Height and width of CIFAR-10 images in pixels: 32, or averaged down to 16 or 8."
    )
    augment: bool | None = Field(
        None, description="CIFAR-10 augmentation (pad by 4 pixels, random crop, horizontal flip): on or off."
    )

    # the training
    optimizer: Optimizer = Field(description="Optimiser: sgd, momentum, nesterov, adam, adamw or rmsprop.")
    learning_rate: Positive = Field(description="Learning rate, before warm-up and schedule.")
    momentum: Fraction | None = Field(None, description="Momentum coefficient of the optimisers momentum and nesterov.")
    weight_decay: NotNegative = Field(
        0.0, description="Weight decay on all parameters (an L2 penalty; decoupled with adamw)."
    )
    batch_size: Count = Field(description="Number of examples in a training step.")
    epochs: Count | None = Field(None, description="Length of training in passes over the training set.")
    steps: Count | None = Field(None, description="Length of training in optimiser steps, instead of --epochs.")
    schedule: Schedule = Field(
        "constant", description="Learning-rate schedule: constant, steps (multi-step decay) or cosine."
    )
    milestones: str | None = Field(
        None,
        pattern=r"^0?\.[0-9]+(/0?\.[0-9]+)*$",
        max_length=1000,
        description="When the multi-step schedule decays the learning rate: fractions of the training, joined by / "
        "(0.5/0.75).",
    )
    decay_factor: Share | None = Field(
        None, description="Factor that the multi-step schedule applies to the learning rate at each milestone."
    )
    warmup_steps: Annotated[int, Field(ge=0, le=10**9)] = Field(
        0, description="Number of steps at the start with a reduced learning rate (warm-up); 0 for none."
    )
    warmup_factor: Share | None = Field(None, description="Fraction of the learning rate at which warm-up starts.")
    warmup_shape: WarmupShape | None = Field(
        None, description="Shape of the warm-up: linear (ramp up) or constant (hold, then jump; He et al. 2015)."
    )
    eval_every: Count = Field(description="Number of epochs between evaluations (of steps if --steps is given).")
    eval_size: Count = Field(
        10_000, description="Maximum number of training examples, and of test examples, in an evaluation."
    )
    precision: Precision = Field(
        "float32", description="Numerical precision: float32, float64 or bfloat16 (automatic mixed precision)."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in_what_was_added_later(cls, settings: Any) -> Any:
        if not isinstance(settings, dict):
            return settings
        return ADDED_LATER.get(str(settings.get("model")), {}) | settings

    @model_validator(mode="after")
    def _options_are_sound(self) -> Self:
        for name, value in (self.model_extra or {}).items():
            check_setting_name(name)
            if isinstance(value, str):
                is_sound = re.fullmatch(NAME, value) is not None
            else:
                is_sound = abs(value) < (2**63 if isinstance(value, int) else math.inf)
            if not is_sound:
                raise ValueError(f"{name} (={shorten(value)}) must be a word or a finite number")
        return self

    @model_validator(mode="after")
    def _length_is_given_once(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of epochs and steps")
        return self

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.optimizer == "nesterov" and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def __getitem__(self, setting: str) -> Any:
        """The value of a setting, None if it does not apply to this run."""
        return getattr(self, setting, None)

    @property
    def run_id(self) -> str:
        """A readable name; two runs have the same one exactly if their settings are the same."""
        settings = self.model_dump(exclude_none=True)
        for name, value in ADDED_LATER.get(self.model, {}).items():
            if settings.get(name) == value:
                del settings[name]
        text = json.dumps(settings, sort_keys=True)
        return f"{self.model}_d{self.depth:03d}_s{self.seed}_{hashlib.sha256(text.encode()).hexdigest()[:10]}"


class Dependence(NamedTuple):
    """A setting's dependence on another, its parent: it applies only with certain values of the parent."""

    parent: str
    useful: Callable[[Any], bool]  # whether the setting applies with this value of the parent
    default: Any  # its value where it applies
    words: str


DEPENDENT: dict[str, Dependence] = {
    "init_std": Dependence("init", lambda init: init == "normal", 0.1, "init normal"),
    "momentum": Dependence(
        "optimizer", lambda name: name in ("momentum", "nesterov"), 0.9, "optimizer momentum or nesterov"
    ),
    "milestones": Dependence("schedule", lambda name: name == "steps", "0.5/0.75", "schedule steps"),
    "decay_factor": Dependence("schedule", lambda name: name == "steps", 0.1, "schedule steps"),
    "warmup_factor": Dependence("warmup_steps", lambda steps: str(steps) != "0", 0.1, "warmup_steps above 0"),
    "warmup_shape": Dependence("warmup_steps", lambda steps: str(steps) != "0", "linear", "warmup_steps above 0"),
}

MODEL_SETTINGS = (
    "width",
    "block_size",
    "shortcut",
    "activation",
    "batch_norm",
    "dropout",
    "init",
    "init_std",
)
TASK_SETTINGS = ("train_size", "sine_range", "noise", "image_size", "augment")
SETTINGS = tuple(name for name in Run.model_fields if name not in IDENTITY)
for _name in SETTINGS:
    check_setting_name(_name)


def setting_names(runs: Iterable[Run]) -> tuple[str, ...]:
    """`SETTINGS`, then the settings that only models of these runs have, in order of first appearance."""
    return tuple(dict.fromkeys((*SETTINGS, *(name for run in runs for name in run.model_extra or ()))))


def choices(setting: str) -> tuple[str, ...]:
    """The words that a field accepts; empty where it is a number or free text."""
    return words_of(Run.model_fields[setting].annotation)
