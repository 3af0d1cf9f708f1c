"""Selecting a few of many runs: evenly spread depths for each model, and the lowest seeds."""

from pathlib import Path

import pytest

from resnet_cli.analysis.selection import select_runs, selection_text, some_runs
from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.errors import UserError
from resnet_cli.store.reader import load_results
from resnet_cli.store.record import RunRecord
from resnet_cli.store.selection import Selection
from tests.conftest import MakeRun


@pytest.fixture
def many(make_run: MakeRun) -> list[RunRecord]:
    """Plain MLPs of depths 2 to 10, residual ones of 4 and 6, with the seeds 1 to 4."""
    depths = {"plain": range(2, 11), "residual": (4, 6)}
    return [
        RunRecord(run=make_run(models=model, depths=depth, seeds=seed), status="done")
        for model, of_model in depths.items()
        for depth in of_model
        for seed in range(1, 5)
    ]


@pytest.mark.parametrize(
    ("count", "plain", "residual"),
    [(1, [6], [6]), (2, [4, 6], [4, 6]), (3, [2, 6, 10], [4, 6]), (None, [*range(2, 11)], [4, 6])],
)
def test_depths_are_shared_by_all_models_if_enough_are(
    many: list[RunRecord], count: int | None, plain: list[int], residual: list[int]
) -> None:
    kept = some_runs(many, depths=count, seeds=None)
    for model, depths in (("plain-mlp", plain), ("residual-mlp", residual)):
        assert sorted({one.run.depth for one in kept if one.run.model == model}) == depths
    assert {one.run.seed for one in kept} == {1, 2, 3, 4}


def test_the_lowest_seeds_are_kept(many: list[RunRecord]) -> None:
    kept = some_runs(many, depths=None, seeds=2)
    assert len(kept) == len(many) / 2
    assert {one.run.seed for one in kept} == {1, 2}


def test_the_text_says_which_runs_are_used(many: list[RunRecord]) -> None:
    assert selection_text(many, many) == ""
    text = selection_text(some_runs(many, depths=2, seeds=2), many)
    assert text.startswith("Using 8 of 44 runs, depths 4,6 and seeds 1,2;")


def test_an_empty_selection_lists_the_stored_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no results"):
        select_runs(load_results(tmp_path))
    plan = plan_sweep({"depths": "2..4", "seeds": "0,1", "steps": 4, "eval_every": 2})
    with open_sweep(plan, tmp_path / "mine", jobs=1) as sweep:
        sweep.execute(lambda event: None)
    with pytest.raises(UserError, match=rf"holds no finished run of its own; give one of {tmp_path / 'mine'}\."):
        select_runs(load_results(tmp_path))
    results = load_results(tmp_path / "mine")
    assert len(select_runs(results).runs) == 12
    chosen = Selection(models=("plain",), depths=frozenset(range(3, 10)), seeds=frozenset({1}))
    assert {stored.run.depth for stored in select_runs(results, chosen).runs} == {3, 4}
    with pytest.raises(UserError, match=r"it has plain-mlp, residual-mlp at depths 2\.\.4 with seeds 0,1"):
        select_runs(results, Selection(depths=frozenset({9})))
    with pytest.raises(
        UserError, match=r"has no run of it \(did you mean plain-mlp\?\); it has plain-mlp, residual-mlp"
    ):
        select_runs(results, Selection(models=("residual-mlp", "plain-mpl")))
