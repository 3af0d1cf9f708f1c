"""Do the three forms of a ResNeXt block compute the same function? Their outputs and gradients with the same weights.

Xie et al. 2017, "Aggregated Residual Transformations for Deep Neural Networks" (arXiv 1611.05431, §3.3, Fig. 3): the
forms a, b and c are equivalent. So nets of two forms with the same weights must agree up to rounding, in all outputs
and in the gradients of all weights. Rounding can be told from a real difference by the precision: in float64 it is 2⁻²⁹
of that in float32.

The weights of one form are carried over to the others. They are random, and so are the scales and shifts of the batch
norms, because those of an untrained net would hide mistakes: they are all 1 and 0.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from resnet_cli.models import build_net
from resnet_cli.models.resnext import CARDINALITY, FORM, MODELS
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.run import Run
from resnet_cli.settings.seeding import derive_seed
from resnet_cli.tasks.data import Data
from resnet_cli.training.batches import Batches
from resnet_cli.training.data import load_data
from resnet_cli.training.settings import BATCH_SIZE, PRECISION

BATCH = 16
BITS = {"float32": 32, "float64": 64}
QUANTITIES = ("outputs", "gradients")


def make_runs(depths: Sequence[int], cardinalities: Sequence[int], seeds: Sequence[int]) -> list[Run]:
    """A run on the digits for each depth, cardinality, seed and precision, of the first form.

    Raises:
        UserError: the model has no such depth.
    """
    (model,) = MODELS
    request: dict[str, Any] = {"task": "digits", "models": model.name, "depths": list(depths), "seeds": list(seeds)}
    request |= {BATCH_SIZE.name: BATCH}
    return plan_sweep(
        request | {CARDINALITY.name: list(cardinalities), PRECISION.name: list(BITS), FORM.name: FORM.choices[0]}
    ).runs


def compare_forms(run: Run, device: str = "auto") -> pd.DataFrame:
    """How far apart nets of all forms are that have the same weights, on the first training batch of a run.

    Returns:
        One row per pair of forms: `depth`, `cardinality`, `seed`, `bits` (of its numbers), `form_first`, `form_second`,
        and for `outputs` (in training and in evaluation mode) and `gradients` (of all weights) the greatest relative
        difference: the largest of a tensor, relative to the largest value in it.
    """
    data = load_data(run, None, device)
    weights = random_weights(run, data)
    found = {form: everything_computed(run.but({FORM: form}), weights, data) for form in FORM.choices}
    rows = []
    for first, second in itertools.combinations(FORM.choices, 2):
        row: dict[str, Any] = {
            "depth": run.depth,
            CARDINALITY.name: run[CARDINALITY],
            "seed": run.seed,
            "bits": BITS[run[PRECISION]],
        }
        row |= {"form_first": first, "form_second": second}
        for name in QUANTITIES:
            pairs = zip(found[first][name], found[second][name], strict=True)
            row[name] = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
        rows.append(row)
    return pd.DataFrame(rows)


def random_weights(run: Run, data: Data) -> dict[str, Tensor]:
    """A state dict of a run's net: its initial values, but batch norms scale by 0.5 to 1.5 and shift by ±0.5."""
    net = build_net(run, data.input_shape, data.outputs)
    generator = torch.Generator().manual_seed(derive_seed(run.seed, "forms"))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator)
            nn.init.uniform_(module.bias, -0.5, 0.5, generator)
    return net.state_dict()


def everything_computed(run: Run, weights: dict[str, Tensor], data: Data) -> dict[str, list[Tensor]]:
    """The `outputs` of a run's net in training and in evaluation mode, and the `gradients` of its training loss."""
    net = build_net(run, data.input_shape, data.outputs)
    net.load_state_dict(weights)
    net = data.adapt(net).train()
    inputs, targets = Batches(run, data)[0]
    trained = net(inputs)
    gradients = torch.autograd.grad(data.losses(trained, targets).mean(), list(net.parameters()))
    return {"outputs": [trained.detach(), net.eval()(inputs).detach()], "gradients": list(gradients)}


def measure(runs: Sequence[Run], device: str = "auto") -> Iterator[pd.DataFrame]:
    """What `compare_forms` finds for each of some runs."""
    return (compare_forms(run, device) for run in runs)


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """The greatest relative differences of outputs and of gradients, by number of bits and pair of forms."""
    group = ["bits", "form_first", "form_second"]
    found = frame.groupby(group)[list(QUANTITIES)].max()
    return found.assign(nets=frame.groupby(group).size())[["nets", *QUANTITIES]].reset_index()
