"""Data in the form in which Ray shares them."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from resnet_cli.execution.executors.ray import data
from resnet_cli.settings.errors import UserError
from resnet_cli.training.data import load_data
from tests.conftest import MakeRun


@pytest.mark.parametrize("task", ["sine", "digits"])
def test_data_arrive_as_they_were(make_run: MakeRun, task: str) -> None:
    models = "plain" if task == "sine" else "plain-mlp"
    sent = load_data(make_run(task=task, models=models), None, "cpu")
    arrived = data.from_arrays(data.to_arrays(sent))
    for name, value in vars(sent).items():
        other = getattr(arrived, name)
        assert torch.equal(value, other) if isinstance(value, Tensor) else value == other
        assert not isinstance(value, Tensor) or value.dtype == other.dtype


def test_the_driver_shares_what_it_has(make_run: MakeRun) -> None:
    put = data.share(SimpleNamespace(put=lambda arrays: arrays), make_run(), None, ())
    assert len(put["train_inputs"]) == len(load_data(make_run(), None, "cpu").train_inputs)


def test_data_that_nobody_has_are_an_error(tmp_path: Path, make_run: MakeRun) -> None:
    exceptions = pytest.importorskip("ray", reason="the extra ray is not installed").exceptions
    asked = []

    def remote(function: Any) -> Any:
        def call(*arguments: Any) -> tuple[Any, Any]:
            asked.append(arguments)
            return partial(function, *arguments), None

        return SimpleNamespace(options=lambda **options: SimpleNamespace(remote=call))

    def get(call: Any) -> Any:
        try:
            return call()
        except UserError as error:
            raise exceptions.RayTaskError("_load", "", error).as_instanceof_cause() from None

    nodes = [{"NodeID": f"{number:056x}", "Alive": number > 0} for number in range(3)]
    ray = SimpleNamespace(put=None, nodes=lambda: nodes, remote=remote, get=get, exceptions=exceptions)
    run = make_run(task="cifar10", models="resnet", depths=8)
    with pytest.raises(UserError, match="CIFAR-10 is not in"):
        data.share(ray, run, tmp_path / "empty", ())
    assert len(asked) == 2
