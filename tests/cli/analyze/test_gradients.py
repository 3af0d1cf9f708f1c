"""`resnet-exp analyze gradients`: its files, what it says of the training it repeats, and what it refuses."""

from pathlib import Path

import pandas as pd
import pytest

from resnet_cli.store.reader import load_results
from resnet_cli.training import loop
from resnet_cli.training.data import load_data
from tests.cli.conftest import Command, Train

pytestmark = pytest.mark.slow

SMALL = ("--steps", 4, "--eval-every", 2, "--train-size", 64, "--width", 5, "--jobs", 1, "--threads", 1, "--quiet")
FOLDER = Path("results/sine")


def test_training_is_replayed_without_saved_nets(command: Command, train: Train) -> None:
    train(*SMALL, "--depths", 5, "--seeds", 0, "--engine", "loop", "--batch-norm", "on,off")
    answer = command("analyze", "gradients", FOLDER, "--format", "png")
    assert answer.code == 0, answer.err
    assert "4 of 4 runs gave the stored losses again, to the last bit." in answer.out
    assert answer.out.splitlines()[-2:] == [str(FOLDER / "analysis" / f"gradients.{end}") for end in ("csv", "png")]
    frame = pd.read_csv(FOLDER / "analysis" / "gradients.csv")
    assert len(frame) == 4 * 3 * 6
    assert set(frame["batch_norm"]) == {True, False}
    assert (frame["train_loss"] == frame["stored_loss"]).all()
    table = answer.out[answer.out.index("Gradient norms") :]
    assert table.count("plain-mlp") == table.count("residual-mlp") == 2


def test_a_training_that_differs_is_reported(command: Command, train: Train) -> None:
    train(*SMALL, "--depths", 3, "--seeds", 0, "--models", "plain,residual", "--engine", "stacked")
    answer = command("analyze", "gradients", FOLDER, "--format", "svg", "--out", "out")
    assert answer.code == 0, answer.err
    same = 0
    for stored in load_results(FOLDER).runs:
        again = loop.train(stored.run, load_data(stored.run, None, "cpu"))
        same += [row.train_loss for row in again.history] == [row.train_loss for row in stored.history]
    assert f"{same} of 2 runs gave the stored losses again, to the last bit." in answer.out
    assert ("The training losses of the others differ by up to" in answer.out) == (same < 2)
    assert sorted(path.name for path in Path("out").iterdir()) == ["gradients.csv", "gradients.sha256", "gradients.svg"]


def test_three_depths_and_seeds_are_used_by_default(command: Command, train: Train) -> None:
    train(*SMALL, "--depths", "2..6", "--seeds", "0..3", "--models", "plain")
    answer = command("analyze", "gradients", FOLDER, "--format", "svg")
    assert "Using 9 of 20 runs, depths 2..6:2 and seeds 0..2; choose others with --depths and --seeds." in answer.out
    answer = command("analyze", "gradients", FOLDER, "--depths", "3", "--seeds", 3, "--format", "svg")
    assert "Using" not in answer.out
    frame = pd.read_csv(FOLDER / "analysis" / "gradients.csv")
    assert frame[["depth", "seed"]].drop_duplicates().to_numpy().tolist() == [[3, 3]]


def test_only_the_deepest_are_used_where_settings_vary(command: Command, train: Train) -> None:
    train(*SMALL, "--depths", "2,3,4", "--seeds", 0, "--models", "plain", "--activation", "relu,sigmoid")
    answer = command("analyze", "gradients", FOLDER, "--format", "svg")
    assert "Using 2 of 6 runs, depth 4 and seed 0;" in answer.out


def test_diverged_runs_are_measured_as_well(command: Command, train: Train) -> None:
    train(*SMALL, "--depths", 3, "--seeds", 0, "--models", "plain", "--optimizer", "sgd", "--learning-rate", "1e30")
    answer = command("analyze", "gradients", FOLDER, "--format", "svg")
    assert answer.code == 0, answer.err
    frame = pd.read_csv(FOLDER / "analysis" / "gradients.csv")
    assert set(frame["status"]) == {"diverged"}


def test_too_many_combinations_are_rejected_before_training(command: Command, train: Train) -> None:
    train(*SMALL, "--depths", "1..13", "--seeds", 0, "--models", "plain")
    answer = command("analyze", "gradients", FOLDER, "--depths", "1..13")
    assert answer.code == 2
    assert answer.out == ""
    assert "make 13 combinations" in answer.err
    assert not (FOLDER / "analysis").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "gif"), "format (=gif)"),
        (("--models", "resnet"), "has no run of it; it has plain-mlp"),
        (("--depths", "9..2"), "runs backwards"),
        (("--device", "abacus"), "device (=abacus)"),
    ],
)
def test_mistakes_are_explained_in_one_sentence(
    command: Command, train: Train, options: tuple[str, str], message: str
) -> None:
    train(*SMALL, "--depths", 2, "--seeds", 0, "--models", "plain")
    answer = command("analyze", "gradients", FOLDER, *options)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1
