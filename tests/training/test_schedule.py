"""Learning rates against the papers' schedules, written out by hand."""

import math
from pathlib import Path

import pytest

from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.request import load_config
from resnet_cli.training.schedule import learning_rate
from resnet_cli.training.settings import WARMUP_STEPS
from tests.conftest import MakeRun

CONFIGS = Path(__file__).parents[2] / "configs"


def test_the_multi_step_schedule_is_that_of_he_2015() -> None:
    runs = plan_sweep(load_config(CONFIGS / "cifar10-paper.toml")).runs
    shallow = next(run for run in runs if run.depth == 56)
    rates = [learning_rate(shallow, step, 64_000) for step in (0, 31_999, 32_000, 47_999, 48_000, 63_999)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_the_learning_rate_is_restored_after_constant_warm_up() -> None:
    runs = plan_sweep(load_config(CONFIGS / "cifar10-paper.toml")).runs
    assert {run.depth for run in runs if run[WARMUP_STEPS]} == {110}
    deep = next(run for run in runs if run.depth == 110 and run.model == "resnet")
    rates = [learning_rate(deep, step, 64_000, warmup_end=400) for step in (0, 399, 400, 31_999, 32_000)]
    assert rates == pytest.approx([0.01, 0.01, 0.1, 0.1, 0.01])


def test_warm_up_lasts_until_the_training_error_ends_it() -> None:
    runs = plan_sweep(load_config(CONFIGS / "cifar10-paper.toml")).runs
    deep = next(run for run in runs if run.depth == 110 and run.model == "resnet")
    rates = [learning_rate(deep, step, 64_000) for step in (0, 400, 31_999, 32_000, 63_999)]
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.001, 0.0001])


def test_cosine_decays_from_the_full_learning_rate_to_zero(make_run: MakeRun) -> None:
    run = make_run(schedule="cosine", learning_rate=0.2, steps=100)
    rates = [learning_rate(run, step, 100) for step in range(101)]
    assert rates == pytest.approx([0.1 * (1 + math.cos(math.pi * step / 100)) for step in range(101)])
    assert rates[0] == pytest.approx(0.2)
    assert rates[100] == pytest.approx(0)


def test_linear_warm_up_does_not_shift_the_schedule(make_run: MakeRun) -> None:
    settings = {"schedule": "cosine", "learning_rate": 1.0, "steps": 100}
    plain = make_run(**settings)
    warm = make_run(**settings, warmup_steps=10, warmup_factor=0.2, warmup_shape="linear")
    ratios = [learning_rate(warm, step, 100) / learning_rate(plain, step, 100) for step in range(100)]
    assert ratios[:10] == pytest.approx([0.2 + 0.08 * step for step in range(10)])
    assert ratios[10:] == pytest.approx([1.0] * 90)


def test_the_constant_schedule_never_changes(make_run: MakeRun) -> None:
    assert {learning_rate(make_run(learning_rate=0.5), step, 7) for step in range(7)} == {0.5}
