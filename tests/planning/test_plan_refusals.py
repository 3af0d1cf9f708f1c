"""Requests that are refused, each in one sentence."""

from typing import Any

import pytest

from resnet_cli.planning.plan import MAX_RUNS, plan_sweep
from resnet_cli.training.optimizers import MOMENTUM, OPTIMIZER
from tests.planning.plans import refusal


@pytest.mark.parametrize(
    ("request_", "reasons"),
    [
        ({"task": "sin"}, ["task (=sin) is not known (did you mean sine?)", "cifar10, cifar100, digits, "]),
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
        ({"models": "residual", "ordering": "original"}, "ordering (=original)", "block_size, branch_scale, dropout"),
        ({"override": [{"ordering": "original"}]}, "ordering (=original)", "survival"),
        ({"task": "cifar10", "models": "plain-cnn", "shortcut": "B"}, "shortcut (=B)", "batch_norm"),
        ({"shortcut": "A,B"}, "shortcut (=A,B)", "block_size"),
        ({"models": "plain", "block_size": 2}, "block_size (=2)", "activation"),
        ({"task": "digits", "noise": 0.1}, "noise (=0.1)", "digits has classes, train_size"),
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
        ({"warmup_until_error": 80}, "warmup_until_error", "warmup_steps above 0 and warmup_shape constant"),
        (
            {"warmup_until_error": 80, "warmup_steps": 400},
            "warmup_until_error",
            "warmup_steps above 0 and warmup_shape constant",
        ),
    ],
)
def test_a_setting_without_effect_is_rejected(request_: dict[str, Any], name: str, needed: str) -> None:
    message = refusal(request_)
    assert message.startswith(f"{name} (=")
    assert message.endswith(f"has no effect; it needs {needed}.")


def test_a_setting_with_an_effect_on_some_runs_is_accepted() -> None:
    plan = plan_sweep({"models": "plain", "depths": 2, "optimizer": "adam,momentum", "momentum": 0.5})
    assert {(run[OPTIMIZER], run.get(MOMENTUM)) for run in plan.runs} == {("adam", None), ("momentum", 0.5)}


@pytest.mark.slow
def test_too_many_runs_are_rejected_before_they_are_built() -> None:
    assert f"at most {MAX_RUNS:,} are allowed" in refusal({"depths": "1..10000", "seeds": "0..9999"})
    assert f"at most {MAX_RUNS:,}" in refusal({"width": list(range(1, 1000)), "steps": list(range(1, 1000))})


def test_many_runs_below_the_limit_are_planned() -> None:
    rates = [number / 100 for number in range(1, 61)]
    assert len(plan_sweep({"seeds": 0, "models": "plain", "depths": "1..50", "learning_rate": rates}).runs) == 3000


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
