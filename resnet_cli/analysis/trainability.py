"""How deep nets of a sweep over the initial standard deviation can be trained, beside mean-field theory's depth scale.

Schoenholz et al. 2017 (arXiv 1611.01232): a net can be trained as long as information about its input reaches its
output, up to about six depth scales ξ (`mean_field.py`). Yang & Schoenholz 2017 (arXiv 1712.08969): residual nets do
not forget their input, but gradients of those with ReLU grow exponentially with depth.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from resnet_cli.analysis.mean_field import MeanField, nonlinearity, residual_gradient_growth
from resnet_cli.figures.heat import EDGE
from resnet_cli.figures.trainability import SCALES
from resnet_cli.models.initialisation import weight_std
from resnet_cli.models.settings import (
    ACTIVATION,
    BLOCK_SIZE,
    BRANCH_SCALE,
    INIT,
    INIT_BIAS_STD,
    INIT_STD,
    WIDTH,
    has_scaled_branches,
)
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.store.reader import Results
from resnet_cli.store.record import RunRecord
from resnet_cli.tasks import chance_losses, get_task
from resnet_cli.training.stacked.grouping import obstacle

CURVE_POINTS = 60
DEEPEST = 150
"""A residual net whose gradients have not grown by then has no depth scale."""
KIND = (ACTIVATION, WIDTH, BLOCK_SIZE, INIT_BIAS_STD)
"""What theory takes from a run beside its deviation."""


def measure(results: Results) -> pd.DataFrame:
    """What nets reach by depth and initial standard deviation, and what theory says of them.

    Returns:
        A row for each kind of net (`task`, `model`, `activation`, `width`, `block_size`, `init_bias_std`), `init_std`
        and `depth`: `loss` (the median training loss over `seeds`, infinite where half of them diverged or more),
        `chance_loss` (of a constant answer), `default_std` (of PyTorch's initial weights in these nets), `sigma_w`
        (init_std · √width), `chi`, and `depth_scale` (in layers). Then rows without depth and loss, which draw the
        theory as a curve.

    Raises:
        UserError: no run starts with normal weights, nets are no MLPs, or they differ in a setting that theory does not
            know.
    """
    runs = [stored for stored in results.runs if stored.run.get(INIT_STD) is not None and stored.status != "failed"]
    if not runs:
        raise UserError(f"{INIT.name}: no run starts with normal weights; sweep over {INIT_STD.name} first.")
    for why in sorted({_beyond_theory(stored.run) for stored in runs} - {""}):
        raise UserError(
            f"{why}: the theory is of MLPs without batch norm, dropout and scaled branches; leave these runs out."
        )
    known = {setting.name for setting in (*KIND, INIT, INIT_STD)}
    if others := [name for name in results.varying if name not in known]:
        raise UserError(
            f"{others[0]}: the theory does not know this setting, in which runs differ; choose with --where."
        )
    chances = chance_losses(stored.run for stored in runs)
    kinds: dict[tuple[object, ...], list[RunRecord]] = {}
    for stored in runs:
        kinds.setdefault((stored.run.model, *(stored.run.get(setting) for setting in KIND)), []).append(stored)
    rows: list[dict[str, Any]] = []
    for members in kinds.values():
        lead = members[0].run
        inputs = _mean_square(lead)
        shared = {"task": lead.task, "model": lead.model, **{setting.name: lead.get(setting) for setting in KIND}}
        shared |= {
            "chance_loss": chances[lead.run_id],
            "default_std": weight_std("default", lead[WIDTH], lead[WIDTH]),
        }
        cells: dict[tuple[float, int], list[float]] = {}
        for stored in members:
            cells.setdefault((stored.run[INIT_STD], stored.run.depth), []).append(_loss(stored))
        stds = sorted({std for std, _ in cells})
        theory = {std: predicted(lead, std, inputs) for std in sorted({*stds, *_curve(stds)})}
        for (std, depth), losses in sorted(cells.items()):
            found = {INIT_STD.name: std, "depth": depth, "loss": _median(losses), "seeds": len(losses)}
            rows.append(shared | found | theory[std])
        rows += [shared | {INIT_STD.name: std} | found for std, found in theory.items()]
    frame = pd.DataFrame(rows)
    return frame.astype({"depth": "Int64", "seeds": "Int64", BLOCK_SIZE.name: "Int64"})


def predicted(run: Run, std: float, mean_square: float) -> dict[str, float]:
    """`sigma_w`, `chi` and `depth_scale` of a net like that of a run, with another deviation of its weights.

    Of a residual net the depth scale is a sixth of the depth at which squared gradients have grown by e⁶: as much as
    they do in six depth scales of a plain net. `mean_square` is the mean over examples of an input's squared length.
    """
    sigma_w, sigma_b = std * math.sqrt(run[WIDTH]), run.get(INIT_BIAS_STD) or 0.0
    phi = nonlinearity(run[ACTIVATION])
    plain = MeanField(phi, sigma_w, sigma_b)
    block = run.get(BLOCK_SIZE)
    if block is None:
        scale = plain.depth_scale
    else:
        first = std**2 * mean_square + sigma_b**2
        start = MeanField(phi, 1.0).next_length(first)
        growth = residual_gradient_growth(plain, block=block, start=start, layers=DEEPEST)
        depths = 1 + block * np.arange(len(growth) + 1)
        growth = np.array([0.0, *growth])
        scale = float(np.interp(SCALES, growth, depths)) / SCALES if growth[-1] >= SCALES else math.inf
    return {"sigma_w": sigma_w, "chi": plain.chi, "depth_scale": scale}


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """How deep nets of each kind and `init_std` were trained, beside theory.

    A depth is trained if its median loss is below half of the constant answer's. `trained_to` is the last of the first
    unbroken row of depths that are; shallower ones may lack the capacity or the steps. It is 0 if none is. `theory` is
    six depth scales; `is_edge` says whether deeper nets in the table did not train, so that `trained_to` is an edge and
    not the end of the map; `ratio` is `trained_to` in depth scales.
    """
    cells = frame[frame["depth"].notna()].astype({BLOCK_SIZE.name: float})
    kinds = ["task", "model", *(setting.name for setting in (*KIND, INIT_STD))]
    rows = []
    for key, of_kind in cells.groupby(kinds, dropna=False):
        ordered = of_kind.sort_values("depth")
        depths = ordered["depth"].astype(int).tolist()
        is_trained = (ordered["loss"] < EDGE * ordered["chance_loss"]).tolist()
        stretches = [list(part) for _, part in itertools.groupby(range(len(depths)), is_trained.__getitem__)]
        reached = next((depths[places[-1]] for places in stretches if is_trained[places[0]]), 0)
        scale = float(ordered["depth_scale"].iloc[0])
        of_theory = {"theory": SCALES * scale, "ratio": reached / scale}
        reach = {"trained_to": reached, "is_edge": reached < depths[-1]}
        rows.append({**dict(zip(kinds, key, strict=True)), **reach, **of_theory})
    return pd.DataFrame(rows)


def _beyond_theory(run: Run) -> str:
    """The first setting that makes a net another than those of the theory; empty if there is none."""
    if has_scaled_branches(run):
        return f"{BRANCH_SCALE.name} (={run[BRANCH_SCALE]})"
    return obstacle(run, "cpu")


def _loss(stored: RunRecord) -> float:
    loss = stored.history[-1].train_loss if stored.status == "done" and stored.history else math.inf
    return loss if math.isfinite(loss) else math.inf


def _median(losses: Sequence[float]) -> float:
    return float(np.median(losses)) if np.isfinite(losses).mean() > 0.5 else math.inf


def _curve(stds: Sequence[float]) -> Iterable[float]:
    """Deviations in equal ratios from the lowest to the highest."""
    return (float(f"{std:.5g}") for std in np.geomspace(stds[0], stds[-1], CURVE_POINTS if len(stds) > 1 else 1))


def _mean_square(run: Run) -> float:
    inputs = get_task(run.task).load(run, None).train_inputs
    return float(inputs.double().flatten(1).square().sum(dim=1).mean())
