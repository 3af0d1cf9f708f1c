"""`resnet-exp analyze landscape`: its files, what it takes by default, and what it refuses."""

from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Command, Train

pytestmark = pytest.mark.slow

SMALL = ("--steps", 4, "--eval-every", 2, "--train-size", 64, "--width", 5, "--jobs", 1, "--threads", 1, "--quiet")
FOLDER = Path("results/sine")


def test_cuts_of_all_nets_and_surfaces_of_the_first_seed(command: Command, train: Train) -> None:
    train(*SMALL, "--depths", "3,5", "--seeds", "1,2", "--save-models")
    answer = command("analyze", "landscape", FOLDER, "--draws", 2, "--cut", 3, "--surface", 1, "--format", "png")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[-2:] == [str(FOLDER / "analysis" / f"landscape.{end}") for end in ("csv", "png")]
    frame = pd.read_csv(FOLDER / "analysis" / "landscape.csv")
    assert frame.groupby(["part", "seed"]).size().to_dict() == {
        ("cut", 1): 4 * 2 * 7, ("cut", 2): 4 * 2 * 7, ("surface", 1): 4 * 2 * 9
    }  # fmt: skip
    assert frame["x"].abs().max() == 1
    rows = [line.split()[:4] for line in answer.out.splitlines()]
    assert ["3", "residual-mlp", "2", "2"] in rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--draws", "0"), "--draws"),
        (("--cut", "0"), "--cut"),
        (("--surface", "-1"), "--surface"),
        (("--radius", "0"), "--radius"),
        (("--examples", "0"), "--examples"),
        (("--format", "svg"), "has no saved net"),
    ],
)
def test_problems_are_explained_in_one_sentence(
    command: Command, train: Train, options: tuple[str, ...], message: str
) -> None:
    train(*SMALL, "--depths", 2, "--seeds", 0, "--models", "plain")
    answer = command("analyze", "landscape", FOLDER, *options)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.splitlines()[-1].endswith(".")
