"""The tasks: any module in this folder that defines `TASK` is registered automatically."""

import importlib
import pkgutil
from functools import cache

from resnet_cli.spec.errors import unknown_name
from resnet_cli.tasks.base import Data, Task

__all__ = ["Data", "Task", "all_tasks", "get_task"]


@cache
def all_tasks() -> dict[str, Task]:
    """Every task by name, in alphabetical order."""
    names = [found.name for found in pkgutil.iter_modules(__path__)]
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
