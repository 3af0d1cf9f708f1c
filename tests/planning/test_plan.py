import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from resnet_cli.models import all_models
from resnet_cli.models.densenet import GROWTH_RATE
from resnet_cli.models.settings import (
    BATCH_NORM,
    BLOCK_SIZE,
    DROPOUT,
    INIT,
    INIT_STD,
    ORDERING,
    SHORTCUT,
    SURVIVAL,
    WIDTH,
)
from resnet_cli.planning.plan import MAX_RUNS, Plan, plan_sweep, requested_tasks
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.request import load_config
from resnet_cli.settings.run import Run
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
    WARMUP_FACTOR,
    WARMUP_STEPS,
)

FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=60)
SMOKE = {"train_size": 64, "batch_size": 16, "steps": 4, "eval_every": 2, "eval_size": 64}
CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))


def refusal(request: Mapping[str, Any]) -> str:
    """The sentence with which a request is refused."""
    with pytest.raises(UserError) as caught:
        plan_sweep(request)
    message = str(caught.value)
    assert message.isprintable()
    assert message.endswith(".")
    return message


def planned_again(plan: Plan) -> Plan:
    """What the sweep's own file gives."""
    return plan_sweep(tomllib.loads(tomli_w.dumps(plan.resolved)))


def only_run(**request: Any) -> Run:
    """The run of a request for one model, depth and seed."""
    (run,) = plan_sweep({"seeds": 0, "models": "plain", "depths": 8, **request}).runs
    return run


# ---- which runs


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
    assert set(plan_sweep({"task": task, "models": "all", "depths": "8..20"}).resolved["models"]) == expected


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


# ---- what is refused


@pytest.mark.parametrize(
    ("request_", "reasons"),
    [
        ({"task": "sin"}, ["task (=sin) is not known (did you mean sine?)", "cifar10, cifar100, digits, sine"]),
        ({"task": "sine,digits"}, ["task (=sine,digits) takes one value"]),
        ({"models": "resent"}, ["(=resent) is not known (did you mean resnet?)", "all, ", "plain-mlp", "residual"]),
        ({"models": "plain,,residual"}, ["models (=plain,,residual) is empty or has an empty part"]),
        ({"models": "resnet"}, ["models (=resnet) cannot learn sine", "plain-mlp, residual-mlp"]),
        ({"depths": "40..2"}, ["depths (=40..2) runs backwards; write 2..40."]),
        ({"task": "digits", "depths": "21"}, ["plain-cnn has no depth 21", "6n+2", "the nearest are 20 and 26."]),
        ({"task": "digits", "depths": "9..13"}, ["no depth in 9..13", "the nearest are 8 and 14."]),
        ({"seeds": "-1"}, ["seeds (=-1) is not a list of whole numbers"]),
        ({"widht": 3}, ["key (=widht) is not known (did you mean width?)", "weight_decay, width."]),
        ({"width": "0"}, ["width (=0) must be greater than or equal to 1."]),
        ({"learning_rate": "-0.1"}, ["learning_rate (=-0.1) must be greater than 0."]),
        ({"learning_rate": "nan"}, ["learning_rate (=nan) must be a finite number."]),
        ({"width": True}, ["width (=True) must be a number."]),
        ({"epochs": 3, "steps": 4}, ["epochs (=3) and steps (=4) both give the length; choose one."]),
        ({"threads": 0}, ["threads (=0) contains 0; each number must lie between 1 and 1,024."]),
        ({"threads": "1..4"}, ["threads (=1..4) takes one value"]),
        ({"device": "cpu,cuda"}, ["device (=cpu,cuda) takes one value"]),
        ({"override": {"width": 3}}, ["(=override) must be tables"]),
        ({"override": [{"depth": 3}]}, ["(=depth) is not known (did you mean depths?)"]),
        ({"override": [{"epochs": 3, "steps": 4}]}, ["both give the length; choose one."]),
        ({"override": [{"models": "resent"}]}, ["(=resent) is not known (did you mean resnet?)"]),
        ({"override": [{"models": "resnet"}]}, ["models (=resnet) cannot learn sine"]),
        ({"override": [{"width": "0"}]}, ["width (=0) must be greater"]),
    ],
)
def test_bad_requests_are_rejected_with_key_value_and_rule(request_: dict[str, Any], reasons: list[str]) -> None:
    message = refusal(request_)
    for reason in reasons:
        assert reason in message


