"""Who does units of work: any module in this folder that defines `EXECUTOR` is registered by being there."""

import pkgutil
from functools import cache
from importlib import import_module

from resnet_cli.execution.executors.base import Executor
from resnet_cli.planning.conditions import Conditions
from resnet_cli.settings.errors import unknown_name


@cache
def all_executors() -> dict[str, Executor]:
    """Every executor by name."""
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return {module.EXECUTOR.name: module.EXECUTOR for module in modules if hasattr(module, "EXECUTOR")}


def choose_executor(conditions: Conditions, units: int) -> Executor:
    """The executor that the conditions name, otherwise several processes if these have more than one unit to do.

    Raises:
        UserError: no executor has this name.
    """
    name = conditions.executor
    if name == "auto":
        name = "processes" if min(conditions.workers, units) > 1 else "serial"
    if name not in all_executors():
        raise unknown_name("executor", name, ["auto", *all_executors()])
    return all_executors()[name]
