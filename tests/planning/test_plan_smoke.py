"""What --smoke leaves of a sweep."""

from collections import Counter

import pytest

from resnet_cli.models import all_models
from resnet_cli.models.settings import (
    WIDTH,
)
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.training.settings import (
    EPOCHS,
)
from tests.planning.plans import depths_by_model, planned_again

SMOKE = {"train_size": 64, "batch_size": 16, "steps": 4, "eval_every": 2, "eval_size": 64}


@pytest.mark.parametrize("task", ["sine", "digits", "cifar10"])
def test_smoke_keeps_two_depths_one_seed_and_a_few_steps(task: str) -> None:
    plan = plan_sweep({"task": task, "seeds": "3..9", "depths": "8..44", "batch_size": 512, "epochs": 100}, smoke=True)
    assert Counter(run.model for run in plan.runs) == dict.fromkeys({run.model for run in plan.runs}, 2)
    for run in plan.runs:
        assert run.depth in (8, 9, 14)
        assert run.seed == 3
        assert run.get(EPOCHS) is None
        assert {name: run.get(name) for name in SMOKE} == SMOKE


def test_smoke_compares_models_at_depths_that_they_share() -> None:
    plan = plan_sweep({"task": "digits", "models": "plain-mlp,resnet", "depths": "2..20"}, smoke=True)
    assert {(run.model, run.depth) for run in plan.runs} == {
        ("plain-mlp", 8),
        ("plain-mlp", 14),
        ("resnet", 8),
        ("resnet", 14),
    }


def test_smoke_keeps_the_lists_that_multiply() -> None:
    assert len(plan_sweep({"models": "plain", "depths": "2..4", "init": "he,default"}, smoke=True).runs) == 4


def test_smoke_stays_short_despite_overrides() -> None:
    overrides = [{"epochs": 1000}, {"train_size": 10**6, "batch_size": 10**5, "eval_size": 10**6, "eval_every": 1}]
    plan = plan_sweep({"depths": "2..4", "override": [*overrides, {"width": 5}]}, smoke=True)
    for run in plan.runs:
        assert {name: run.get(name) for name in SMOKE} == SMOKE
        assert run[WIDTH] == 5


@pytest.mark.parametrize("task", ["sine", "digits", "cifar10"])
def test_smoke_trains_every_model_at_two_depths(task: str) -> None:
    plan = plan_sweep({"task": task, "models": "all", "depths": "8..40"}, smoke=True)
    families = plan.task.families
    fitting = {
        model.name for model in all_models().values() if model.family in families and model.depth_rule.first < 40
    }
    assert {model: len(depths) for model, depths in depths_by_model(plan).items()} == dict.fromkeys(fitting, 2)
    assert planned_again(plan).runs == plan.runs
