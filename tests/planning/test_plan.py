"""Which runs a request asks for."""

from collections import Counter
from typing import Any

import pytest

from resnet_cli.models import all_models
from resnet_cli.models.settings import (
    BATCH_NORM,
    BLOCK_SIZE,
    INIT,
    INIT_STD,
    ORDERING,
    SHORTCUT,
    SURVIVAL,
    WIDTH,
)
from resnet_cli.planning.plan import plan_sweep, requested_tasks
from resnet_cli.settings.errors import UserError
from resnet_cli.tasks import all_tasks
from resnet_cli.tasks.settings import AUGMENT, IMAGE_SIZE
from resnet_cli.training.optimizers import LEARNING_RATE, MOMENTUM, OPTIMIZER, WEIGHT_DECAY
from resnet_cli.training.settings import (
    BATCH_SIZE,
    DECAY_FACTOR,
    EPOCHS,
    MILESTONES,
    SCHEDULE,
    STEPS,
)
from tests.planning.plans import depths_by_model, only_run, planned_again


@pytest.mark.parametrize(
    ("task", "models"),
    [
        ("sine", ["plain-mlp", "residual-mlp"]),
        ("digits", ["plain-cnn", "resnet"]),
        ("cifar10", ["plain-cnn", "resnet"]),
    ],
)
def test_plain_and_residual_are_the_tasks_own_family_and_the_default(task: str, models: list[str]) -> None:
    assert plan_sweep({"task": task}).resolved["models"] == models
    assert plan_sweep({"task": task, "models": "residual,plain"}).resolved["models"] == models[::-1]
    assert plan_sweep({"task": task, "models": "plain"}).resolved["models"] == models[:1]


@pytest.mark.parametrize("task", sorted(all_tasks()))
def test_all_means_every_model_that_can_learn_the_task(task: str) -> None:
    expected = {name for name, model in all_models().items() if model.family in all_tasks()[task].families}
    assert set(plan_sweep({"task": task, "models": "all"}).resolved["models"]) == expected


def test_all_leaves_out_models_without_any_of_the_depths() -> None:
    plan = plan_sweep({"task": "digits", "models": "all", "depths": "8..40"})
    assert "resnet" in plan.resolved["models"]
    assert "imagenet-densenet" not in plan.resolved["models"]
    assert "imagenet-densenet has no depth in 8..40, so `all` leaves it out." in plan.notes
    with pytest.raises(UserError, match=r"imagenet-densenet has no depth in 8\.\.40"):
        plan_sweep({"task": "digits", "models": "all,imagenet-densenet", "depths": "8..40"})


def test_a_model_named_twice_is_planned_once() -> None:
    assert len(plan_sweep({"seeds": 0, "models": "plain,plain-mlp,plain", "depths": 2}).runs) == 1


@pytest.mark.parametrize(("task", "runs"), [("sine", 39 * 2 * 5), ("digits", 3 * 2), ("cifar10", 4 * 2)])
def test_a_task_has_default_depths_models_and_seeds(task: str, runs: int) -> None:
    plan = plan_sweep({"task": task})
    assert len(plan.runs) == runs
    assert {run.seed for run in plan.runs} == ({0, 1, 2, 3, 4} if task == "sine" else {0})


def test_the_default_task_is_the_sine() -> None:
    assert plan_sweep({}).task.name == "sine"
    assert requested_tasks({}) == ["sine"]
    assert requested_tasks({"task": "digits, sine"}) == ["digits", "sine"]


def test_a_list_anywhere_multiplies_the_sweep() -> None:
    plan = plan_sweep(
        {
            "depths": "2..4",
            "seeds": "0,7",
            "width": [8, 16],
            "init": "he,glorot",
            "learning_rate": 0.1,
            "steps": "5,6,7",
        }
    )
    assert len(plan.runs) == 3 * 2 * 2 * 2 * 2 * 3
    assert len({run.run_id for run in plan.runs}) == len(plan.runs)
    assert {run[WIDTH] for run in plan.runs} == {8, 16}
    assert {run.get(STEPS) for run in plan.runs} == {5, 6, 7}


def test_residual_settings_multiply_only_residual_nets() -> None:
    plan = plan_sweep({"seeds": 0, "models": "plain,residual", "depths": "4..6", "block_size": "1,2,3"})
    assert Counter((run.model, run.depth) for run in plan.runs) == {
        (model, depth): runs for model, runs in [("plain-mlp", 1), ("residual-mlp", 3)] for depth in (4, 5, 6)
    }


def test_dependent_settings_multiply_only_where_they_apply() -> None:
    plan = plan_sweep({"seeds": 0, "models": "plain", "depths": 2, "init": "he,normal", "init_std": "0.1,0.2"})
    assert {(run[INIT], run.get(INIT_STD)) for run in plan.runs} == {("he", None), ("normal", 0.1), ("normal", 0.2)}
    assert len(plan.runs) == 3


def test_repeated_values_make_no_repeated_runs() -> None:
    assert len(plan_sweep({"models": "plain", "depths": "2,2..3", "seeds": "0,0", "width": "8,8"}).runs) == 2


@pytest.mark.parametrize(
    ("settings", "name", "default"),
    [
        ({"init": "normal"}, "init_std", 0.1),
        ({"optimizer": "momentum"}, "momentum", 0.9),
        ({"optimizer": "nesterov"}, "momentum", 0.9),
        ({"schedule": "steps"}, "milestones", "0.5/0.75"),
        ({"schedule": "steps"}, "decay_factor", 0.1),
        ({"warmup_steps": 5}, "warmup_factor", 0.1),
        ({"warmup_steps": 5}, "warmup_shape", "linear"),
    ],
)
def test_a_dependent_setting_has_a_default_where_it_applies(settings: dict[str, Any], name: str, default: Any) -> None:
    assert only_run().get(name) is None
    assert only_run(**settings).get(name) == default


