"""`resnet-exp analyze trainability`: its table, its files, and what a person can get wrong."""

from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Command, Train

pytestmark = pytest.mark.slow  # whole commands; what they call is tested in the other folders

SWEEP = ("--models", "plain", "--depths", "1,3", "--seeds", 0, "--steps", 2, "--eval-every", 2, "--jobs", 1, "--quiet")


def test_the_table_and_the_map_are_written(command: Command, train: Train) -> None:
    train(*SWEEP, "--init", "normal", "--init-std", "0.1..0.4:3log", "--init-bias-std", 0.2)
    answer = command("analyze", "trainability", "results/sine", "--format", "png")
    assert answer.code == 0
    place = Path("results/sine/analysis")
    assert answer.out.splitlines()[-2:] == [str(place / "trainability.csv"), str(place / "trainability.png")]
    assert "six depth scales" in answer.out
    cells = pd.read_csv(place / "trainability.csv").dropna(subset=["depth"])
    assert sorted(set(zip(cells["init_std"], cells["depth"], strict=True))) == [
        (std, depth) for std in (0.1, 0.2, 0.4) for depth in (1, 3)
    ]


def test_a_sweep_without_normal_weights_is_refused(command: Command, train: Train) -> None:
    train(*SWEEP)
    answer = command("analyze", "trainability", "results/sine")
    assert answer.code == 2
    assert "init: no run starts with normal weights; sweep over init_std first." in answer.err
