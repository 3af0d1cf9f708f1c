"""How hard is the identity to learn? Stacks of plain and of residual layers learn to return their input.

He et al. 2015 (arXiv 1512.03385, §3.1 and §3.2): a deeper net need not be worse than a shallower one if its additional
layers are identities. Optimisers seem to have difficulty finding identities with plain layers, whereas they could drive
a residual function to zero. Kowsik (2021), "Residual Neural Networks": weights start close to zero, so an optimiser
easily gets close to the zero function, while for the identity all nine weights of a 3×3 filter must be learned.

Three experiments, each with plain and residual stacks that have the same initial values and the same batches:

    filter    one linear 3×3 filter, without bias, on digits of 8×8 pixels. The plain filter must become 1 in the middle
              and 0 elsewhere; with a skip around it, it must become 0 everywhere. The loss is quadratic in the weights
              with the same curvature for both, so the skip only changes the distance between start and solution.
    vectors   depth × (16→16, ReLU), on max(0, z) with standard normal z, like the activations of a ReLU layer
    images    depth × (3×3 convolution 4→4, ReLU), on digits, with a different one in each of the four channels

All inputs are non-negative, so there are weights with which each stack, including ReLUs, is exactly the identity. In a
residual stack each skip spans `block_size` layers, starting with the first, and the last skip spans the remaining ones:
at depth 3 and block size 2, one layer. Training inputs are drawn anew for every step; Adam, batches of 16, no
normalisation.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from resnet_cli.models.initialisation import initialise
from resnet_cli.models.mlp import MLPBlock
from resnet_cli.models.resnet import ConvBlock
from resnet_cli.models.settings import INIT, WIDTH, Initialisation
from resnet_cli.settings.run import Run
from resnet_cli.settings.seeding import derive_seed
from resnet_cli.tasks import get_task
from resnet_cli.training.device import resolve_device
from resnet_cli.training.optimizers import build_optimizer
from resnet_cli.training.settings import BATCH_SIZE

Experiment = Literal["filter", "vectors", "images"]
EXPERIMENTS: tuple[Experiment, ...] = get_args(Experiment)
KINDS = ("plain", "residual")
INITS: tuple[Initialisation, ...] = ("default", "he")
WEIGHTS = tuple(f"weight_{row}{column}" for row in (1, 2, 3) for column in (1, 2, 3))
CHANNELS = 4
TEST_SIZE = 256
EVALUATIONS = 25
NEAR = 0.01
SETTINGS = Run(
    task="digits",
    model="plain-mlp",
    depth=1,
    seed=0,
    width=16,
    activation="relu",
    batch_norm=False,
    dropout=0.0,
    init="default",
    optimizer="adam",
    weight_decay=0.0,
    learning_rate=0.01,  # with 0.001 one plain layer needs over 1000 steps; 0.003 and 0.03 give similar results
    batch_size=16,
    steps=1,
    schedule="constant",
    warmup_steps=0,
    eval_every=1,
    eval_size=1,
    precision="float32",
)


class LinearFilter(nn.Module):
    """One linear 3×3 filter on one channel, with a skip around it if it is residual."""

    def __init__(self, *, is_residual: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        self.is_residual = is_residual

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) to (B, 1, H, W)."""
        filtered = self.conv(images)
        return filtered + images if self.is_residual else filtered  # type: ignore[no-any-return]


def build_stack(experiment: Experiment, depth: int, *, is_residual: bool, block_size: int) -> nn.Module:
    """A stack of layers, which `initialise` gives the same initial values with and without skips."""
    if experiment == "filter":
        return LinearFilter(is_residual=is_residual)
    blocks: list[nn.Module] = []
    for first in range(0, depth, block_size):
        numbers = range(first, min(first + block_size, depth))
        if experiment == "vectors":
            blocks.append(MLPBlock(SETTINGS, numbers, is_residual=is_residual))
        else:
            convolutions = [nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in numbers]
            blocks.append(ConvBlock(SETTINGS, convolutions, nn.Identity() if is_residual else None))
    return nn.Sequential(*blocks)


