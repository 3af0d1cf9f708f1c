"""The tasks: any module in this folder that defines `TASK` is registered automatically."""

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache

from resnet_cli.settings.errors import unknown_name
from resnet_cli.settings.run import Run
from resnet_cli.tasks.base import Task

__all__ = ["Task", "all_tasks", "constant_answers", "get_task"]


@cache
def all_tasks() -> dict[str, Task]:
    """Every task by name, in alphabetical order."""
    names = [found.name for found in pkgutil.iter_modules(__path__) if not found.ispkg]
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    tasks = [task for module in modules if isinstance(task := getattr(module, "TASK", None), Task)]
    return {task.name: task for task in sorted(tasks, key=lambda task: task.name)}


def get_task(name: str) -> Task:
    """The task called `name`.

    Raises:
        UserError: no task has this name.
    """
    tasks = all_tasks()
    if name not in tasks:
        raise unknown_name("task", name, tasks)
    return tasks[name]


def constant_answers(runs: Iterable[Run]) -> dict[str, float]:
    """What a net reaches on the task of `runs` that always gives the same answer: its `loss`, and its `error` (%).

    A metric in which this differs between the runs by more than 1 %, as with much noise and with none, is left out.
    """
    tasks = all_tasks()
    alike = {
        (run.task, *(run.get(setting) for setting in tasks[run.task].settings)): run
        for run in runs
        if run.task in tasks
    }
    answers = [tasks[run.task].constant_answer(run) for run in alike.values()]
    values = {metric: [answer[metric] for answer in answers if metric in answer] for metric in ("loss", "error")}
    return {metric: found[0] for metric, found in values.items() if found and max(found) <= 1.01 * min(found)}
