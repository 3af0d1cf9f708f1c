import math

import pytest
import torch

from resnet_cli.settings.errors import UserError
from resnet_cli.tasks import sine
from tests.tasks.conftest import TaskRun


def test_points_lie_on_the_sine_within_the_range(task_run: TaskRun) -> None:
    data = sine.load(task_run("sine"))
    assert data.train_inputs.shape == data.train_targets.shape == (1000, 1)
    assert data.test_inputs.shape == data.test_targets.shape == (1000, 1)
    assert data.input_shape == (1,)
    assert data.outputs == 1
    assert data.loss == "mse"
    for inputs, targets in [(data.train_inputs, data.train_targets), (data.test_inputs, data.test_targets)]:
        assert inputs.dtype == targets.dtype == torch.float32
        assert inputs.abs().max() <= 2 * math.pi
        torch.testing.assert_close(targets, inputs.sin(), atol=1e-6, rtol=0)
        counts = torch.histc(inputs, bins=10, min=-2 * math.pi, max=2 * math.pi)
        assert counts.min() > 60  # 100 each, were they not random
        assert counts.max() < 140


def test_points_do_not_depend_on_the_seed_of_the_run(task_run: TaskRun) -> None:
    one, other = (sine.load(task_run("sine", seed=seed, noise=0.3)) for seed in (0, 1))
    assert one.train_inputs.equal(other.train_inputs)
    assert one.train_targets.equal(other.train_targets)
    assert one.test_inputs.equal(other.test_inputs)


def test_training_and_test_points_differ(task_run: TaskRun) -> None:
    data = sine.load(task_run("sine"))
    assert not torch.isin(data.train_inputs, data.test_inputs).any()


@pytest.mark.parametrize("size", [1, 7, 100, 999, 5000])
def test_a_larger_training_set_contains_the_smaller(task_run: TaskRun, size: int) -> None:
    data = sine.load(task_run("sine", train_size=size, noise=0.3))
    other = sine.load(task_run("sine", train_size=6000, noise=0.3))
    assert data.train_inputs.shape == (size, 1)
    assert data.train_inputs.equal(other.train_inputs[:size])
    torch.testing.assert_close(data.train_targets, other.train_targets[:size])
    assert data.test_inputs.equal(other.test_inputs)


def test_the_range_scales_the_points(task_run: TaskRun) -> None:
    narrow, wide = (sine.load(task_run("sine", sine_range=span)) for span in (1.0, 10.0))
    torch.testing.assert_close(wide.train_inputs, 10 * narrow.train_inputs)


def test_noise_is_normal_and_on_the_training_targets_only(task_run: TaskRun) -> None:
    clean, noisy = (sine.load(task_run("sine", train_size=20_000, noise=noise)) for noise in (0.0, 0.5))
    assert noisy.train_inputs.equal(clean.train_inputs)
    assert noisy.test_targets.equal(clean.test_targets)
    noise = (noisy.train_targets - clean.train_targets) / 0.5
    assert noise.isfinite().all()
    assert abs(noise.mean()) < 0.03
    assert abs(noise.std() - 1) < 0.03
    assert abs((noise.abs() < 1).float().mean() - 0.6827) < 0.02


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [("train_size", 10**8, "at most 10,000,000"), ("sine_range", 1e9, "at most 1,000,000 radians")],
)
def test_too_large_settings_are_rejected_by_name(task_run: TaskRun, setting: str, value: float, rule: str) -> None:
    with pytest.raises(UserError, match=rf"{setting} \(=.*\) must be {rule}"):
        sine.load(task_run("sine", **{setting: value}))
