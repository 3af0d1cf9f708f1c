"""Whether a device has the CPU's results, for every model: loss, gradient and a few steps of training.

Both start from the same parameters and see the same batches. float32 is float32: TF32 is off.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.random_images import random_images
from resnet_cli.models import all_models, build_net
from resnet_cli.models.base import Model
from resnet_cli.models.settings import DROPOUT
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.errors import shorten
from resnet_cli.settings.run import Run
from resnet_cli.store.record import RunRecord
from resnet_cli.tasks import get_task
from resnet_cli.tasks.data import Data
from resnet_cli.training import graphs
from resnet_cli.training.graphs import Recorder
from resnet_cli.training.loop import DTYPES, train
from resnet_cli.training.optimizers import build_optimizer
from resnet_cli.training.settings import PRECISION
from resnet_cli.training.step import EagerStep
from tests.training.software_graph import SoftwareRecorder


@dataclass(frozen=True)
class Differences:
    """Relative differences between a device and the CPU.

    Attributes:
        loss: of the untrained net.
        gradient: of the first batch, by the norm of the difference.
        curve: the largest among the training losses after each step.
        graphs: the same between steps replayed as CUDA graphs and eager ones on the device.
    """

    loss: float
    gradient: float
    curve: float
    graphs: float

    def within(self, limit: "Differences") -> bool:
        """Whether none is above its limit; what is not a number is."""
        return all(value <= vars(limit)[name] for name, value in vars(self).items())


LIMITS = {
    "float64": Differences(loss=1e-12, gradient=1e-9, curve=1e-8, graphs=1e-8),
    "float32": Differences(loss=1e-5, gradient=5e-2, curve=1e-2, graphs=1e-2),
}
"""At least ten times as far as float32 is from float64 on a CPU, over all models: 5e-7, 4e-3 and 4e-4. The inputs of
some ReLUs are then on different sides of 0, which a gradient shows. A wrong kernel, layout or batch differs by about 1.
In float64 the limits are as far above rounding, which changes the side of no ReLU."""


@dataclass(frozen=True)
class Agreement:
    """How far a run on a device is from the same on the CPU.

    Attributes:
        eager: why steps were not replayed, so that nothing is known of graphs; empty if they were, as they should be.
        error: what ended the comparison; empty if nothing did.
    """

    run: Run
    found: Differences
    eager: str = ""
    error: str = ""

    @property
    def holds(self) -> bool:
        """Whether the device agrees with the CPU, and has replayed steps."""
        return not self.eager and self.found.within(LIMITS[self.run[PRECISION]])

    def cells(self) -> str:
        """What was found, as cells of a Markdown table."""
        cells = _cells(self.found)
        if self.eager:
            cells = f"{cells.rpartition(' | ')[0]} | not replayed: {self.eager}"
        verdict = "ok" if self.holds else f"**{self.error or 'differs'}**"
        return f"{cells} | {verdict}"


def compare(run: Run, data: Data, device: torch.device) -> Agreement:
    """Train a run, whose net has no random layers, on the CPU and on a device."""
    there = data.to(device, data.dtype)
    gradients = [first_gradient(run, where) for where in (data, there)]
    here, eager = (losses(train(run, where)) for where in (data, there))
    replayed = train(run, there, recorder=recorder_of(device))
    return Agreement(
        run,
        Differences(
            loss=apart(eager[:1], here[:1]),
            gradient=((gradients[1] - gradients[0]).norm() / gradients[0].norm()).item(),
            curve=apart(eager, here),
            graphs=apart(losses(replayed), eager),
        ),
        eager=str(replayed.environment.get("why_no_cuda_graphs", "")),
    )


def first_gradient(run: Run, data: Data) -> Tensor:
    """The gradient of an untrained net for the first batch, as a float64 vector on the CPU."""
    net = data.adapt(build_net(run, data.input_shape, data.outputs))
    step = EagerStep(run, data, net, build_optimizer(run, net.parameters()), {})
    step.learn(*step.batches.choice(0))
    return nn.utils.parameters_to_vector(
        [p.grad.contiguous() for p in net.parameters() if p.grad is not None]
    ).cpu().double()  # fmt: skip


def losses(record: RunRecord) -> list[float]:
    """The training losses of a run."""
    return [row.train_loss for row in record.history]


def apart(ours: list[float], theirs: list[float]) -> float:
    """The largest relative difference between two lists of losses; nan if one has no end."""
    if len(ours) != len(theirs) or not all(map(math.isfinite, ours + theirs)):
        return math.nan
    return max(abs(one - other) / abs(other) for one, other in zip(ours, theirs, strict=True))


def recorder_of(device: torch.device) -> Recorder:
    """What records steps on a device; in software where there are no CUDA graphs."""
    return graphs.recorder_of(device) or SoftwareRecorder()


def small_run(model: Model, precision: str, steps: int) -> Run:
    """A run of the shallowest net of a model, evaluated after each step."""
    request: dict[str, object] = {
        "task": "sine" if model.family == "mlp" else "cifar10",
        "models": model.name,
        "depths": model.depth_rule.first,
        "seeds": 0,
        "width": 8,
        "batch_size": 32,
        "steps": steps,
        "eval_every": 1,
        "eval_size": 16,
        "optimizer": "momentum",
        "learning_rate": 0.001,
        "precision": precision,
    }
    if DROPOUT in model.settings:
        request["dropout"] = 0
    (run,) = plan_sweep(request).runs
    return run


def data_of(run: Run) -> Data:
    """The data of a run on the CPU; random images instead of a download."""
    task = get_task(run.task)
    data = task.load(run, None) if task.archive is None else random_images(64)
    return data.to(torch.device("cpu"), DTYPES[run[PRECISION]])


def compare_all(device: torch.device, *, quick: bool) -> list[Agreement]:
    """Compare every model in float64 and float32; when `quick`, the first of each family."""
    models = list(all_models().values())
    if quick:
        models = [next(model for model in models if model.family == family) for family in ("mlp", "cnn")]
    runs = [small_run(model, precision, steps=5 if quick else 10) for model in models for precision in LIMITS]
    return [compared(run, device) for run in runs]


def compared(run: Run, device: torch.device) -> Agreement:
    """The same as `compare`; an error is what was found."""
    try:
        return compare(run, data_of(run), device)
    except Exception as error:
        return Agreement(run, Differences(*[math.nan] * 4), error=said(error))


def said(error: Exception) -> str:
    """An error in a line that can stand in a cell of a Markdown table."""
    words = " ".join(str(error).split()).replace("|", "/")
    return f"{type(error).__name__}: {shorten(words, 300)}"


def agreement_table(found: list[Agreement]) -> str:
    """A Markdown table of what `compare_all` found."""
    lines = [
        "| model | depth | precision | first loss | first gradient | losses | graphs and eager | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for precision, limit in LIMITS.items():
        lines.append(f"| *limit* | | {precision} | {_cells(limit)} | |")
    for each in found:
        run = each.run
        lines.append(f"| {run.model} | {run.depth} | {run[PRECISION]} | {each.cells()} |")
    return "\n".join(lines)


def _cells(differences: Differences) -> str:
    return " | ".join(f"{value:.0e}" if value else "0" for value in vars(differences).values())
