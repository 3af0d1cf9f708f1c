"""Nets of more than a thousand layers, as He et al. 2015 (§4.2) and 2016 (§4) trained them: built and stepped once."""

import math
from typing import Any

import pytest
import torch

from resnet_cli.models import build_net
from resnet_cli.tasks import get_task
from resnet_cli.training.loop import train
from tests.conftest import MakeRun

VERY_DEEP: dict[str, dict[str, Any]] = {
    "original-1202": {"models": "resnet", "depths": 1202},
    "full-preactivation-1001": {"models": "bottleneck-resnet", "depths": 1001, "ordering": "full-preactivation"},
}


@pytest.mark.slow
@pytest.mark.parametrize("settings", VERY_DEEP.values(), ids=VERY_DEEP)
def test_a_step_changes_every_parameter_of_1000_layer_nets(settings: dict[str, Any], make_run: MakeRun) -> None:
    small = {"width": 2, "train_size": 2, "batch_size": 2, "eval_size": 2, "steps": 1, "learning_rate": 1e-4}
    run = make_run(task="digits", **settings, **small)
    data = get_task("digits").load(run, None)
    outcome = train(run, data, recompute=True)
    assert all(math.isfinite(row.train_loss) for row in outcome.history)
    before = build_net(run, data.input_shape, data.outputs)
    for name, values in before.named_parameters():
        assert not torch.equal(values, outcome.state[name]), name
