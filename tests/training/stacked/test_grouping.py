"""Which runs train together in a stack, and how large stacks are."""

import itertools

import pytest

from resnet_cli.models.activations import Activation
from resnet_cli.settings.setting import Effect, Setting
from resnet_cli.training.optimizers import Optimizer
from resnet_cli.training.stacked.grouping import STACK_BYTES, group_runs, obstacle, stack_key, stack_name, working_set
from tests.conftest import MakeRun
from tests.training.stacked.conftest import Register
from tests.training.stacked.test_engine import PLAIN, RESIDUAL


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ""),
        ({"precision": "float64"}, ""),
        ({"task": "digits", "models": "residual-mlp"}, ""),
        ({"precision": "bfloat16"}, "precision (=bfloat16)"),
        ({"batch_norm": "on"}, "batch_norm (=True)"),
        ({"dropout": 0.1}, "dropout (=0.1)"),
        ({"models": "residual", "survival": 0.9}, "survival (=0.9)"),
        ({"models": "residual", "survival": 1}, ""),
        ({"task": "digits", "models": "plain-cnn", "depths": 8}, "model (=plain-cnn)"),
        ({"task": "digits", "validation_size": 100}, ""),
        ({"task": "cifar10", "normalisation": "pixel"}, ""),
        ({"task": "digits", "warmup_steps": 9, "warmup_shape": "constant", "warmup_until_error": 0}, ""),
        (
            {"task": "digits", "warmup_steps": 9, "warmup_shape": "constant", "warmup_until_error": 80},
            "warmup_until_error (=80.0)",
        ),
    ],
)
def test_only_similar_mlps_can_be_stacked(make_run: MakeRun, settings: dict[str, object], expected: str) -> None:
    run = make_run(**{"models": "plain-mlp"} | settings)
    assert obstacle(run, "cpu") == obstacle(run, "cuda") == expected
    assert obstacle(run, "mps") == "device (=mps)"


def test_the_loop_trains_what_an_optimiser_or_activation_lacks(make_run: MakeRun, register: Register) -> None:
    register(Optimizer("unknown", "NAdam"))
    register(Activation("unknown", "torch:tanh"))
    assert obstacle(make_run(models="plain-mlp", optimizer="unknown"), "cpu") == "optimizer (=unknown)"
    assert obstacle(make_run(models="plain-mlp", activation="unknown"), "cpu") == "activation (=unknown)"


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


@pytest.mark.parametrize(
    ("affects", "expected"), [(("update rule",), False), (("shape",), False), (("length",), True), ((), True)]
)
def test_a_setting_that_the_engine_cannot_know_is_not_stacked(affects: tuple[Effect, ...], expected: bool) -> None:
    assert Setting[int]("clipping", int, "Made up.", affects=affects).can_stack(1) is expected
