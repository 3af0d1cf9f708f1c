"""Who does units of work: any module in this folder that defines `EXECUTOR` is registered by being there."""

import importlib
import pkgutil
from functools import cache

from resnet_cli.execution.executors.base import Executor
from resnet_cli.planning.conditions import Conditions
from resnet_cli.settings.errors import unknown_name


@cache
def all_executors() -> dict[str, Executor]:
    """Every executor by name."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    executors = [getattr(module, "EXECUTOR", None) for module in modules]
    return {executor.name: executor for executor in executors if executor is not None}


def choose_executor(conditions: Conditions, units: int) -> Executor:
    """The executor for a number of units of work: the one that the conditions name, otherwise as few processes as do.

    Raises:
        UserError: no executor has this name.
    """
    name = conditions.executor
    if name == "auto":
        name = "processes" if min(conditions.workers, units) > 1 else "serial"
    if name not in all_executors():
        raise unknown_name("executor", name, ["auto", *all_executors()])
    return all_executors()[name]
