"""How fast nets learn: the number of training steps after which the loss of each run reaches given levels.

Data Basecamp ("Residual Neural Networks", B2) and, for 18 layers, He et al. 2015 (arXiv 1512.03385, §4.1) claim that
residual nets converge faster; Huang et al. 2016 (arXiv 1603.09382) claim that stochastic depth trains faster.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.setting import IDENTITY
from resnet_cli.store.record import RunRecord

SHARES_OF_START = (0.5, 0.1, 0.01)
"""The default levels, as shares of the loss before training. They are fixed so that results do not influence them."""


def levels_of(runs: Sequence[RunRecord], split: str) -> list[float]:
    """Three levels at which to compare runs: a half, a tenth and a hundredth of their loss before training.

    This loss is the median over all runs in which it is finite; UserError if there is none. Levels have two digits.
    """
    before = [getattr(stored.history[0], f"{split}_loss") for stored in runs if stored.history]
    finite = [loss for loss in before if math.isfinite(loss)]
    if not finite:
        raise UserError(
            "No run has a finite loss before training, so no levels can be derived from it; give them with --levels."
        )
    start = float(np.median(finite))
    return [float(f"{share * start:.2g}") for share in SHARES_OF_START]


def measure(
    runs: Sequence[RunRecord], levels: Sequence[float], *, split: str, settings: Sequence[str] = ()
) -> pd.DataFrame:
    """When the loss of each run first reaches each level.

    A run that reaches a level and diverges later counts as having reached it. `split` is train or test.

    Returns:
        One row per run and level: run_id, task, model, depth, seed, status, the settings, split, level, step and epoch
        (nan if the run does not reach the level), and its last loss and error, such as train_loss and train_error.
    """
    last = (f"{split}_loss", f"{split}_error")
    rows = []
    for stored in runs:
        identity = {name: stored.run.get(name) for name in (*IDENTITY, *settings)}
        end = {name: getattr(stored.last, name, None) for name in last}
        for level in levels:
            step, epoch = first_reached(stored.history, level, split)
            reached = {"split": split, "level": level, "step": step, "epoch": epoch}
            rows.append({"run_id": stored.run.run_id, "status": stored.status, **identity, **reached, **end})
    columns = ["run_id", *IDENTITY, "status", *settings, "split", "level", "step", "epoch", *last]
    return pd.DataFrame(rows, columns=columns)


def first_reached(history: Sequence[Metrics], level: float, split: str) -> tuple[float, float]:
    """Step and epoch at which a loss first reaches a level, nan if it never does.

    Between two evaluations the logarithm of the loss is interpolated linearly. Where one of the two losses has no
    finite logarithm, the level counts as reached at the later evaluation.
    """
    losses = [getattr(metrics, f"{split}_loss") for metrics in history]
    if losses and losses[0] <= level:
        return float(history[0].step), history[0].epoch
    for (before, high), (after, low) in itertools.pairwise(zip(history, losses, strict=True)):
        if low <= level:
            share = math.log(high / level) / math.log(high / low) if low > 0 and high < math.inf else 1.0
            step = before.step + share * (after.step - before.step)
            return step, before.epoch + share * (after.epoch - before.epoch)
    return math.nan, math.nan


def compare_twins(frame: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """Compare the runs of each of the `models` with their twins among the runs of the first one, at each level.

    Twins have the same depth, seed and settings, as far as both models have them.

    Of what `measure` returns it makes a row for each `level` and `model`: the number of `runs`, how many of them
    `reached` the level, the number of `twins`, and how many of these were `earlier` than their twins, `later`, or
    `neither`: at the same step, or not at all. The last four are missing where a model has no twins, or is its own.
    """
    columns = list(frame)
    keys = ["depth", "seed", *columns[columns.index("status") + 1 : columns.index("split")]]
    steps = frame.assign(step=frame["step"].fillna(math.inf))
    rows = []
    for level, model in itertools.product(frame["level"].unique(), models):
        first, second = (steps[(steps["level"] == level) & (steps["model"] == name)] for name in (models[0], model))
        twins = first.merge(second, on=[key for key in keys if first[key].notna().any()], suffixes=("", "_of_twin"))
        row = {"level": float(level), "model": model, "runs": len(second), "reached": np.isfinite(second["step"]).sum()}
        if model != models[0] and len(twins):
            earlier, later = ((sign * (twins["step_of_twin"] - twins["step"]) > 0).sum() for sign in (-1, 1))
            row |= {"twins": len(twins), "earlier": earlier, "later": later, "neither": len(twins) - earlier - later}
        rows.append(row)
    names = ["level", "model", "runs", "reached", "twins", "earlier", "later", "neither"]
    return pd.DataFrame(rows, columns=names, dtype=object)
