"""Where and how the runs of a plan are trained, as one value."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_cli.planning.plan import Plan
from resnet_cli.settings.errors import UserError
from resnet_cli.training.device import available_cores, device_type, visible_gpus
from resnet_cli.training.settings import PRECISION


@dataclass(frozen=True)
class Machine:
    """A machine that trains: how many cores and CUDA GPUs of it may be used."""

    cores: int
    gpus: int = 0


def this_machine() -> Machine:
    """The machine of this process."""
    return Machine(available_cores(), visible_gpus())


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Where and how runs are trained. None of it decides what a run is; it can change the last bits of its results."""

    folder: Path
    device: str  # cpu, cuda, cuda:N or mps, on the machine that trains; cuda stands for all of its GPUs
    workers: int  # number of units of work that are trained at the same time
    threads: int  # most threads of a worker
    runs_per_gpu: int = 1  # number of workers that share a GPU
    executor: str = "local"  # see `resnet_cli.execution.executors`
    address: str | None = None  # of the machines that train, if the executor is to find them there
    data_dir: Path | None = None  # see `resnet_cli.tasks`
    checkpoint_seconds: float = 10.0  # least time between two checkpoints of a run
    recompute: bool = False  # whether to compute blocks again in the backward pass, to save memory
    cuda_graphs: bool = True  # whether to replay training steps on CUDA devices as graphs, where that is possible
    save_models: bool = False  # whether to keep the final weights; a finished run that has none is trained again
    plugins: tuple[str, ...] = ()  # full paths of the files that every process runs first


def choose_conditions(
    plan: Plan,
    folder: str | Path,
    *,
    jobs: int | None = None,
    runs_per_gpu: int | None = None,
    data_dir: str | Path | None = None,
    machines: Sequence[Machine] = (),
    **others: Any,
) -> Conditions:
    """The conditions of a plan on some machines, this one by default: device, workers, and threads of each worker.

    They follow from the whole plan, not from what is left of it or a share: all of them give the same bits. Without
    `jobs`, there is one worker per core on CPUs, `runs_per_gpu` (1) per GPU on CUDA, but at most one per run. The
    threads are those that the plan asks for, or the cores divided among the workers.

    Raises:
        UserError: there is no such kind of device, it lacks the precision of a run, or `runs_per_gpu` does not fit to
            it or to `jobs`.
    """
    machines = machines or [this_machine()]
    device = plan.device
    if device == "auto":
        device = "cuda" if any(machine.gpus for machine in machines) else "cpu"
    kind = device_type(device)
    if kind == "mps" and any(run[PRECISION] == "float64" for run in plan.runs):
        raise UserError("precision (=float64) does not exist on device mps; use --device cpu.")
    if kind != "cuda" and runs_per_gpu is not None:
        raise UserError(f"runs_per_gpu (={runs_per_gpu}) has no effect on device {kind}; leave it out.")
    share = runs_per_gpu or 1
    room, cores, most_threads = _room(device, machines, share)
    if runs_per_gpu is not None and jobs is not None and jobs > room:
        raise UserError(
            f"jobs (={jobs}) must be at most {room}, which is runs_per_gpu (={runs_per_gpu}) times the number of GPUs; "
            "leave one of the two out."
        )
    workers = jobs or max(1, min(room, len(plan.runs) + len(plan.others)))
    return Conditions(
        folder=Path(folder),
        device=device,
        workers=workers,
        threads=plan.threads or max(1, min(cores // workers, most_threads)),
        runs_per_gpu=share,
        data_dir=None if data_dir is None else Path(data_dir),
        plugins=tuple(plan.resolved.get("plugins", ())),
        **others,
    )


def _room(device: str, machines: Sequence[Machine], share: int) -> tuple[int, int, int]:
    """How many workers fit on some machines, `share` of them on a GPU; the cores of all; the most threads of one."""
    kind, _, number = device.partition(":")
    with_gpus = [machine for machine in machines if machine.gpus]
    if kind == "cuda" and with_gpus:
        cores = sum(machine.cores for machine in with_gpus)
        if number:
            return share, cores, cores
        most_threads = min(machine.cores // (machine.gpus * share) for machine in with_gpus)
        return share * sum(machine.gpus for machine in with_gpus), cores, most_threads
    cores = sum(machine.cores for machine in machines)
    return cores if kind == "cpu" else share, cores, max(machine.cores for machine in machines)
