"""`resnet-exp analyze paths`: its files, what it takes by default, and what it refuses."""

from pathlib import Path

import pandas as pd
import pytest

from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.plan import plan_sweep
from tests.cli.conftest import Command

pytestmark = pytest.mark.slow


def sweep_into(folder: Path, *, save_models: bool = True, **request: object) -> Path:
    small = {"task": "sine", "seeds": 0, "steps": 4, "eval_every": 2, "threads": 1}
    with open_sweep(plan_sweep(small | request), folder, jobs=1, save_models=save_models) as sweep:
        sweep.execute(lambda event: None)
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sweep_into(tmp_path_factory.mktemp("sine"), models="plain,residual", depths="1..13:3", seeds="0..5")


def test_three_depths_and_five_seeds_are_used_by_default(results: Path, command: Command) -> None:
    answer = command("analyze", "paths", results, "--draws", 2, "--format", "svg")
    assert answer.code == 0, answer.err
    assert "Using 15 of 24 runs, depths 4,10,13 and seeds 0..4" in answer.out
    frame = pd.read_csv(results / "analysis" / "paths.csv")
    assert set(frame["model"]) == {"residual-mlp"}
    assert frame.groupby("depth")["length"].max().to_dict() == {4: 1, 10: 3, 13: 4}
    assert (frame.groupby("run_id")["gradient_share"].sum().round(5) == 1).all()
    assert (results / "analysis" / "paths.svg").stat().st_size > 0
    assert not (results / "analysis" / "paths.png").exists()
    assert ["residual-mlp", "13", "5", "4"] in [line.split()[:4] for line in answer.out.splitlines()]


def test_an_explicit_selection_is_not_reduced(results: Path, command: Command, tmp_path: Path) -> None:
    answer = command(
        "analyze", "paths", results, "--depths", 7, "--seeds", "0,5", "--draws", 2, "--format", "svg", "--out", tmp_path
    )
    assert answer.code == 0, answer.err
    frame = pd.read_csv(tmp_path / "paths.csv")
    assert set(zip(frame["depth"], frame["seed"], strict=True)) == {(7, 0), (7, 5)}


@pytest.mark.parametrize("selection", [("--models", "plain-mlp"), ("--depths", "1")])
def test_nets_without_residual_blocks_are_rejected(selection: tuple[str, str], results: Path, command: Command) -> None:
    answer = command("analyze", "paths", results, *selection)
    assert answer.code == 2
    assert "have no residual blocks, so each has only a single path" in answer.err
    assert answer.err.count("\n") == 1


def test_missing_weights_are_explained(command: Command, tmp_path: Path) -> None:
    sweep_into(tmp_path, models="residual", depths=4, save_models=False)
    answer = command("analyze", "paths", tmp_path)
    assert answer.code == 2
    assert "repeat the sweep with --save-models" in answer.err


def test_more_models_than_a_figure_shows_are_rejected(command: Command, tmp_path: Path) -> None:
    sweep_into(tmp_path, models="residual", depths=4, width=list(range(2, 9)))
    answer = command("analyze", "paths", tmp_path)
    assert answer.code == 2
    assert "7 models or settings" in answer.err
