"""Selecting a few of many runs: evenly spread depths for each model, and the lowest seeds."""

import pytest

from resnet_cli.analysis.selection import selection_text, some_runs
from resnet_cli.store.record import RunRecord
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
