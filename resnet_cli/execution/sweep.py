"""A sweep on disk: open its folder, skip what is finished, do the rest."""

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tomli_w

from resnet_cli.execution.executors import conditions_of, get_executor
from resnet_cli.execution.lock import locked, turn_to_summarise
from resnet_cli.execution.unit import Emit
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.joined import what_is_asked
from resnet_cli.planning.plan import Plan
from resnet_cli.planning.units import Unit, finished_runs, make_units, remaining_units
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.events import Status
from resnet_cli.settings.format import FORMAT
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.files import remove_temporary_files, set_aside, write_text
from resnet_cli.store.layout import CHECKPOINT_FILE, RUNS_FOLDER, STACKS_FOLDER, SWEEP_FILE, WEIGHTS_FILE, run_folder
from resnet_cli.store.ownership import check_folder, forget_runs, forget_stacks
from resnet_cli.store.packed import is_packed
from resnet_cli.store.reader import Results, check_sweep_file, load_results, write_summary
from resnet_cli.store.weights import UnusableWeights, has_weights, read_weights

IDLE_SECONDS_OF_SHARDS = 3600.0
"""When an unfinished file in a folder where other shards write is a leftover; clocks of machines differ."""


@dataclass(frozen=True)
class OpenSweep:
    """A sweep whose folder is locked: what is done, what is left, and how the rest will be done."""

    plan: Plan
    conditions: Conditions
    units: list[Unit]
    finished: Mapping[str, tuple[Status, Metrics | None]]
    problems: list[str]

    def execute(self, emit: Emit) -> Results:
        """Do the remaining runs, tell `emit` what happens, and leave summary.csv written - also when interrupted.

        Returns:
            All results in the folder.

        Raises:
            StorageError: a file cannot be written; what is finished is kept.
            UserError: runs that were finished are not in the folder any more.
        """
        folder = self.conditions.folder
        remaining = remaining_units(self.units, self.finished, folder)
        try:
            get_executor(self.conditions.executor).execute(remaining, self.conditions, emit)
        except BaseException:
            with contextlib.suppress(UserError, OSError):  # what stopped the sweep says more
                self._summarise()
            raise
        results = self._summarise()
        failed = {stored.run.run_id: stored.status == "failed" for stored in results.runs}
        if lost := sum(run.run_id not in failed for run in self.plan.runs):
            raise UserError(
                f"{lost} of {len(self.plan.runs)} runs are not in out (={folder}): it was moved, or files in it were "
                "removed or changed while the sweep ran; the same command trains what is missing."
            )
        if not any(failed.get(run.run_id, True) for run in self.plan.others):  # another shard may need its states
            units = [unit for unit in self.units if any(failed[run.run_id] for run in unit.runs)]
            tried_again = {unit.checkpoint_file(folder) for unit in units}
            forget_stacks(folder, lambda state: state not in tried_again)  # others are of stacks cut differently
        return results

    def _summarise(self) -> Results:
        """Write summary.csv from all that is in the folder, and return that."""
        folder = self.conditions.folder
        if not folder.is_dir():
            return Results(folder, [], [])
        with turn_to_summarise(folder, self.plan.shard):
            results = load_results(folder)
            write_summary(results)
        return results


@contextmanager
def open_sweep(plan: Plan, folder: str | Path, *, fresh: bool = False, **options: Any) -> Iterator[OpenSweep]:
    """Check that `plan` can be done, lock its results folder, which is made if needed, and write the sweep's file.

    Runs of ours that are in the folder are forgotten if it is to be `fresh`. The `options` are those of
    `execution.executors.conditions_of`: `jobs` (number of units of work at a time), `runs_per_gpu`, `data_dir`,
    `checkpoint_seconds`, `recompute`, `cuda_graphs`, `save_models`, `executor` and `address`.

    Raises:
        UserError: no such device, a data set is missing or corrupt, a batch exceeds the training set, the folder
            cannot be written, is in use by another sweep, comes from a newer version of the program, or holds
            something else.
    """
    conditions = conditions_of(plan, folder, **options)
    folder = conditions.folder
    units = make_units(plan, conditions)
    get_executor(conditions.executor).check(plan.runs, conditions)

    check_folder(folder, plan.task.name)
    if is_packed(folder):
        raise UserError(
            f"out (={folder}) holds packed results, which sweeps do not change; unpack them with `resnet-exp unpack`, "
            "or choose another folder with --out."
        )
    with locked(folder, plan.shard, partial(_write_sweep_file, plan, folder)):
        if fresh:
            forget_runs(folder, None if plan.shard is None else plan.runs)
            own = {unit.checkpoint_file(folder) for unit in units}
            forget_stacks(folder, own.__contains__)
        _remove_leftovers(plan, folder)
        damaged = _set_damaged_weights_aside(plan.runs, folder) if conditions.save_models else []
        finished, problems = finished_runs(plan.runs, conditions)
        for run_id in finished:  # left by a kill just after the run was finished
            (folder / RUNS_FOLDER / run_id / CHECKPOINT_FILE).unlink(missing_ok=True)
        yield OpenSweep(plan, conditions, units, finished, problems + damaged)


def _remove_leftovers(plan: Plan, folder: Path) -> None:
    """Remove what killed processes have not finished; where other shards write, only what is old."""
    shared = plan.shard is not None
    for place in (folder, folder / STACKS_FOLDER):
        remove_temporary_files(place, idle_seconds=IDLE_SECONDS_OF_SHARDS if shared else 0)
    for place in [run_folder(folder, run) for run in plan.runs] if shared else folder.glob(f"{RUNS_FOLDER}/*"):
        remove_temporary_files(place, idle_seconds=0)


def _write_sweep_file(plan: Plan, folder: Path, others_at_work: bool) -> None:
    """Write the sweep's file, unless other shards work by one that asks for the same.

    Raises:
        UserError: they work by another.
    """
    content = {"format": FORMAT, **plan.resolved}
    if others_at_work:
        found = check_sweep_file(folder)
        if what_is_asked(found) != what_is_asked(content):
            raise UserError(
                f"out (={folder}) is in use by shards of another sweep than this one, which asks for other runs; "
                "give all shards the same settings, or choose another folder with --out."
            )
        return
    write_text(folder / SWEEP_FILE, tomli_w.dumps(content))


def _set_damaged_weights_aside(runs: list[Run], folder: Path) -> list[str]:
    """A sentence for each saved net that could not be used."""
    problems = []
    for run in runs:
        if has_weights(folder, run):
            try:
                read_weights(folder, run)
            except UnusableWeights:
                path = run_folder(folder, run) / WEIGHTS_FILE
                kept = set_aside(path).name
                problems.append(f"{path} is damaged; it is kept as {kept}, and the run is trained again.")
    return problems
