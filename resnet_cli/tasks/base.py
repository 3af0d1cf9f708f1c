"""What is known about a task without loading its data. Importing this does not import torch."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Setting
from resnet_cli.tasks.settings import CLASSES, IMAGE_SIZE, TRAIN_SIZE, VALIDATION_SIZE, chosen_classes

if TYPE_CHECKING:
    from resnet_cli.tasks.archive import Archive
    from resnet_cli.tasks.data import Data

Family = Literal["mlp", "cnn"]
Loss = Literal["mse", "cross_entropy"]


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
    train_examples: int  # unless `train_size` or `validation_size` is set
    test_examples: int  # unless `validation_size` is set
    settings: tuple[Setting[Any], ...]  # that the task declares, or shares with others
    default_depths: Mapping[Family, str]
    default_seeds: str
    load: Callable[[Run, Path | None], "Data"]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    family_defaults: Mapping[Family, Mapping[str, Any]] = field(default_factory=dict)
    constant_loss: Callable[[Run], float] | None = (
        None  # of a regression: the training loss of the best constant answer
    )
    archive: "Archive | None" = None  # that `resnet-exp data fetch` downloads
    class_sizes: tuple[Sequence[int], Sequence[int]] = ((), ())  # training and test examples by class

    def constant_answer(self, run: Run) -> dict[str, float]:
        """The `loss` of a net that always gives the same answer, and the `error` (%) of one that guesses a class."""
        if self.constant_loss is not None:
            return {"loss": self.constant_loss(run)}
        classes = len(chosen_classes(run, self.outputs))
        return {"loss": math.log(classes), "error": 100 * (1 - 1 / classes)}

    @property
    def is_classification(self) -> bool:
        """Whether targets are classes, so that answers can be wrong."""
        return self.constant_loss is None

    def input_shape(self, run: Run) -> tuple[int, ...]:
        """The shape of one input in the data of a run, without loading the data."""
        size = run.get(IMAGE_SIZE)
        return self.shape if size is None else (self.shape[0], size, size)

    def examples(self, run: Run) -> tuple[int, int]:
        """The number of training examples and of test examples in the data of a run, without loading the data.

        Images that are held out count as test examples, as they take their place.

        Raises:
            UserError: none would be left for training, or there is no such class.
        """
        train, test = self.train_examples, self.test_examples
        if run.get(CLASSES) is not None:
            chosen = chosen_classes(run, self.outputs)
            train, test = (sum(sizes[label] for label in chosen) for sizes in self.class_sizes)
        if (held_out := run.get(VALIDATION_SIZE)) is not None:
            check_held_out(held_out, train, self.name)
            train, test = train - held_out, held_out
        return run.get(TRAIN_SIZE) or train, test


def check_held_out(held_out: int, examples: int, task: str) -> None:
    """Raise UserError if `validation_size` leaves none of the training examples."""
    if held_out >= examples:
        raise UserError(
            f"{VALIDATION_SIZE.name} (={held_out}) must be below {examples:,}, the number of training examples of "
            f"{task}; lower it."
        )
