"""Overrides of a sweep for some of its models and depths."""

from collections import Counter

from resnet_cli.models.densenet import GROWTH_RATE
from resnet_cli.models.settings import (
    DROPOUT,
    INIT_STD,
    WIDTH,
)
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.training.settings import (
    EPOCHS,
    STEPS,
)
from tests.planning.plans import only_run, planned_again


def test_an_override_affects_only_its_models_and_depths() -> None:
    plan = plan_sweep(
        {
            "depths": "2..4",
            "override": [
                {"models": "residual", "depths": "3..4", "width": 7},
                {"depths": 4, "width": 9},
                {"models": "plain-mlp", "steps": 3},
            ],
        }
    )
    assert {(run.model, run.depth): (run[WIDTH], run.get(STEPS)) for run in plan.runs} == {
        ("plain-mlp", 2): (30, 3),
        ("plain-mlp", 3): (30, 3),
        ("plain-mlp", 4): (9, 3),
        ("residual-mlp", 2): (30, 1000),
        ("residual-mlp", 3): (7, 1000),
        ("residual-mlp", 4): (9, 1000),
    }


def test_an_override_with_a_list_multiplies_its_runs() -> None:
    plan = plan_sweep(
        {"seeds": 0, "models": "plain", "depths": "2,3", "override": [{"depths": 3, "init": ["he", "glorot"]}]}
    )
    assert Counter(run.depth for run in plan.runs) == {2: 1, 3: 2}


def test_overriding_steps_replaces_epochs_and_vice_versa() -> None:
    run = only_run(override=[{"epochs": 3}])
    assert (run.get(EPOCHS), run.get(STEPS)) == (3, None)


def test_an_override_can_enable_a_dependent_setting() -> None:
    plan = plan_sweep(
        {"models": "plain", "depths": "2,3", "init_std": 0.3, "override": [{"depths": 3, "init": "normal"}]}
    )
    assert {run.depth: run.get(INIT_STD) for run in plan.runs} == {2: None, 3: 0.3}


def test_an_override_of_an_absent_model_is_ignored() -> None:
    assert (
        len(
            plan_sweep(
                {"seeds": 0, "models": "plain", "depths": 2, "override": [{"models": "residual", "width": 3}]}
            ).runs
        )
        == 1
    )


def test_settings_that_differ_between_models_become_overrides() -> None:
    resolved = plan_sweep({"task": "digits", "models": "plain-mlp,resnet", "depths": "8"}).resolved
    tables = {table["models"][0]: table for table in resolved["override"]}
    assert (tables["plain-mlp"]["init"], tables["resnet"]["init"]) == ("default", "he")
    assert "init" not in resolved


def test_an_override_may_set_its_models_own_settings() -> None:
    override = {"models": "densenet", "depths": 10, "growth_rate": "4,8", "dropout": 0.2}
    plan = plan_sweep(
        {"task": "digits", "models": "densenet,resnet", "depths": {"densenet": "7,10", "resnet": 8}, "seeds": 0}
        | {"override": [override]}
    )
    found = {(run.model, run.depth, run.get(GROWTH_RATE), run[DROPOUT]) for run in plan.runs}
    assert found == {
        ("densenet", 7, 12, 0.0),
        ("densenet", 10, 4, 0.2),
        ("densenet", 10, 8, 0.2),
        ("resnet", 8, None, 0.0),
    }
    assert planned_again(plan).runs == plan.runs
