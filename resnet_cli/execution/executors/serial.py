"""One unit of work after another, in this process."""

from collections.abc import Sequence

from resnet_cli.execution.executors.base import Executor
from resnet_cli.execution.unit import Emit, run_unit
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.units import Unit


def execute(units: Sequence[Unit], conditions: Conditions, emit: Emit) -> None:
    """Do units of work in order, and pass events to `emit`."""
    for unit in units:
        run_unit(unit, conditions, emit)


EXECUTOR = Executor("serial", execute)