@pytest.mark.parametrize(
    ("request_", "foreign", "existing"),
    [
        ({"task": "digits", "models": "plain", "block_size": 2}, "block_size (=2)", "width"),
        ({"task": "digits", "growth_rate": 2}, "growth_rate (=2)", "ordering, shortcut, survival"),
        ({"models": "residual", "ordering": "original"}, "ordering (=original)", "block_size, dropout"),
        ({"override": [{"ordering": "original"}]}, "ordering (=original)", "survival"),
        ({"task": "cifar10", "models": "plain-cnn", "shortcut": "B"}, "shortcut (=B)", "batch_norm"),
        ({"shortcut": "A,B"}, "shortcut (=A,B)", "block_size"),
        ({"models": "plain", "block_size": 2}, "block_size (=2)", "activation"),
        ({"task": "digits", "noise": 0.1}, "noise (=0.1)", "digits has train_size"),
        ({"task": "digits", "augment": True}, "augment (=True)", "not a setting of digits but of cifar10, cifar100"),
        ({"image_size": 16}, "image_size (=16)", "not a setting of sine but of cifar10, cifar100"),
        ({"override": [{"shortcut": "B"}]}, "shortcut (=B)", "block_size"),
        ({"override": [{"models": "plain", "block_size": 2}]}, "block_size (=2)", "activation"),
        ({"override": [{"augment": True}]}, "augment (=True)", "sine has noise, sine_range, train_size"),
    ],
)
def test_settings_of_other_models_or_tasks_are_rejected(request_: dict[str, Any], foreign: str, existing: str) -> None:
    message = refusal(request_)
    assert f"{foreign} is not a setting of" in message
    assert existing in message


@pytest.mark.parametrize(
    ("request_", "name", "needed"),
    [
        ({"momentum": 0.5}, "momentum", "optimizer momentum or nesterov"),
        ({"optimizer": "adam,sgd", "momentum": 0.5}, "momentum", "optimizer momentum or nesterov"),
        ({"init_std": 0.5}, "init_std", "init normal"),
        ({"milestones": "0.5"}, "milestones", "schedule steps"),
        ({"schedule": "cosine", "decay_factor": 0.5}, "decay_factor", "schedule steps"),
        ({"warmup_factor": 0.5}, "warmup_factor", "warmup_steps above 0"),
        ({"warmup_shape": "linear", "warmup_steps": 0}, "warmup_shape", "warmup_steps above 0"),
    ],
)
def test_a_setting_without_effect_is_rejected(request_: dict[str, Any], name: str, needed: str) -> None:
    message = refusal(request_)
    assert message.startswith(f"{name} (=")
    assert message.endswith(f"has no effect; it needs {needed}.")


def test_a_setting_with_an_effect_on_some_runs_is_accepted() -> None:
    plan = plan_sweep({"models": "plain", "depths": 2, "optimizer": "adam,momentum", "momentum": 0.5})
    assert {(run[OPTIMIZER], run.get(MOMENTUM)) for run in plan.runs} == {("adam", None), ("momentum", 0.5)}


def test_too_many_runs_are_rejected_before_they_are_built() -> None:
    assert f"at most {MAX_RUNS:,} are allowed" in refusal({"depths": "1..10000", "seeds": "0..9999"})
    assert f"at most {MAX_RUNS:,}" in refusal({"width": list(range(1, 1000)), "steps": list(range(1, 1000))})


def test_many_runs_below_the_limit_are_planned() -> None:
    rates = [number / 100 for number in range(1, 61)]
    assert len(plan_sweep({"seeds": 0, "models": "plain", "depths": "1..50", "learning_rate": rates}).runs) == 3000


# ---- overrides


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


# ---- the resolved sweep


