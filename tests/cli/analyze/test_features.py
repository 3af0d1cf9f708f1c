"""`resnet-exp analyze features`: its files, the net it takes, and what it refuses."""

from pathlib import Path

import pandas as pd
import pytest

from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.plan import plan_sweep
from tests.cli.conftest import Command

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    small = {"width": 2, "train_size": 100, "eval_size": 30, "batch_size": 50, "epochs": 1, "threads": 1}
    models = "plain-cnn,resnet,plain-mlp"
    plan = plan_sweep({"task": "digits", "models": models, "depths": 8, "seeds": "1,2", **small})
    with open_sweep(plan, folder, jobs=1, save_models=True) as sweep:
        sweep.execute(lambda event: None)
    return folder


def test_a_residual_net_and_its_plain_twin_are_used(results: Path, command: Command) -> None:
    answer = command("analyze", "features", results, "--layers", 2, "--maps", 2, "--image", 3, "--format", "png")
    assert answer.code == 0, answer.err
    assert "Using 2 of 6 runs;" in answer.out
    frame = pd.read_csv(results / "analysis" / "features.csv")
    assert (set(frame["model"]), set(frame["seed"]), set(frame["image"])) == ({"plain-cnn", "resnet"}, {1}, {3})
    for _, of_net in frame.groupby("model"):
        assert of_net["part"].value_counts().to_dict() == {"map": 2 + 2 + 4 + 8, "filter": 2, "image": 1}
    assert frame["pixels"].notna().sum() == 2 * (1 + 2 + 2 * 2)  # image, filters, and two maps of two layers
    assert (results / "analysis" / "features.png").stat().st_size > 0


def test_a_plain_net_can_be_chosen(results: Path, command: Command, tmp_path: Path) -> None:
    selection = ("--model", "plain-cnn", "--seed", 2)
    answer = command("analyze", "features", results, *selection, "--format", "svg", "--out", tmp_path)
    assert answer.code == 0, answer.err
    assert "Using" not in answer.out
    assert set(pd.read_csv(tmp_path / "features.csv")["model"]) == {"plain-cnn"}
    assert (tmp_path / "features.svg").stat().st_size > 0


def test_mlps_and_missing_images_are_rejected(results: Path, command: Command) -> None:
    answer = command("analyze", "features", results, "--models", "plain-mlp")
    assert answer.code == 2
    assert "are MLPs, which have no feature maps" in answer.err
    answer = command("analyze", "features", results, "--image", 5000)
    assert answer.code == 2
    assert "image (=5000) must be from 0 to" in answer.err
