"""Transfer: which run learns the rest, from which weights both nets start, and summaries."""

import math
from typing import Any

import pandas as pd
import pytest
import torch

from resnet_cli.analysis.trained_nets import StoredNet
from resnet_cli.analysis.transfer import summarise, task_of_the_rest, transfer
from resnet_cli.models import build_net
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.training.data import load_data
from resnet_cli.training.loop import train
from tests.conftest import MakeRun

SMALL = {"task": "digits", "models": "resnet", "depths": 8, "width": 2, "batch_size": 20, "epochs": 1}


def trained(run: Run) -> StoredNet:
    data = load_data(run, None, "cpu")
    net = data.adapt(build_net(run, data.input_shape, data.outputs))
    net.load_state_dict(train(run, data).state)
    return StoredNet(run, net.eval(), data)


def test_the_rest_of_the_classes_is_learned_with_the_settings_of_the_run(make_run: MakeRun) -> None:
    run = make_run(**SMALL, classes="0..2/7", train_size=60, warmup_steps=2, weight_decay=0.01)
    found = task_of_the_rest(run, 3, 40)
    changed = {name for name, value in found.as_dict().items() if run.get(name) != value}
    assert changed == {"classes", "train_size", "batch_size", "steps", "eval_every", "warmup_steps"}
    assert (found["classes"], found["train_size"], found["batch_size"]) == ("3..6/8/9", 18, 18)
    assert (found["steps"], found["eval_every"], found["warmup_steps"]) == (40, 8, 0)
    assert task_of_the_rest(run, 20, 1)["batch_size"] == 20
    warmed = make_run(**SMALL, classes="0..4", warmup_steps=2, warmup_shape="constant", warmup_until_error=80)
    assert task_of_the_rest(warmed, 3, 40).get("warmup_until_error") is None
    data = load_data(found, None, "cpu")
    assert data.train_targets.bincount().tolist() == [0, 0, 0, 3, 3, 3, 3, 0, 3, 3]
    assert set(data.test_targets.tolist()) == {3, 4, 5, 6, 8, 9}


@pytest.mark.parametrize(
    ("settings", "examples", "message"),
    [
        ({}, 1, r"was trained on all classes, so none are left .* with --classes 0..4\."),
        ({"classes": "0..8"}, 1, r"classes \(=0..8\) of resnet_d008.* leaves 1 of 10 classes"),
        ({"classes": "0..4"}, 140, r"examples \(=140\) of each of 5 classes are more than the 697 training examples"),
    ],
)
def test_runs_that_leave_too_little_are_refused(
    settings: dict[str, Any], examples: int, message: str, make_run: MakeRun
) -> None:
    with pytest.raises(UserError, match=message):
        task_of_the_rest(make_run(**SMALL, **settings), examples, 1)


def test_both_nets_share_the_new_output_layer_and_all_batches(make_run: MakeRun) -> None:
    stored = trained(make_run(**SMALL, classes="0..4", precision="float64"))
    frame = transfer(stored, [2, 4], steps=5, device="cpu", settings=["width"])
    assert list(frame)[:9] == ["run_id", "task", "model", "depth", "seed", "width", "examples", "start", "step"]
    assert frame.groupby(["examples", "start"])["step"].apply(list).tolist() == [[0, 1, 2, 3, 4, 5]] * 4
    assert set(frame["run_id"]) == {stored.run.run_id}
    run = task_of_the_rest(stored.run, 4, 5)
    data = load_data(run, None, "cpu")
    start = stored.net.state_dict()
    fresh = build_net(run, data.input_shape, data.outputs).state_dict()
    start |= {name: fresh[name] for name in ("output.weight", "output.bias")}
    found = frame[frame["examples"] == 4].groupby("start")["test_loss"].apply(list)
    for name, weights in (("transferred", start), ("scratch", None)):
        expected = [metrics.test_loss for metrics in train(run, data, start=weights).history]
        assert found[name] == expected
    assert not torch.equal(stored.net.state_dict()["output.weight"], fresh["output.weight"].double())


def test_a_net_that_starts_where_the_other_does_ends_where_it_does(make_run: MakeRun) -> None:
    """Weights of an untrained MLP, which has no running statistics, are those from which its twin starts."""
    run = make_run(**SMALL | {"models": "plain-mlp", "depths": 2, "width": 8}, classes="0..4")
    data = load_data(run, None, "cpu")
    stored = StoredNet(run, build_net(run, data.input_shape, data.outputs).eval(), data)
    frame = transfer(stored, [2], steps=4, device="cpu")
    one, other = (frame[frame["start"] == start].drop(columns="start") for start in ("transferred", "scratch"))
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))


def test_the_summary_counts_pairs_and_diverged_trainings_are_the_worst() -> None:
    rows = [
        {"run_id": f"r{seed}", "task": "digits", "model": "m", "depth": 8, "seed": seed, "examples": 5}
        | {"start": start, "step": step, "train_loss": loss, "test_loss": loss, "train_error": 0.0, "test_error": error}
        for seed, errors in enumerate([(10.0, 20.0), (30.0, 20.0), (12.0, 13.0)])
        for start, end in zip(("transferred", "scratch"), errors, strict=True)
        for step, error, loss in ((0, 90.0, 2.0), (7, end, math.nan if (seed, start) == (2, "scratch") else 0.1))
    ]
    (row,) = summarise(pd.DataFrame(rows)).to_dict("records")
    assert row == {
        "examples": 5,
        "depth": 8,
        "model": "m",
        "seeds": 3,
        "transferred": 12.0,
        "scratch": 20.0,
        "lower": 2,
    }
