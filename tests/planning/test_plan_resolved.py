"""A resolved sweep, and each configuration of the project, gives the same runs again."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.request import load_config
from resnet_cli.training.settings import (
    WARMUP_FACTOR,
    WARMUP_STEPS,
)
from tests.planning.plans import planned_again

FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=60)
CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))


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


@pytest.mark.slow
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
    for name, value in run.as_dict().items():
        if name not in ("model", "depth", "seed"):
            assert resolved[name] == value


def test_there_are_configurations() -> None:
    assert {path.stem for path in CONFIGS} >= {"sine", "digits", "cifar10-paper", "cifar10-cpu", "smoke"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("smoke", [False, True])
def test_a_configuration_can_be_planned_and_planned_again(path: Path, smoke: bool) -> None:
    plan = plan_sweep(load_config(path), smoke=smoke)
    assert planned_again(plan).runs == plan.runs


def test_only_the_papers_deepest_net_is_warmed_up() -> None:
    plan = plan_sweep(load_config(CONFIGS[0].with_name("cifar10-paper.toml")))
    assert {run.depth for run in plan.runs if run[WARMUP_STEPS]} == {110}
    assert {run.get(WARMUP_FACTOR) for run in plan.runs if run.depth == 110} == {0.1}


def claimed_runs(path: Path) -> list[int]:
    """The numbers of runs that the comment on top of a configuration speaks of."""
    lines = path.read_text("utf-8").splitlines()
    comment = " ".join(line for line in lines[: lines.index(next(line for line in lines if line[:1] != "#"))])
    return [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) runs", comment)]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_comments_give_the_number_of_runs(path: Path) -> None:
    assert claimed_runs(path) == [len(plan_sweep(load_config(path)).runs)]