@pytest.mark.parametrize("smoke", [False, True])
@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"task": "digits"},
        {"task": "cifar10"},
        {"task": "digits", "models": "all", "depths": "2..20"},
        {"task": "digits", "models": "plain-mlp,resnet", "depths": "8..20:2", "seeds": "3,5..9:2", "threads": 2},
        {"task": "digits", "models": "all", "depths": "8..20", "width": [4, 8], "init": "normal,he"},
        {"depths": [2, "4..6"], "block_size": "1,2,3", "init": "default,normal", "init_std": "0.1,0.2"},
        {"depths": "2..4", "optimizer": "adam,momentum,nesterov", "schedule": "constant,steps"},
        {"depths": "2..4", "warmup_steps": "0,5", "warmup_shape": "linear,constant"},
        {"depths": "2..4", "epochs": "3,4", "override": [{"depths": 3, "steps": 7}]},
        {"depths": "2..4", "override": [{"epochs": 3}]},
        {"depths": "2..4", "override": [{"steps": 10**9, "train_size": 10**6, "eval_size": 10**6}]},
        {
            "depths": "2..4",
            "override": [{"models": "residual", "init": "normal"}, {"depths": "3", "init": "he,glorot"}],
        },
        {"task": "digits", "models": "all", "depths": "8..20", "override": [{"models": "resnet", "shortcut": "B,C"}]},
        {"task": "cifar10", "depths": "20,110", "override": [{"depths": 110, "warmup_steps": 400}]},
        {"task": "cifar10", "depths": 8, "schedule": "constant", "optimizer": "sgd", "augment": "on,off"},
    ],
)
def test_a_resolved_sweep_gives_the_same_runs(request_: dict[str, Any], smoke: bool) -> None:
    plan = plan_sweep(request_, smoke=smoke)
    again = planned_again(plan)
    assert again.runs == plan.runs
    assert again.resolved == plan.resolved
    assert (again.device, again.threads) == (plan.device, plan.threads)


VALUES: dict[str, list[Any]] = {
    "width": [4, 8],
    "block_size": [1, 2],
    "shortcut": ["A", "B"],
    "activation": ["relu", "tanh"],
    "batch_norm": [True, False],
    "init": ["he", "normal"],
    "init_std": [0.1, 0.3],
    "train_size": [32, 64],
    "noise": [0.0, 0.1],
    "augment": [True, False],
    "optimizer": ["adam", "momentum"],
    "learning_rate": [0.1, 1e-22],
    "momentum": [0.5, 0.9],
    "epochs": [1, 2],
    "steps": [3, 4],
    "schedule": ["constant", "steps"],
    "decay_factor": [0.1, 0.5],
    "warmup_steps": [0, 5],
    "warmup_shape": ["linear", "constant"],
}
one_setting = st.sampled_from(sorted(VALUES)).flatmap(
    lambda name: st.tuples(st.just(name), st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=2))
)
some_settings = st.lists(one_setting, max_size=3).map(dict)
scopes = st.fixed_dictionaries(
    {}, optional={"models": st.sampled_from(["plain", "residual", "all"]), "depths": st.sampled_from(["8", "8..20"])}
)
requests = st.builds(
    lambda where, settings, overrides: where | settings | {"override": overrides},
    st.fixed_dictionaries(
        {
            "task": st.sampled_from(["sine", "digits", "cifar10"]),
            "models": st.sampled_from(["plain", "residual", "plain,residual", "all"]),
            "depths": st.sampled_from(["8", "8,14", "7..20"]),
            "seeds": st.sampled_from(["0", "1..2"]),
        }
    ),
    some_settings,
    st.lists(st.builds(lambda scope, settings: scope | settings, scopes, some_settings), max_size=2),
)


@FIXED
@given(request=requests, smoke=st.booleans())
def test_every_resolved_sweep_gives_the_same_runs(request: dict[str, Any], smoke: bool) -> None:
    try:
        plan = plan_sweep(request, smoke=smoke)
    except UserError:
        assume(False)
    assert plan.runs
    assert planned_again(plan).runs == plan.runs


@pytest.mark.parametrize("settings", [{}, {"init": "normal"}, {"schedule": "steps"}, {"warmup_steps": 5}])
def test_the_resolved_sweep_spells_out_every_default(settings: dict[str, Any]) -> None:
    resolved = plan_sweep({"task": "digits", "depths": "8", **settings}).resolved
    run = plan_sweep({"task": "digits", "depths": "8", "models": "resnet", **settings}).runs[0]
    for name, value in run:
        if name not in ("model", "depth", "seed"):
            assert resolved[name] == value


def test_settings_that_differ_between_models_become_overrides() -> None:
    resolved = plan_sweep({"task": "digits", "models": "plain-mlp,resnet", "depths": "8"}).resolved
    tables = {table["models"][0]: table for table in resolved["override"]}
    assert (tables["plain-mlp"]["init"], tables["resnet"]["init"]) == ("default", "he")
    assert "init" not in resolved


# ---- smoke


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


# ---- depths of models that have not the same ones


