"""`resnet-exp analyze convergence`: its files, its sentences, and what a person can get wrong."""

import math
from pathlib import Path

import pandas as pd
import pytest

from resnet_cli.models.settings import INIT
from resnet_cli.store.reader import load_results
from tests.cli.conftest import Command, Train

pytestmark = pytest.mark.slow  # whole commands; what they call is tested in the other folders

SWEEP = ("--seeds", "0,1", "--depths", "2,4", "--steps", 40, "--eval-every", 20, "--jobs", 1, "--quiet")


def test_the_table_has_every_run_and_the_figure_is_beside_it(command: Command, train: Train) -> None:
    train(*SWEEP)
    answer = command("analyze", "convergence", "results/sine", "--levels", "0.4,1e-9", "--unit", "epoch")
    assert answer.code == 0
    place = Path("results/sine/analysis")
    assert answer.out.splitlines()[-3:] == [str(place / f"convergence.{end}") for end in ("csv", "png", "svg")]
    table = [line.split() for line in answer.out.splitlines()]
    assert ["1e-09", "plain-mlp", "4", "0", *"––––"] in table
    assert ["1e-09", "residual-mlp", *"404004"] in table
    frame = pd.read_csv(place / "convergence.csv")
    assert len(frame) == 16
    assert frame.loc[frame["level"] == 1e-9, "step"].isna().all()
    for stored in load_results(Path("results/sine")).runs:
        (row,) = frame[(frame["run_id"] == stored.run.run_id) & (frame["level"] == 0.4)].to_dict("records")
        below = [metrics.step for metrics in stored.history if metrics.train_loss <= 0.4]
        assert (row["step"] <= below[0] < row["step"] + 20) if below else math.isnan(row["step"])


def test_levels_come_from_the_loss_before_training(command: Command, train: Train) -> None:
    train(*SWEEP)
    assert command("analyze", "convergence", "results/sine", "--split", "test", "--format", "svg").code == 0
    starts = sorted(stored.history[0].test_loss for stored in load_results(Path("results/sine")).runs)
    middle = (starts[3] + starts[4]) / 2
    frame = pd.read_csv("results/sine/analysis/convergence.csv")
    assert list(frame["level"].unique()) == [float(f"{share * middle:.2g}") for share in (0.5, 0.1, 0.01)]
    assert set(frame["split"]) == {"test"}


def test_a_diverged_run_stays_in_the_table(command: Command, train: Train) -> None:
    train(*SWEEP, "--optimizer", "sgd", "--learning-rate", "0.01,1e9", "--models", "plain")
    answer = command("analyze", "convergence", "results/sine", "--levels", 0.01, "--by", "learning-rate", "--depths", 4)
    assert answer.code == 0
    frame = pd.read_csv("results/sine/analysis/convergence.csv")
    assert sorted(frame["status"]) == ["diverged", "diverged", "done", "done"]
    assert set(frame["model"]) == {"plain-mlp, learning rate 0.01", "plain-mlp, learning rate 1e+09"}
    assert "learning_rate" not in frame


def test_runs_are_chosen_by_the_value_of_a_setting(command: Command) -> None:
    assert command("sweep", *SWEEP, "--init", "default,he", "--models", "plain").code == 0
    answer = command("analyze", "convergence", "results/sine", "--where", "init=he", "--format", "svg")
    assert answer.code == 0
    frame = pd.read_csv("results/sine/analysis/convergence.csv")
    he = {stored.run.run_id for stored in load_results(Path("results/sine")).runs if stored.run[INIT] == "he"}
    assert set(frame["run_id"]) == he


WRONG = [
    (("--levels", "0.1,low"), "levels (=0.1,low) must be losses above 0"),
    (("--levels", "0"), "levels (=0) must be losses above 0"),
    (("--levels", "inf"), "levels (=inf) must be losses above 0"),
    (("--levels", ","), "levels (=,) must be losses above 0"),
    (("--split", "both"), "split (=both) is not known"),
    (("--unit", "hour"), "unit (=hour) is not known"),
    (("--by", "level"), "by (=level) is not a setting"),
    (("--format", "gif"), "format (=gif)"),
    (("--models", "resnet"), "has no run of it"),
]


def test_wrong_options_are_named_and_nothing_is_written(command: Command, train: Train) -> None:
    train(*SWEEP)
    for options, words in WRONG:
        answer = command("analyze", "convergence", "results/sine", *options)
        assert answer.code == 2
        assert words in answer.err
    assert not Path("results/sine/analysis").exists()
