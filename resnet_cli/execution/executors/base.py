"""What every executor consists of."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from resnet_cli.execution.unit import Emit
from resnet_cli.planning.conditions import Conditions, Machine, this_machine
from resnet_cli.planning.units import Unit
from resnet_cli.settings.run import Run
from resnet_cli.training.data import data_key, load_data
from resnet_cli.training.device import resolve_device


def check_machine(runs: Iterable[Run], conditions: Conditions) -> None:
    """Raise UserError if this machine lacks the device or a data set that some runs need, or a file is corrupt."""
    resolve_device(conditions.device)
    for run in {data_key(run): run for run in runs}.values():
        load_data(run, conditions.data_dir, conditions.device)


def only_this_machine(address: str | None) -> Sequence[Machine]:
    """The machines of an executor that stays here."""
    return [this_machine()]


@dataclass(frozen=True)
class Executor:
    """One way to have units of work done.

    `execute(units, conditions, emit)` does them, beginning with the first, and passes on the events of `run_unit`. A
    unit whose process is lost leaves failed runs, see `UnitOutput.fail`; an exception, such as KeyboardInterrupt, ends
    all that was started. `check(runs, conditions)` raises a UserError if the device or a data set is missing where the
    runs will be trained; nothing has been written by then. `machines(address)` are those that train, which may be
    elsewhere if it `takes_address`; a UserError says why there are none.
    """

    name: str
    execute: Callable[[Sequence[Unit], Conditions, Emit], None]
    check: Callable[[Iterable[Run], Conditions], None] = check_machine
    machines: Callable[[str | None], Sequence[Machine]] = only_this_machine
    takes_address: bool = False
