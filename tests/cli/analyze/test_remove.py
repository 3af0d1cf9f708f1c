"""`resnet-exp analyze remove` on a small stored sweep."""

from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Command, Train

pytestmark = pytest.mark.slow

SWEEP = ("--task", "sine", "--steps", 20, "--eval-every", 20, "--jobs", 1, "--quiet", "--out", "results")


@pytest.fixture
def sine(train: Train) -> Path:
    """Nets of depths 4 and 7, plain and residual, of two seeds."""
    train(*SWEEP, "--depths", "4,7", "--seeds", "0,1", "--save-models")
    return Path("results")


def test_the_deepest_nets_get_a_table_and_a_figure(command: Command, sine: Path) -> None:
    answer = command("analyze", "remove", sine, "--draws", 2, "--format", "svg", "--device", "cpu")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == "Depth 7 is the largest that all models have."
    assert lines[1].startswith("Using 4 of 8 runs, depth 7 and seeds 0,1; choose others with --depths")
    assert [line.partition("_s")[0] for line in answer.err.splitlines()] == [
        f"{number}/4: {model}_d007" for number, model in enumerate(["plain-mlp"] * 2 + ["residual-mlp"] * 2, 1)
    ]
    assert lines[2] == "Test loss after blocks are removed or swapped, median over seeds and random draws"
    assert [line.split()[:3] for line in lines[5:7]] == [["plain-mlp", "7", "2"], ["residual-mlp", "7", "2"]]
    assert lines[-2:] == ["results/analysis/remove.csv", "results/analysis/remove.svg"]
    frame = pd.read_csv("results/analysis/remove.csv")
    plain = frame[(frame["model"] == "plain-mlp") & (frame["seed"] == 0)]
    counts = plain["change"].value_counts()
    assert counts.drop("order").to_dict() == {"intact": 1, "single": 6, "several": 2 * 4 + 1, "chance": 1}
    assert set(frame["depth"]) == {7}
    summary = pd.read_csv("results/summary.csv").set_index("run_id")
    intact = frame[frame["change"] == "intact"].set_index("run_id")
    assert intact["test_loss"].to_dict() == pytest.approx(summary.loc[intact.index, "test_loss"].to_dict(), rel=1e-5)


def test_models_depths_seeds_and_the_folder_can_be_chosen(command: Command, sine: Path) -> None:
    options = ("--models", "residual-mlp", "--depths", "4,7", "--seeds", 1, "--draws", 1, "--format", "png")
    answer = command("analyze", "remove", sine, *options, "--out", "here")
    assert answer.code == 0
    assert answer.out.splitlines()[-2:] == ["here/remove.csv", "here/remove.png"]
    frame = pd.read_csv("here/remove.csv")
    assert set(frame["model"]) == {"residual-mlp"}
    assert set(frame["depth"]) == {4, 7}
    assert set(frame["seed"]) == {1}
    assert not Path("results/analysis").exists()


def test_many_seeds_are_used_only_on_request(command: Command, train: Train) -> None:
    train(*SWEEP, "--models", "residual", "--depths", 4, "--seeds", "0..6", "--save-models")
    for options, seeds in (((), range(5)), (("--seeds", "0..6"), range(7))):
        assert command("analyze", "remove", "results", "--draws", 1, "--format", "svg", *options).code == 0
        assert sorted(set(pd.read_csv("results/analysis/remove.csv")["seed"])) == list(seeds)


def test_settings_that_vary_are_columns(command: Command, train: Train) -> None:
    sweep = (*SWEEP, "--models", "residual", "--depths", 4, "--seeds", 0, "--learning-rate", "0.01,0.1")
    train(*sweep, "--save-models")
    answer = command("analyze", "remove", "results", "--draws", 1, "--format", "svg")
    table = [line.split()[:4] for line in answer.out.splitlines()]
    assert ["residual-mlp", "4", "0.01", "1"] in table
    assert set(pd.read_csv("results/analysis/remove.csv")["learning_rate"]) == {0.01, 0.1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--draws", 0), "Invalid value for '--draws'"),
        (("--depths", 20), "results holds no run of this selection; it has plain-mlp, residual-mlp at"),
        (("--format", "gif"), "format (=gif) must be png, svg or pdf, or several of them joined by commas."),
    ],
)
def test_impossible_requests_are_explained_before_measuring(
    command: Command, sine: Path, arguments: tuple[object, ...], message: str
) -> None:
    answer = command("analyze", "remove", sine, *arguments)
    assert (answer.code, answer.err.count("\n"), answer.out) == (2, 1, "")
    assert message in answer.err
    assert not Path("results/analysis").exists()


def test_more_depths_than_a_figure_shows_are_rejected(command: Command, train: Train) -> None:
    train(*SWEEP, "--models", "residual", "--depths", "2..8", "--seeds", 0, "--save-models")
    answer = command("analyze", "remove", "results", "--depths", "2..8")
    assert (answer.code, answer.out) == (2, "")
    assert "make 7 rows of panels, but one figure shows at most 6; choose some depths with --depths." in answer.err


def test_missing_weights_and_missing_blocks_are_explained(command: Command, train: Train) -> None:
    train(*SWEEP, "--depths", 1, "--seeds", 0)
    answer = command("analyze", "remove", "results")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "has no saved net; repeat the sweep with --save-models." in answer.err
    train(*SWEEP, "--depths", 1, "--seeds", 0, "--save-models")
    answer = command("analyze", "remove", "results")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "plain-mlp, depth 1, seed 0 has no blocks; choose a deeper net" in answer.err
