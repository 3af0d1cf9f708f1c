"""Units of work: one run for the loop, or a stack of runs that train together; and what is left of them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.plan import Plan
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.events import Status
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.layout import CHECKPOINT_FILE, RUN_FILE, STACKS_FOLDER, run_folder
from resnet_cli.store.reader import load_run
from resnet_cli.store.record import BrokenRun
from resnet_cli.store.weights import has_weights
from resnet_cli.training.device import device_type, has_small_layers
from resnet_cli.training.schedule import length
from resnet_cli.training.stacked.grouping import group_runs, obstacle, stack_name


def kind_of_net(run: Run) -> str:
    """The same for runs that cost the same for each of their layers, since their nets differ only in depth."""
    return str((run.task, run.model, run.that_affect("shape", "cost")))


@dataclass(frozen=True)
class Unit:
    """A single run for the loop, or runs that are trained together in a stack.

    `finished` are the ids of the runs whose files exist already; they only remain as members of the stack.
    """

    runs: tuple[Run, ...]
    stacked: bool
    finished: frozenset[str] = frozenset()

    def threads(self, most: int) -> int:
        """How many threads it uses on a CPU where it may have `most`: one where its layers are too small to share."""
        return 1 if self.stacked or has_small_layers(self.runs[0]) else most

    @property
    def unfinished(self) -> list[Run]:
        """The runs whose files have yet to be written."""
        return [run for run in self.runs if run.run_id not in self.finished] if self.finished else list(self.runs)

    def after(self, finished: Collection[str], folder: Path) -> "Unit":
        """What is left of the unit when the runs with these ids are finished.

        A stack that was killed while writing its results resumes from its checkpoint, which includes all of its runs.
        """
        if not finished:  # an id is a hash: those of 100,000 runs take seconds
            return self
        if self.checkpoint_file(folder).exists():
            return replace(self, finished=frozenset(run.run_id for run in self.runs if run.run_id in finished))
        return replace(self, runs=tuple(run for run in self.runs if run.run_id not in finished))

    def checkpoint_file(self, folder: Path) -> Path:
        """Where its state is stored in a results folder until it is finished."""
        if self.stacked:
            return folder / STACKS_FOLDER / f"{stack_name(self.runs)}.pt"
        return run_folder(folder, self.runs[0]) / CHECKPOINT_FILE


def make_units(plan: Plan, conditions: Conditions) -> list[Unit]:
    """All runs of a plan as units of work: those of the loop first, and the longest first within each kind.

    They depend only on the plan, not on what is finished already, so that a resumed sweep finds its checkpoints and
    trains each run with the same engine as before. Neither the data nor the device are needed here. In a share of the
    plan, too, a run has the engine that it would have in the whole.

    Engine `auto` stacks what can be stacked, but leaves a net that has no company to the loop where its layers are
    large enough for several threads.

    Raises:
        UserError: a batch is larger than the training set, or the engine is `stacked`, and there is a run that cannot
            be stacked.
    """
    everything = [*plan.runs, *plan.others]
    for run in everything:
        length(run, plan.task.examples(run)[0])
    kind = device_type(conditions.device)
    obstacles = {} if plan.engine == "loop" else {run: obstacle(run, kind) for run in everything}
    for run, found in obstacles.items():
        if plan.engine == "stacked" and found:
            raise UserError(f"engine (=stacked) cannot train {run.run_id} with {found}; use --engine auto.")
    stackable = [run for run, found in obstacles.items() if not found]
    stacks = [tuple(stack) for stack in group_runs(stackable, kind, conditions.workers)]
    if plan.engine == "auto":
        stacks = [stack for stack in stacks if len(stack) > 1 or has_small_layers(stack[0])]
    in_stacks = {run for stack in stacks for run in stack}
    if plan.others:
        stacks = [tuple(stack) for stack in group_runs(in_stacks & {*plan.runs}, kind, conditions.workers)]
    alone = [Unit((run,), stacked=False) for run in plan.runs if run not in in_stacks]
    return alone + [Unit(stack, stacked=True) for stack in stacks]


def remaining_units(units: Iterable[Unit], finished: Collection[str], folder: Path) -> list[Unit]:
    """What is left to do of units of work when the runs with these ids are finished."""
    return [left for unit in units if (left := unit.after(finished, folder)).unfinished]


def what_is_left(
    units: Iterable[Unit], conditions: Conditions, *, fresh: bool = False
) -> tuple[list[Unit], Collection[str]]:
    """What is left to do of units of work, and the ids of the runs that are finished on disk; all of it if `fresh`."""
    units = list(units)
    if fresh:
        return units, ()
    finished, _ = finished_runs((run for unit in units for run in unit.runs), conditions)
    return remaining_units(units, finished, conditions.folder), finished


def finished_runs(
    runs: Iterable[Run], conditions: Conditions
) -> tuple[dict[str, tuple[Status, Metrics | None]], list[str]]:
    """Status and last evaluation of the runs that are on disk already, by run id, and a sentence for each broken one.

    Failed runs are not finished, nor those without their final weights where these are to be saved.
    """
    finished: dict[str, tuple[Status, Metrics | None]] = {}
    problems = []
    for run in runs:
        place = run_folder(conditions.folder, run)
        if not place.exists():
            continue
        try:
            stored = load_run(place)
        except BrokenRun as problem:
            if (place / RUN_FILE).exists():
                problems.append(f"{problem.path} is trained again: {problem.reason}.")
            continue
        if stored.status != "failed" and (not conditions.save_models or has_weights(conditions.folder, run)):
            finished[run.run_id] = (stored.status, stored.last)
    return finished, problems