def depths_by_model(plan: Plan) -> dict[str, list[int]]:
    found: dict[str, set[int]] = {}
    for run in plan.runs:
        found.setdefault(run.model, set()).add(run.depth)
    return {model: sorted(depths) for model, depths in found.items()}


def test_depths_may_be_a_table_by_model() -> None:
    depths = {"plain": "8,20", "densenet": [7, "10..19"]}
    plan = plan_sweep({"task": "digits", "models": "densenet,plain", "depths": depths, "seeds": 0})
    assert depths_by_model(plan) == {"plain-cnn": [8, 20], "densenet": [7, 10, 13, 16, 19]}
    assert plan.resolved["depths"] == {"densenet": "7..19:3", "plain-cnn": "8,20"}
    assert planned_again(plan).runs == plan.runs


@pytest.mark.parametrize(
    ("depths", "reason"),
    [
        ({"resnet": 8}, "depths: the table has none for plain-cnn; add them there, or give --depths for all models."),
        ({"plain": 8, "resnet": 9}, "resnet has no depth 9; its depths are 6n+2 from 8 on, the nearest are 8 and 14."),
        ({"plain": 8, "resnett": 8}, "model (=resnett) is not known (did you mean resnet?)"),
        ({}, "depths: the table has none for plain-cnn"),
    ],
)
def test_a_wrong_table_of_depths_is_rejected(depths: dict[str, Any], reason: str) -> None:
    assert reason in refusal({"task": "digits", "depths": depths})


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


@pytest.mark.parametrize("task", ["sine", "digits", "cifar10"])
def test_smoke_trains_every_model_at_two_depths(task: str) -> None:
    plan = plan_sweep({"task": task, "models": "all", "depths": "8..40"}, smoke=True)
    fitting = {model.name for model in all_models().values() if model.family in plan.task.families}
    assert {model: len(depths) for model, depths in depths_by_model(plan).items()} == dict.fromkeys(fitting, 2)
    assert planned_again(plan).runs == plan.runs


# ---- settings that a model has for itself


def test_a_setting_of_one_model_multiplies_only_its_runs() -> None:
    plan = plan_sweep({"task": "digits", "depths": 8, "seeds": 0, "ordering": "original,full-preactivation"})
    assert sorted((run.model, run.get(ORDERING)) for run in plan.runs if run.get(ORDERING)) == [
        ("resnet", "full-preactivation"),
        ("resnet", "original"),
    ]
    assert len(plan.runs) == 3
    assert planned_again(plan).runs == plan.runs


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


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("growth_rate", 0, "growth_rate (=0) must be greater than or equal to 1."),
        ("growth_rate", "12,x", "growth_rate (=x) must be a valid integer"),
        ("growth_rate", True, "growth_rate (=True) must be a number."),
        ("growth_rate", {"a": 1}, "must be a value or a flat list of values"),
        ("growth_rates", 12, "key (=growth_rates) is not known (did you mean growth_rate?); known are"),
    ],
)
def test_values_of_a_models_own_settings_are_checked(setting: str, value: object, reason: str) -> None:
    assert reason in refusal({"task": "digits", "models": "densenet", "depths": 7, setting: value})


# ---- the configurations of this project


def claimed_runs(path: Path) -> list[int]:
    """The numbers of runs that the comment on top of a configuration speaks of."""
    lines = path.read_text("utf-8").splitlines()
    comment = " ".join(line for line in lines[: lines.index(next(line for line in lines if line[:1] != "#"))])
    return [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) runs", comment)]


def test_there_are_configurations() -> None:
    assert {path.stem for path in CONFIGS} >= {"sine", "digits", "cifar10-paper", "cifar10-cpu", "smoke"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("smoke", [False, True])
def test_a_configuration_can_be_planned_and_planned_again(path: Path, smoke: bool) -> None:
    plan = plan_sweep(load_config(path), smoke=smoke)
    assert planned_again(plan).runs == plan.runs


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_comments_give_the_number_of_runs(path: Path) -> None:
    assert claimed_runs(path) == [len(plan_sweep(load_config(path)).runs)]


def test_only_the_papers_deepest_net_is_warmed_up() -> None:
    plan = plan_sweep(load_config(CONFIGS[0].with_name("cifar10-paper.toml")))
    assert {run.depth for run in plan.runs if run[WARMUP_STEPS]} == {110}
    assert {run.get(WARMUP_FACTOR) for run in plan.runs if run.depth == 110} == {0.1}
