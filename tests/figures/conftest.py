"""Small frames in the shape that the store returns."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def summary() -> pd.DataFrame:
    """Digits: two models, four depths, five seeds, all done."""
    generator = np.random.default_rng(0)
    rows = [
        {
            "run_id": f"{model}_d{depth}_s{seed}",
            "task": "digits",
            "model": model,
            "depth": depth,
            "seed": seed,
            "status": "done",
            "epoch": 20.0,
            "step": 220,
            "parameters": 1000 * depth,
        }
        for model in ("plain-cnn", "resnet")
        for depth in (8, 20, 32, 56)
        for seed in range(5)
    ]
    frame = pd.DataFrame(rows)
    for column, high in {"train_loss": 2.0, "test_loss": 2.0, "train_error": 90.0, "test_error": 90.0}.items():
        frame[column] = generator.uniform(0.01 * high, high, len(frame))
    return frame


@pytest.fixture
def curves(summary: pd.DataFrame) -> pd.DataFrame:
    """An evaluation of each run of `summary` at the steps 0, 10, 20 and 30."""
    parts = []
    for step in (0, 10, 20, 30):
        part = summary.drop(columns="parameters").assign(
            step=step, epoch=step / 10, scheduled_learning_rate=0.1, gradient_norm=1.0
        )
        metrics = ["train_loss", "test_loss", "train_error", "test_error"]
        part[metrics] = part[metrics] * (1 - step / 60)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def diverge() -> Callable[[pd.DataFrame, str, int, int], pd.DataFrame]:
    """A function that returns a summary in which the first `count` seeds of a model at a depth diverged."""

    def change(frame: pd.DataFrame, model: str, depth: int, count: int) -> pd.DataFrame:
        hit = (frame["model"] == model) & (frame["depth"] == depth) & (frame["seed"] < count)
        changed = frame.copy()
        changed.loc[hit, "status"] = "diverged"
        changed.loc[hit, ["train_loss", "test_loss", "train_error", "test_error"]] = np.nan
        return changed

    return change