def test_defaults_of_task_and_model_fill_in_what_is_not_given() -> None:
    run = only_run(task="cifar10", models="resnet", depths=20)
    assert (run[WIDTH], run.get(SHORTCUT), run[BATCH_NORM], run[INIT]) == (16, "A", True, "he")
    assert (run[OPTIMIZER], run.get(MOMENTUM), run[LEARNING_RATE], run[WEIGHT_DECAY]) == ("momentum", 0.9, 0.1, 1e-4)
    assert (run[SCHEDULE], run.get(MILESTONES), run.get(DECAY_FACTOR), run[BATCH_SIZE]) == (
        "steps",
        "0.5/0.75",
        0.1,
        128,
    )
    assert (run.get(EPOCHS), run.get(STEPS), run[AUGMENT], run.get(IMAGE_SIZE)) == (164, None, True, 32)
    run = only_run(models="residual-mlp")
    assert (run[WIDTH], run.get(BLOCK_SIZE), run[BATCH_NORM], run[INIT]) == (30, 3, False, "default")
    assert (run[OPTIMIZER], run[LEARNING_RATE], run[BATCH_SIZE], run.get(STEPS)) == ("adam", 1e-3, 32, 1000)
    assert not {SHORTCUT.name, EPOCHS.name, MOMENTUM.name, AUGMENT.name} & {*run.settings}


@pytest.mark.parametrize(("given", "other"), [("epochs", "steps"), ("steps", "epochs")])
@pytest.mark.parametrize("task", ["sine", "digits"])
def test_a_given_length_replaces_the_default_one(task: str, given: str, other: str) -> None:
    run = only_run(task=task, **{given: 7})
    assert (run.get(given), run.get(other)) == (7, None)


def test_twins_differ_only_in_their_skips() -> None:
    plain, residual = plan_sweep({"seeds": 0, "depths": 5}).runs
    assert plain.but(model="residual-mlp", block_size=3, survival=1.0) == residual
    plain, residual = plan_sweep({"task": "cifar10", "depths": 20}).runs
    skips = {SHORTCUT: "A", BLOCK_SIZE: 2, ORDERING: "original", SURVIVAL: 1.0}
    assert plain.but(skips, model="resnet") == residual


def test_the_longest_runs_come_first_then_lower_seeds() -> None:
    runs = plan_sweep({"models": "plain", "depths": "2..9", "seeds": "0..2", "steps": "10,40"}).runs
    costs = [run.depth * (run.get(STEPS) or 0) for run in runs]
    assert costs == sorted(costs, reverse=True)
    assert [run.seed for run in runs[:3]] == [0, 1, 2]


def test_image_sizes_can_be_given_as_text() -> None:
    plan = plan_sweep({"task": "cifar10", "depths": 8, "models": "resnet", "image_size": "8,16"})
    assert {run.get(IMAGE_SIZE) for run in plan.runs} == {8, 16}


def test_missing_depths_of_a_range_are_reported() -> None:
    plan = plan_sweep({"task": "digits", "models": "resnet", "depths": "2..20"})
    assert {run.depth for run in plan.runs} == {8, 14, 20}
    assert plan.notes == ["resnet has depths 6n+2: kept 8..20:6; left out 2..7,9..13,15..19."]


def test_depths_may_be_a_table_by_model() -> None:
    depths = {"plain": "8,20", "densenet": [7, "10..19"]}
    plan = plan_sweep({"task": "digits", "models": "densenet,plain", "depths": depths, "seeds": 0})
    assert depths_by_model(plan) == {"plain-cnn": [8, 20], "densenet": [7, 10, 13, 16, 19]}
    assert plan.resolved["depths"] == {"densenet": "7..19:3", "plain-cnn": "8,20"}
    assert planned_again(plan).runs == plan.runs


def test_unused_entries_of_a_depths_table_are_named() -> None:
    depths = {"plain": 8, "residual": 14, "vgg": 11}
    plan = plan_sweep({"task": "digits", "models": "residual", "depths": depths, "seeds": 0})
    assert depths_by_model(plan) == {"resnet": [14]}
    assert plan.notes == [
        "The depths of plain apply to no model of this sweep.",
        "The depths of vgg apply to no model of this sweep.",
    ]
    assert planned_again(plan).runs == plan.runs


def test_default_depths_are_rounded_down_to_existing_ones() -> None:
    plan = plan_sweep({"task": "digits", "models": "resnet,densenet,bottleneck-resnet,vgg", "seeds": 0})
    assert depths_by_model(plan) == {
        "resnet": [8, 20, 32],
        "densenet": [7, 19, 31],
        "bottleneck-resnet": [11, 20, 29],
        "vgg": [11, 19],
    }
    assert planned_again(plan).runs == plan.runs


def test_a_setting_of_one_model_multiplies_only_its_runs() -> None:
    plan = plan_sweep({"task": "digits", "depths": 8, "seeds": 0, "ordering": "original,full-preactivation"})
    assert sorted((run.model, run.get(ORDERING)) for run in plan.runs if run.get(ORDERING)) == [
        ("resnet", "full-preactivation"),
        ("resnet", "original"),
    ]
    assert len(plan.runs) == 3
    assert planned_again(plan).runs == plan.runs
