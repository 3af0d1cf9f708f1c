"""The tasks, one per file; see `resnet_cli.settings.discovery` for how they are found."""

import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from resnet_cli.settings.discovery import Catalogue
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.tasks.base import Task

__all__ = ["Task", "all_tasks", "chance_losses", "constant_answers", "get_task"]

_Data = tuple[Any, ...]

CATALOGUE: Catalogue[Task] = Catalogue("Task", __name__, "TASK")
all_tasks, get_task = CATALOGUE.all, CATALOGUE.get


def constant_answers(runs: Iterable[Run]) -> dict[str, float]:
    """What a net reaches on the task of `runs` that always gives the same answer: its `loss`, and its `error` (%).

    A metric in which this differs between the runs by more than 1 %, as with much noise and with none, is left out.
    """
    answers = _answers(runs).values()
    values = {metric: [answer[metric] for answer in answers if metric in answer] for metric in ("loss", "error")}
    return {metric: found[0] for metric, found in values.items() if found and max(found) <= 1.01 * min(found)}


def chance_losses(runs: Iterable[Run]) -> dict[str, float]:
    """For each run, by its id, the loss of a net that always gives the same answer; NaN where that is not known."""
    runs = list(runs)
    answers = _answers(runs)
    return {run.run_id: answers.get(_data_of(run), {}).get("loss", math.nan) for run in runs}


def _answers(runs: Iterable[Run]) -> dict[_Data, dict[str, float]]:
    """What a constant answer reaches on each data set of some runs, without those that cannot be had."""
    answers = {}
    for data, run in {_data_of(run): run for run in runs if run.task in all_tasks()}.items():
        with suppress(UserError):  # settings of a foreign run may ask for too much
            answers[data] = get_task(run.task).constant_answer(run)
    return answers


def _data_of(run: Run) -> _Data:
    """What the data of a run depend on: its task and the values of the task's settings."""
    settings = all_tasks()[run.task].settings if run.task in all_tasks() else ()
    return run.task, *(run.get(setting) for setting in settings)
