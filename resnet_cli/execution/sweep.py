"""A sweep on disk: open its folder, skip what is finished, do the rest."""

import contextlib
import errno
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
import tomli_w

from resnet_cli.execution.processes import do_in_workers
from resnet_cli.execution.unit import Conditions, data_key, load_data, perform
from resnet_cli.execution.units import Job, make_jobs
from resnet_cli.planning.plan import Plan
from resnet_cli.settings.errors import StorageError, UserError
from resnet_cli.settings.events import Event, Status
from resnet_cli.settings.format import FORMAT
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.files import remove_temporary_files, set_aside, write_text
from resnet_cli.store.layout import (
    CHECKPOINT_FILE,
    RUN_FILE,
    RUNS_FOLDER,
    STACKS_FOLDER,
    SWEEP_FILE,
    WEIGHTS_FILE,
    run_folder,
)
from resnet_cli.store.ownership import check_folder, forget_runs, forget_stacks
from resnet_cli.store.packed import is_packed
from resnet_cli.store.reader import Results, load_results, load_run, write_summary
from resnet_cli.store.record import BrokenRun
from resnet_cli.store.weights import UnusableWeights, has_weights, read_weights
from resnet_cli.training.device import available_cores, resolve_device
from resnet_cli.training.loop import length
from resnet_cli.training.settings import PRECISION

LOCK_FILE = ".lock"
CHECKPOINT_SECONDS = 10.0


@dataclass(frozen=True)
class OpenSweep:
    """A sweep whose folder is locked: what is done, what is left, and how the rest will be done."""

    plan: Plan
    conditions: Conditions
    workers: int
    jobs: list[Job]
    finished: Mapping[str, tuple[Status, Metrics | None]]
    problems: list[str]

    def execute(self, emit: Callable[[Event], None]) -> Results:
        """Do the remaining runs, tell `emit` what happens, and leave summary.csv written - also when interrupted.

        Returns:
            All results in the folder.

        Raises:
            StorageError: a file cannot be written; what is finished is kept.
            UserError: runs that were finished are not in the folder any more.
        """
        folder = self.conditions.folder
        remaining = [left for job in self.jobs if (left := job.after(self.finished, folder)).unfinished]
        try:
            if self.workers == 1 or len(remaining) <= 1:
                for job in remaining:
                    perform(job, self.conditions, emit)
            else:
                do_in_workers(remaining, self.conditions, self.workers, emit)
            forget_stacks(folder)  # states of stacks that were cut differently
        except BaseException:
            with contextlib.suppress(StorageError):  # what stopped the sweep says more
                write_summary(load_results(folder))
            raise
        results = load_results(folder)
        write_summary(results)
        stored = {stored.run.run_id for stored in results.runs}
        if lost := sum(run.run_id not in stored for run in self.plan.runs):
            raise UserError(
                f"{lost} of {len(self.plan.runs)} runs are not in out (={folder}): it was moved, or files in it were "
                "removed or changed while the sweep ran; the same command trains what is missing."
            )
        return results


