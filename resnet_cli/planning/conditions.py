"""Where and how the runs of a plan are trained, as one value."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_cli.planning.plan import Plan
from resnet_cli.settings.errors import UserError
from resnet_cli.training.device import available_cores, device_type
from resnet_cli.training.settings import PRECISION


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Where and how runs are trained. None of it decides what a run is; it can change the last bits of its results."""

    folder: Path
    device: str  # auto, cpu, cuda, cuda:N or mps, on the machine that trains
    workers: int  # number of units of work that are trained at the same time
    threads: int  # most threads of a worker
    executor: str = "auto"  # see `resnet_cli.execution.executors`; auto: this process or several, as `workers` says
    data_dir: Path | None = None  # see `resnet_cli.tasks`
    checkpoint_seconds: float = 10.0  # least time between two checkpoints of a run
    recompute: bool = False  # whether to compute blocks again in the backward pass, to save memory
    cuda_graphs: bool = True  # whether to replay training steps on CUDA devices as graphs, where that is possible
    save_models: bool = False  # whether to keep the final weights; a finished run that has none is trained again
    plugins: tuple[str, ...] = ()  # full paths of the files that every process runs first


def choose_conditions(
    plan: Plan, folder: str | Path, *, jobs: int | None = None, data_dir: str | Path | None = None, **others: Any
) -> Conditions:
    """The conditions of a plan: its device, and its threads or this machine's cores divided among the workers.

    They follow from the whole plan, not from what is left of it: a sweep that resumes gives the same bits. Without
    `jobs`, there is one worker per core on a CPU (at most one per run), and one on an accelerator.

    Raises:
        UserError: there is no such kind of device, or it lacks the precision of a run.
    """
    kind = device_type(plan.device)
    if kind == "mps" and any(run[PRECISION] == "float64" for run in plan.runs):
        raise UserError("precision (=float64) does not exist on device mps; use --device cpu.")
    cores = available_cores()
    if jobs is None:
        jobs = max(1, min(cores, len(plan.runs))) if kind == "cpu" else 1
    threads = plan.threads or max(1, cores // jobs)
    return Conditions(
        folder=Path(folder),
        device=plan.device,
        workers=jobs,
        threads=threads,
        data_dir=None if data_dir is None else Path(data_dir),
        plugins=tuple(plan.resolved.get("plugins", ())),
        **others,
    )
