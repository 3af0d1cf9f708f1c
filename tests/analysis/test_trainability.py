"""Trainable depth beside theory: cells, kinds of nets, theory's columns, the edge, and refusals."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resnet_cli.analysis.trainability import measure, summarise
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import Metrics
from resnet_cli.store.reader import Results
from resnet_cli.store.record import RunRecord
from tests.conftest import MakeRun

STDS = (0.05, 0.1, 0.4)
Sweep = Callable[..., Results]


@pytest.fixture
def sweep(make_run: MakeRun) -> Sweep:
    """Results of nets of 25 units, trained where init_std · depth is at most a limit; above 2.5, most diverged."""

    def make(limit: float = 0.41, models: str = "plain", **settings: object) -> Results:
        runs = [
            make_run(models=models, depths=depth, seeds=seed, width=25, init="normal", init_std=std, **settings)
            for std in STDS
            for depth in (1, 4, 7)
            for seed in range(3)
        ]
        records = []
        for run in runs:
            product = run["init_std"] * run.depth
            ended = "diverged" if product > 2.5 and run.seed < 2 else "done"
            loss = math.nan if ended == "diverged" else (0.01 if product <= limit else 0.5) + 0.001 * run.seed
            history = [Metrics(1.0, 9, 0.1, loss, loss, None, None, None)]
            records.append(RunRecord(run=run, status="diverged" if ended == "diverged" else "done", history=history))
        return Results(Path("results"), records, [])

    return make


def test_each_cell_is_a_median_beside_the_theory_of_its_deviation(sweep: Sweep) -> None:
    frame = measure(sweep())
    cells = frame[frame["depth"].notna()].set_index(["init_std", "depth"])
    assert len(cells) == 9
    assert cells.loc[(0.1, 4), "loss"] == pytest.approx(0.011)
    assert cells.loc[(0.1, 7), "loss"] == pytest.approx(0.501)
    assert cells.loc[(0.4, 7), "loss"] == math.inf
    assert (cells["seeds"] == 3).all()
    assert cells.loc[(0.1, 4), "sigma_w"] == pytest.approx(0.5)  # 0.1 · √25
    assert cells.loc[(0.1, 4), "chi"] == pytest.approx(0.125)  # σ_w² / 2
    assert cells.loc[(0.1, 4), "depth_scale"] == pytest.approx(1 / math.log(8))
    assert cells["default_std"].unique() == pytest.approx([1 / math.sqrt(75)])
    assert cells["chance_loss"].unique() == pytest.approx([0.505], abs=0.001)


def test_the_curve_of_theory_goes_from_the_lowest_deviation_to_the_highest(sweep: Sweep) -> None:
    frame = measure(sweep())
    curve = frame[frame["depth"].isna()]
    assert (curve["init_std"].min(), curve["init_std"].max()) == (0.05, 0.4)
    assert len(curve) > 50
    assert curve["init_std"].is_monotonic_increasing
    expected = 1 / np.abs(np.log(25 * curve["init_std"] ** 2 / 2))
    assert curve["depth_scale"].to_numpy() == pytest.approx(expected.to_numpy())


def test_residual_nets_have_the_scale_of_their_gradients(sweep: Sweep) -> None:
    cells = measure(sweep(models="residual", block_size=3)).dropna(subset=["depth"])
    scales = dict(zip(cells["init_std"], cells["depth_scale"], strict=True))
    growth = math.log(1 + (25 * 0.4**2 / 2) ** 3)  # of a block of three layers
    assert 6 * scales[0.4] == pytest.approx(1 + 3 * 6 / growth, rel=1e-3)
    assert scales[0.05] == math.inf


def test_shallow_nets_that_do_not_train_are_passed_over(sweep: Sweep) -> None:
    frame = measure(sweep())
    shallow = frame["depth"].eq(1).fillna(value=False)
    table = summarise(frame.assign(loss=frame["loss"].mask(shallow, 0.4))).set_index("init_std").to_dict()
    assert table["trained_to"] == {0.05: 7, 0.1: 4, 0.4: 0}


def test_the_edge_is_the_last_depth_before_one_that_does_not_train(sweep: Sweep) -> None:
    table = summarise(measure(sweep())).set_index("init_std").to_dict()
    assert table["trained_to"] == {0.05: 7, 0.1: 4, 0.4: 1}
    assert table["is_edge"] == {0.05: False, 0.1: True, 0.4: True}
    assert table["theory"][0.1] == pytest.approx(6 / math.log(8))
    assert table["ratio"][0.1] == pytest.approx(4 * math.log(8))
    assert summarise(measure(sweep(limit=0.01))).set_index("init_std")["trained_to"].to_dict() == dict.fromkeys(STDS, 0)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"init": "he", "init_std": None}, "init: no run starts with normal weights; sweep over init_std first."),
        ({"dropout": 0.1}, "dropout (=0.1): the theory is of MLPs without batch norm, dropout and scaled"),
        ({"batch_norm": True}, "batch_norm (=True): the theory is of MLPs"),
        ({"branch_scale": "skipinit"}, "branch_scale (=skipinit): the theory is of MLPs"),
    ],
)
def test_what_the_theory_does_not_know_is_refused(sweep: Sweep, settings: dict[str, object], reason: str) -> None:
    results = sweep()
    records = [RunRecord(run=one.run.but(**settings), status="done", history=one.history) for one in results.runs]
    with pytest.raises(UserError) as caught:
        measure(Results(Path("results"), records, []))
    assert reason in str(caught.value)


def test_runs_that_differ_in_another_setting_are_refused(sweep: Sweep) -> None:
    results = sweep()
    others = [RunRecord(run=one.run.but(learning_rate=0.5), status="done", history=one.history) for one in results.runs]
    with pytest.raises(UserError, match="learning_rate: the theory does not know this setting"):
        measure(Results(Path("results"), [*results.runs, *others], []))