@contextmanager
def open_sweep(
    plan: Plan,
    folder: str | Path,
    *,
    jobs: int | None = None,
    data_dir: str | Path | None = None,
    fresh: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    recompute: bool = False,
    save_models: bool = False,
) -> Iterator[OpenSweep]:
    """Check that `plan` can be done, lock `folder`, and write the sweep's file into it.

    Args:
        plan: what to do.
        folder: the results folder; made if needed.
        jobs: processes; by default one a core on a CPU (at most one a run), one on an accelerator.
        data_dir: where data sets are; see `resnet_cli.tasks`.
        fresh: forget all runs of ours that are in the folder.
        checkpoint_seconds: least time between two checkpoints of a run.
        recompute: whether to compute blocks again in the backward pass, to save memory.
        save_models: whether to keep the final weights of each run; a finished run that has none is trained again.

    Raises:
        UserError: no such device, a data set is missing or corrupt, a batch exceeds the training set, the folder
            cannot be written, is in use by another sweep, comes from a newer version of the program, or holds
            something else.
    """
    folder = Path(folder)
    data_dir = None if data_dir is None else Path(data_dir)
    conditions, workers = choose_conditions(
        plan,
        folder,
        jobs=jobs,
        data_dir=data_dir,
        checkpoint_seconds=checkpoint_seconds,
        recompute=recompute,
        save_models=save_models,
    )
    for run in sorted(plan.runs, key=data_key):
        length(run, load_data(run, conditions))
    device = resolve_device(plan.device)
    jobs_of_plan = make_jobs(plan, lambda run: load_data(run, conditions), workers, device.type)

    check_folder(folder, plan.task.name)
    if is_packed(folder):
        raise UserError(
            f"out (={folder}) holds packed results, which sweeps do not change; unpack them with `resnet-exp unpack`, "
            "or choose another folder with --out."
        )
    with _locked(folder):
        if fresh:
            forget_runs(folder)
        for place in (folder, folder / STACKS_FOLDER, *folder.glob(f"{RUNS_FOLDER}/*")):
            remove_temporary_files(place, idle_seconds=0)
        damaged = _set_damaged_weights_aside(plan.runs, folder) if save_models else []
        finished, problems = finished_runs(plan.runs, folder, with_weights=save_models)
        for run_id in finished:  # left by a kill just after the run was finished
            (folder / RUNS_FOLDER / run_id / CHECKPOINT_FILE).unlink(missing_ok=True)
        write_text(folder / SWEEP_FILE, tomli_w.dumps({"format": FORMAT, **plan.resolved}))
        yield OpenSweep(plan, conditions, workers, jobs_of_plan, finished, problems + damaged)


def choose_conditions(
    plan: Plan,
    folder: Path,
    *,
    jobs: int | None,
    data_dir: Path | None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    recompute: bool = False,
    save_models: bool = False,
) -> tuple[Conditions, int]:
    """Where and how a plan is done, and in how many processes.

    Both follow from the whole plan, not from what is left of it: a sweep that resumes gives the same bits.
    """
    device = resolve_device(plan.device)
    if device.type == "mps" and any(run[PRECISION] == "float64" for run in plan.runs):
        raise UserError("precision (=float64) does not exist on device mps; use --device cpu.")
    cores = available_cores()
    if jobs is None:
        jobs = min(cores, len(plan.runs)) if device.type == "cpu" else 1
    threads = plan.threads or max(1, cores // jobs)
    return Conditions(folder, plan.device, threads, data_dir, checkpoint_seconds, recompute, save_models), jobs


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / LOCK_FILE, timeout=0)
        lock.acquire()
    except filelock.Timeout:
        raise UserError(
            f"out (={folder}) is in use by another sweep; wait for it to end, or choose another folder with --out."
        ) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageError(folder, error) from None
        raise UserError(f"out (={folder}) cannot be written: {error.strerror}; choose another with --out.") from None
    try:
        yield
    finally:
        lock.release()


def finished_runs(
    runs: list[Run], folder: Path, *, with_weights: bool
) -> tuple[dict[str, tuple[Status, Metrics | None]], list[str]]:
    """Status and last evaluation of the runs that `folder` has already, by run id, and a sentence for each broken one.

    Failed runs are not finished, nor, `with_weights`, are those whose final weights are not there.
    """
    finished: dict[str, tuple[Status, Metrics | None]] = {}
    problems = []
    for run in runs:
        place = run_folder(folder, run)
        if not place.exists():
            continue
        try:
            stored = load_run(place)
        except BrokenRun as problem:
            if (place / RUN_FILE).exists():
                problems.append(f"{problem.path} is trained again: {problem.reason}.")
            continue
        if stored.status != "failed" and (not with_weights or has_weights(folder, run)):
            finished[run.run_id] = (stored.status, stored.last)
    return finished, problems


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
