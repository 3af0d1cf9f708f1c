"""Which runs train together in a stack, and how large stacks are."""

import itertools

import pytest

from resnet_cli.models.activations import Activation
from resnet_cli.training.optimizers import Optimizer
from resnet_cli.training.stacked.grouping import STACK_BYTES, can_stack, group_runs, stack_key, stack_name, working_set
from tests.conftest import MakeRun
from tests.training.stacked.conftest import Register
from tests.training.stacked.test_engine import PLAIN, RESIDUAL


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"precision": "float64"}, True),
        ({"task": "digits", "models": "residual-mlp"}, True),
        ({"precision": "bfloat16"}, False),
        ({"batch_norm": "on"}, False),
        ({"dropout": 0.1}, False),
        ({"models": "residual", "survival": 0.9}, False),
        ({"models": "residual", "survival": 1}, True),
        ({"task": "digits", "models": "plain-cnn", "depths": 8}, False),
    ],
)
def test_only_similar_mlps_can_be_stacked(make_run: MakeRun, settings: dict[str, object], expected: bool) -> None:
    run = make_run(**{"models": "plain-mlp"} | settings)
    assert can_stack(run, "cpu") is can_stack(run, "cuda") is expected
    assert not can_stack(run, "mps")


@pytest.mark.parametrize(("linear_in_rate", "backward"), [(False, "tanh_backward"), (True, None)])
def test_what_an_optimiser_or_activation_lacks_sends_runs_to_the_loop(
    make_run: MakeRun, register: Register, linear_in_rate: bool, backward: str | None
) -> None:
    register(Optimizer("new", "NAdam", linear_in_rate=linear_in_rate))
    register(Activation("new", "torch:tanh", backward))
    assert can_stack(make_run(models="plain-mlp"), "cpu")
    assert not can_stack(make_run(models="plain-mlp", optimizer="new", activation="new"), "cpu")


def test_groups_hold_every_run_exactly_once(make_run: MakeRun) -> None:
    runs = [
        make_run(**kind, depths=depth, seeds=seed, optimizer=optimizer)
        for kind, depth, seed, optimizer in itertools.product([PLAIN, *RESIDUAL], range(1, 30), (0, 1), ("adam", "sgd"))
    ]
    groups = group_runs(runs, "cpu", workers=3)
    assert sorted(run.run_id for group in groups for run in group) == sorted(run.run_id for run in runs)
    assert all(len({stack_key(run) for run in group}) == 1 for group in groups)
    assert groups == group_runs(runs[::-1], "cpu", workers=3)
    assert len({stack_name(group) for group in groups}) == len(groups)
    assert stack_name(groups[0]) == stack_name(groups[0][::-1])


def test_groups_fit_in_memory_and_occupy_all_workers(make_run: MakeRun) -> None:
    runs = [make_run(depths=depth, seeds=seed) for depth in range(2, 41) for seed in range(10)]
    largest = max(working_set(run) for run in runs)
    for group in group_runs(runs, "cpu"):
        assert sum(working_set(run) for run in group) <= STACK_BYTES["cpu"] + largest
    few = group_runs(runs[:16], "cpu", workers=4)
    assert len(few) == 8
    assert len(group_runs(runs[:3], "cpu", workers=4)) == 3
