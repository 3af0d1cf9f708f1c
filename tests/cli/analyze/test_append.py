from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Command, Train

pytestmark = pytest.mark.slow

SMALL = ("--steps", 4, "--eval-every", 2, "--jobs", 1, "--engine", "loop")


@pytest.fixture
def folder(train: Train) -> Path:
    """Sine nets; the residual ones have whole blocks at depths 4 and 7."""
    train("--models", "plain,residual", "--depths", "3,4,7", "--seeds", "0..1", "--save-models", *SMALL)
    return Path("results/sine")


def test_the_smallest_and_largest_depth_are_compared_by_default(folder: Path, command: Command) -> None:
    answer = command("analyze", "append", folder, "--format", "svg")
    assert answer.code == 0, answer.err
    assert "Using 4 of 12 runs: nets of depth 4, each extended to depth 7." in answer.out
    assert {path.name for path in (folder / "analysis").iterdir()} == {"append.csv", "append.sha256", "append.svg"}
    frame = pd.read_csv(folder / "analysis" / "append.csv")
    assert set(zip(frame["model"], frame["seed"], strict=True)) == {
        (model, seed) for model in ("plain-mlp", "residual-mlp") for seed in (0, 1)
    }
    middle = frame[frame["step"] == 4].pivot_table("train_loss", ["model", "seed"], "net")
    assert middle["appended"].to_list() == pytest.approx(middle["shallow"].to_list(), rel=1e-6)
    assert "plain-mlp         2  extended to depth 7 " in answer.out


def test_models_depths_and_seeds_can_be_chosen(folder: Path, command: Command, tmp_path: Path) -> None:
    chosen = ("--models", "plain-mlp", "--depth", 3, "--to", 5, "--seeds", 1)
    answer = command("analyze", "append", folder, *chosen, "--format", "svg", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"append.csv", "append.sha256", "append.svg"}
    frame = pd.read_csv(tmp_path / "out" / "append.csv")
    assert frame[["model", "depth", "deeper", "seed"]].drop_duplicates().to_numpy().tolist() == [["plain-mlp", 3, 5, 1]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--depth", 5), "depth (=5): there is no stored net of this depth"),
        (("--depth", 4, "--to", 4), "to (=4) must exceed the depth of the shallow net"),
        (("--depth", 4, "--to", 6), "depth (=6) leaves the last block of residual-mlp with fewer than 3 layers"),
        (("--models", "densenet"), "has no run of it; it has "),
    ],
)
def test_impossible_requests_are_explained_in_one_sentence(
    arguments: tuple[object, ...], words: str, folder: Path, command: Command
) -> None:
    answer = command("analyze", "append", folder, *arguments)
    assert answer.code == 2
    assert words in answer.err
    assert answer.err.count("\n") == 1


def test_unsupported_models_are_left_out_or_rejected_if_named(command: Command, tmp_path: Path) -> None:
    sweep = ("--models", "plain-mlp,highway-mlp", "--depths", "2,3", "--seeds", 0, "--out", tmp_path, "--save-models")
    assert command("sweep", *sweep, *SMALL).code == 0
    answer = command("analyze", "append", tmp_path)
    assert answer.code == 0, answer.err
    assert set(pd.read_csv(tmp_path / "analysis" / "append.csv")["model"]) == {"plain-mlp"}
    answer = command("analyze", "append", tmp_path, "--models", "highway-mlp")
    assert answer.code == 2
    assert "models (=highway-mlp) cannot be made deeper by construction" in answer.err


def test_missing_weights_are_explained(command: Command, tmp_path: Path) -> None:
    assert command("sweep", "--models", "plain", "--depths", "2,4", "--seeds", 0, "--out", tmp_path, *SMALL).code == 0
    answer = command("analyze", "append", tmp_path)
    assert answer.code == 2
    assert "repeat the sweep with --save-models" in answer.err
