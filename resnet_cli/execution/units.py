"""A unit of work for a process: one run in the loop, or a stack of runs that train together."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from resnet_cli.planning.plan import Plan
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.store.layout import CHECKPOINT_FILE, STACKS_FOLDER, run_folder
from resnet_cli.tasks import get_task
from resnet_cli.tasks.data import Data
from resnet_cli.training.device import has_small_layers
from resnet_cli.training.stacked.grouping import can_stack, group_runs, stack_name


@dataclass(frozen=True)
class Job:
    """A single run for the loop, or runs that are trained together in a stack.

    `finished` are the ids of the runs whose files exist already; they only remain as members of the stack.
    """

    runs: tuple[Run, ...]
    stacked: bool
    finished: frozenset[str] = frozenset()

    def threads(self, most: int) -> int:
        """How many threads it uses on a CPU where it may have `most`: one where its layers are too small to share."""
        return 1 if self.stacked or _has_small_layers(self.runs[0]) else most

    @property
    def unfinished(self) -> list[Run]:
        """The runs whose files have yet to be written."""
        return [run for run in self.runs if run.run_id not in self.finished] if self.finished else list(self.runs)

    def after(self, finished: Collection[str], folder: Path) -> "Job":
        """What is left of the job when the runs with these ids are finished.

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


def make_jobs(plan: Plan, data: Callable[[Run], Data], workers: int, device_type: str) -> list[Job]:
    """All runs of a plan as jobs: those of the loop first, and the longest first within each kind.

    They depend only on the plan, not on what is finished already, so that a resumed sweep finds its checkpoints and
    trains each run with the same engine as before.

    Args:
        plan: with engine `auto` (stack what can be stacked, but leave a net that has no company to the loop where its
            layers are large enough for several threads), `loop` or `stacked`.
        data: returns a run's data on their device.
        workers: number of processes that will do jobs at the same time.
        device_type: cpu, cuda or mps.

    Raises:
        UserError: the engine is `stacked`, and there is a run that cannot be stacked.
    """
    stackable = [] if plan.engine == "loop" else [run for run in plan.runs if can_stack(run, device_type)]
    if plan.engine == "stacked" and len(stackable) < len(plan.runs):
        run = next(run for run in plan.runs if not can_stack(run, device_type))
        raise UserError(
            f"engine (=stacked) cannot train {run.run_id}; it trains plain-mlp and residual-mlp without batch "
            "norm, dropout and stochastic depth in float32 or float64 on cpu or cuda, so use --engine auto."
        )
    stacks = [tuple(stack) for stack in group_runs(stackable, data, workers)]
    if plan.engine == "auto":
        stacks = [stack for stack in stacks if len(stack) > 1 or _has_small_layers(stack[0])]
    in_stacks = {run for stack in stacks for run in stack}
    alone = [Job((run,), stacked=False) for run in plan.runs if run not in in_stacks]
    return alone + [Job(stack, stacked=True) for stack in stacks]


def _has_small_layers(run: Run) -> bool:
    return has_small_layers(run, get_task(run.task).input_shape(run))
