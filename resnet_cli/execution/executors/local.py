"""This machine: several processes if there are several units of work to do at the same time, otherwise this one."""

from collections.abc import Sequence

from resnet_cli.execution.executors import processes, serial
from resnet_cli.execution.executors.base import Executor
from resnet_cli.execution.unit import Emit
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.units import Unit


def execute(units: Sequence[Unit], conditions: Conditions, emit: Emit) -> None:
    """Do units of work on this machine, and pass events to `emit`."""
    several = min(conditions.workers, len(units)) > 1
    (processes if several else serial).execute(units, conditions, emit)


EXECUTOR = Executor("local", execute)
