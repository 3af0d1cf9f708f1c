"""Who does units of work: any module in this folder that defines `EXECUTOR` is registered by being there."""

import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from resnet_cli.execution.executors.base import Executor
from resnet_cli.planning.conditions import Conditions, choose_conditions
from resnet_cli.planning.plan import Plan
from resnet_cli.settings.errors import UserError, either, shorten, unknown_name


@cache
def all_executors() -> dict[str, Executor]:
    """Every executor by name."""
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return {module.EXECUTOR.name: module.EXECUTOR for module in modules if hasattr(module, "EXECUTOR")}


def get_executor(name: str) -> Executor:
    """The executor of this name. Raises UserError, listing the known names, if there is none."""
    if name not in all_executors():
        raise unknown_name("executor", name, all_executors())
    return all_executors()[name]


def conditions_of(
    plan: Plan, folder: str | Path, *, executor: str = Conditions.executor, address: str | None = None, **options: Any
) -> Conditions:
    """The conditions of a plan on the machines of an executor; the other options are those of `choose_conditions`.

    Raises:
        UserError: no executor has this name, there are no machines at the address, the executor has no use for one,
            or the options do not fit together.
    """
    chosen = get_executor(executor)
    if address is not None and not chosen.takes_address:
        others = either(other.name for other in all_executors().values() if other.takes_address)
        raise UserError(f"address (={shorten(address)}) has no effect with executor {executor}; it needs {others}.")
    machines = chosen.machines(address)
    return choose_conditions(plan, folder, executor=executor, address=address, machines=machines, **options)
