"""Convergence: levels, the step at which a run reaches them, and twins."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from resnet_cli.analysis.convergence import compare_twins, first_reached, levels_of, measure
from resnet_cli.analysis.selection import select_runs
from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.events import Status
from resnet_cli.settings.metrics import Metrics
from resnet_cli.store.reader import load_results
from resnet_cli.store.record import RunRecord
from tests.conftest import MakeRun

INF = math.inf
NAN = math.nan


def history(losses: Sequence[float], *, interval: int = 100, error: float | None = None) -> list[Metrics]:
    """Evaluations every `interval` steps, of which four make an epoch; the test loss is twice the training loss."""
    steps = [interval * index for index in range(len(losses))]
    return [
        Metrics(step / 4, step, 0.1, loss, 2 * loss, error, error, None)
        for step, loss in zip(steps, losses, strict=True)
    ]


@pytest.fixture
def store(make_run: MakeRun) -> Any:
    """A stored run with given training losses."""

    def make(losses: Sequence[float], *, status: Status = "done", **settings: Any) -> RunRecord:
        return RunRecord(run=make_run(**settings), status=status, history=history(losses))

    return make


@pytest.mark.parametrize(
    ("losses", "level", "step"),
    [
        ([1.0, 0.01], 0.1, 50),  # half of two powers of ten
        ([8.0, 8.0, 1.0, 0.5], 2.0, 100 + 200 / 3),  # two of three halvings
        ([1.0, 0.1, 0.01], 0.1, 100),  # at an evaluation
        ([1.0, 0.1, 0.9, 0.1], 0.2, 100 * math.log10(5)),  # the first time, though it rises again
        ([0.2, 0.1], 0.3, 0),  # before the first step
        ([1.0, 0.5, 0.4], 0.3, NAN),
        ([1.0, 0.5, NAN], 0.3, NAN),
        ([1.0, 0.1, INF], 0.1, 100),  # diverges later
        ([INF, 0.1], 0.3, 100),
        ([NAN, 0.1], 0.3, 100),
        ([1.0, 0.0], 0.3, 100),
        ([], 0.3, NAN),
    ],
)
def test_levels_are_reached_by_interpolating_the_logarithmic_loss(
    losses: list[float], level: float, step: float
) -> None:
    assert first_reached(history(losses), level, "train") == pytest.approx((step, step / 4), nan_ok=True)
    assert first_reached(history(losses), 2 * level, "test") == pytest.approx((step, step / 4), nan_ok=True)


def test_every_run_has_a_row_for_each_level(store: Any) -> None:
    runs = [
        store([1.0, 0.01], depths=3),
        store([1.0, 0.5], depths=4),
        store([1.0, NAN], depths=5, status="diverged"),
    ]
    frame = measure(runs, [0.1, 0.5], split="train")
    assert list(frame["depth"]) == [3, 3, 4, 4, 5, 5]
    assert list(frame["status"]) == ["done"] * 4 + ["diverged"] * 2
    assert list(frame["level"]) == [0.1, 0.5] * 3
    assert list(frame["step"]) == pytest.approx([50, 100 * math.log10(2) / 2, NAN, 100, NAN, NAN], nan_ok=True)
    assert list(frame["train_loss"].drop_duplicates()) == pytest.approx([0.01, 0.5, NAN], nan_ok=True)


def test_settings_become_columns_with_gaps_for_other_models(store: Any) -> None:
    runs = [store([1.0, 0.1]), store([1.0, 0.1], models="residual", block_size=2)]
    frame = measure(runs, [0.5], split="test", settings=["block_size"])
    assert list(frame["block_size"].isna()) == [True, False]
    assert list(frame)[-5:] == ["level", "step", "epoch", "test_loss", "test_error"]


def test_levels_are_shares_of_the_median_loss_before_training(store: Any) -> None:
    runs = [store([start, 1e-9], depths=depth) for depth, start in enumerate([2.3456, 1.0, 30.0, INF], 2)]
    assert levels_of(runs, "train") == [1.2, 0.23, 0.023]
    assert levels_of(runs, "test") == [2.3, 0.47, 0.047]
    with pytest.raises(UserError, match="finite loss before training"):
        levels_of(runs[-1:], "train")


def frame_of(rows: Sequence[tuple[object, ...]], settings: Sequence[str] = ()) -> pd.DataFrame:
    columns = ["model", "depth", "seed", "status", *settings, "split", "level", "step"]
    return pd.DataFrame(rows, columns=columns)


def test_an_unreached_level_counts_as_later_than_any_step() -> None:
    both = [
        ((3, 0), 10.0, 5.0),  # depth and seed, step of the plain and of the residual net
        ((3, 1), 10.0, 20.0),
        ((4, 0), NAN, 900.0),
        ((4, 1), 900.0, NAN),
        ((5, 0), NAN, NAN),
        ((5, 1), 7.0, 7.0),
        ((6, 0), NAN, 8.0),
    ]
    rows = [("plain", *key, "done", "train", 0.1, plain) for key, plain, _ in both]
    rows += [("residual", *key, "done", "train", 0.1, residual) for key, _, residual in both]
    rows += [("residual", 9, 0, "done", "train", 0.1, 1.0)]  # has no twin
    plain, residual = compare_twins(frame_of(rows), ["plain", "residual"]).itertuples(index=False)
    assert (plain.runs, plain.reached) == (7, 4)
    assert (residual.runs, residual.reached, residual.twins) == (8, 6, 7)
    assert (residual.earlier, residual.later) == (3, 2)
    assert tuple(plain)[:4] == (0.1, "plain", 7, 4)
    assert all(map(math.isnan, plain[4:]))
    assert tuple(residual) == (0.1, "residual", 8, 6, 7, 3, 2, 2)


def test_twins_share_only_settings_of_the_first_model() -> None:
    rows: list[tuple[object, ...]] = [("plain", 3, 0, "done", "he", None, "train", 0.1, 10.0)]
    rows += [("plain", 3, 0, "done", "glorot", None, "train", 0.1, 1.0)]
    rows += [("residual", 3, 0, "done", init, k, "train", 0.1, 5.0) for init in ("he", "glorot") for k in (1, 2)]
    _, residual = compare_twins(frame_of(rows, ["init", "block_size"]), ["plain", "residual"]).itertuples()
    assert (residual.twins, residual.earlier, residual.later) == (4, 2, 2)


def test_twins_share_settings_that_some_first_runs_have() -> None:
    rows: list[tuple[object, ...]] = []
    for model, step in (("plain", 10.0), ("residual", 5.0)):
        rows += [(model, 3, 0, "done", "momentum", value, "train", 0.1, step) for value in (0.5, 0.9)]
        rows += [(model, 3, 0, "done", "adam", None, "train", 0.1, 2 * step)]
    _, residual = compare_twins(frame_of(rows, ["optimizer", "momentum"]), ["plain", "residual"]).itertuples()
    assert (residual.twins, residual.earlier, residual.later) == (3, 3, 0)


def test_levels_are_compared_separately() -> None:
    rows = [("a", 3, 0, "done", "train", level, step) for level, step in ((0.5, 1.0), (0.1, 9.0))]
    rows += [("b", 3, 0, "done", "train", level, step) for level, step in ((0.5, 2.0), (0.1, 8.0))]
    found = {
        (one.level, one.model): (one.earlier, one.later)
        for one in compare_twins(frame_of(rows), ["a", "b"]).itertuples()
    }
    assert found[0.5, "b"] == (0, 1)
    assert found[0.1, "b"] == (1, 0)


def test_steps_of_a_real_run_match_numpy_interpolation(tmp_path: Path) -> None:
    plan = plan_sweep({"models": "plain,residual", "depths": "1,3", "seeds": 0, "steps": 90, "eval_every": 30})
    with open_sweep(plan, tmp_path, jobs=1) as sweep:
        sweep.execute(lambda event: None)
    for one in select_runs(load_results(tmp_path)).runs:
        losses = np.array([metrics.train_loss for metrics in one.history])
        assert np.all(np.diff(losses) < 0), "else numpy cannot invert it"
        level = float(np.sqrt(losses[1] * losses[3]))
        expected = np.interp(-np.log(level), -np.log(losses), [0, 30, 60, 90])
        assert first_reached(one.history, level, "train")[0] == pytest.approx(expected)