class Inputs:
    """The inputs of an experiment, drawn with given generators."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        data = get_task("digits").load(SETTINGS, None)
        self.images = {"train": data.train_inputs[:, 0].float() / 255, "test": data.test_inputs[:, 0].float() / 255}

    def draw(self, split: Literal["train", "test"], count: int, generator: torch.Generator) -> Tensor:
        """(count, 16) vectors or (count, channels, 8, 8) images, with non-negative values."""
        if self.experiment == "vectors":
            return torch.randn(count, SETTINGS[WIDTH], generator=generator).relu()
        images = self.images[split]
        channels = 1 if self.experiment == "filter" else CHANNELS
        return images[torch.randint(len(images), (count, channels), generator=generator)]


def measure(
    depths: Sequence[int], seeds: Sequence[int], *, steps: int, block_size: int = 2, device: str = "auto"
) -> Iterator[pd.DataFrame]:
    """Train plain and residual stacks, for each of `INITS` and each seed, and measure them 25 to 50 times on the way.

    Args:
        depths: numbers of layers in the stacks for vectors and images; the filter is one layer.
        seeds: of initial values and batches.
        steps: number of optimiser steps.
        block_size: number of layers that a skip spans.
        device: auto, cpu, cuda, cuda:N or mps.

    Yields:
        For the filter, and for each depth of vectors and of images, a frame with one row per evaluation: `experiment`,
        `kind` (plain or residual), `init`, `depth`, `seed`, `step`, `loss` (mean squared error on test inputs),
        `relative_error` (‖f(x) − x‖ / ‖x‖ over these), `constant_error` (the same for the best constant output); and
        for the filter `distance` (root-mean-square difference between its nine weights and those of the identity) and
        the weights themselves, `weight_11` to `weight_33`.
    """
    for experiment, depth in experiments_of(depths):
        inputs = Inputs(experiment)
        both = (
            _train(inputs, depth, is_residual, seeds, steps, block_size, resolve_device(device))
            for is_residual in (False, True)
        )
        yield pd.concat(both, ignore_index=True)


def experiments_of(depths: Sequence[int]) -> list[tuple[Experiment, int]]:
    """The experiments with their numbers of layers, in the order in which they are done; the filter is one layer."""
    return [(experiment, depth) for experiment in EXPERIMENTS for depth in ((1,) if experiment == "filter" else depths)]


def _train(
    inputs: Inputs,
    depth: int,
    is_residual: bool,
    seeds: Sequence[int],
    steps: int,
    block_size: int,
    device: torch.device,
) -> pd.DataFrame:
    """Train all stacks of one kind and depth together, each as if it were alone."""
    experiment = inputs.experiment
    who = list(itertools.product(INITS, seeds))
    nets = [build_stack(experiment, depth, is_residual=is_residual, block_size=block_size) for _ in who]
    for net, (init, seed) in zip(nets, who, strict=True):
        initialise(net, init, seed)
    parameters, _ = stack_module_state([net.to(device) for net in nets])
    optimizer = build_optimizer(SETTINGS, parameters.values())

    def squared_error(values: dict[str, Tensor], targets: Tensor) -> Tensor:
        outputs: Tensor = functional_call(nets[0], values, (targets,))
        return (outputs - targets).square().mean()

    test = inputs.draw("test", TEST_SIZE, generator(0, experiment, "test")).to(device)
    batches = [generator(seed, experiment, "batches") for seed in seeds]
    interval = max(steps // EVALUATIONS, 1)
    evaluated, losses, filters = list[int](), list[Tensor](), list[Tensor]()
    for step in range(steps + 1):
        if step % interval == 0 or step == steps:
            evaluated.append(step)
            with torch.no_grad():
                losses.append(torch.vmap(squared_error, in_dims=(0, None))(parameters, test))
            if experiment == "filter":
                filters.append(parameters["conv.weight"].detach().flatten(1).clone())
        if step < steps:
            drawn = [inputs.draw("train", SETTINGS[BATCH_SIZE], batch) for batch in batches]
            optimizer.zero_grad()
            loss: Tensor = torch.vmap(squared_error)(parameters, torch.stack(drawn * len(INITS)).to(device)).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    nets_and_steps = [(step, *one) for step in evaluated for one in who]
    frame = pd.DataFrame(nets_and_steps, columns=["step", INIT.name, "seed"])
    frame = frame.assign(
        loss=torch.cat(losses).cpu().numpy(), experiment=experiment, kind=KINDS[is_residual], depth=depth
    )
    scale = test.square().mean().item()
    frame["relative_error"] = (frame["loss"] / scale) ** 0.5
    frame["constant_error"] = ((test - test.mean(0)).square().mean().item() / scale) ** 0.5
    if filters:
        weights = torch.cat(filters).cpu()  # (evaluations × nets, 9)
        identity = torch.zeros(9) if is_residual else torch.eye(9)[4]  # 1 in the middle
        frame["distance"] = (weights - identity).square().mean(1).sqrt().numpy()
        frame[list(WEIGHTS)] = weights.numpy()
    return frame


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """What was found, as medians over seeds, in a row for each `experiment`, `depth` and `init`.

    It holds the relative errors at the end, `plain` and `residual`, and for the filter the first steps, `near_plain`
    and `near_residual`, at which its weights are nearer than `NEAR` to those of the identity (nan if they never are).
    """
    cell = ["experiment", "depth", INIT.name]
    last = frame[frame["step"] == frame["step"].max()]
    errors = last.pivot_table("relative_error", cell, "kind", "median", sort=False)[list(KINDS)]
    distances = frame.dropna(subset="distance").groupby([*cell, "kind", "step"])["distance"].median().reset_index()
    near = distances[distances["distance"] < NEAR].pivot_table("step", cell, "kind", "min")
    near = near.reindex(index=errors.index, columns=list(KINDS)).add_prefix("near_")
    found: pd.DataFrame = errors.join(near).reset_index()
    return found


def generator(seed: int, *names: str) -> torch.Generator:
    """The generator with this seed and name."""
    return torch.Generator().manual_seed(derive_seed(seed, "identity", *names))
