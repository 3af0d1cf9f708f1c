"""`resnet-exp analyze transfer`: its files, its table, and what it refuses."""

from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Command, Train

pytestmark = pytest.mark.slow

SMALL = ("--task", "digits", "--epochs", 1, "--width", 2, "--jobs", 1, "--threads", 1, "--quiet", "--save-models")
FOLDER = Path("results/digits")


def test_it_trains_both_starts_and_writes_its_table_and_figure(command: Command, train: Train) -> None:
    train(*SMALL, "--depths", 8, "--seeds", "0,1", "--classes", "5..9")
    answer = command("analyze", "transfer", FOLDER, "--examples", "2,3", "--steps", 4, "--format", "png")
    assert answer.code == 0, answer.err
    frame = pd.read_csv(FOLDER / "analysis" / "transfer.csv")
    assert frame.groupby(["model", "seed", "examples", "start"]).size().eq(5).all()
    assert len(frame) == 2 * 2 * 2 * 2 * 5
    assert answer.out.splitlines()[-2:] == [str(FOLDER / "analysis" / f"transfer.{end}") for end in ("csv", "png")]
    table = answer.out[answer.out.index("Test error (%) on the new classes after 4 steps") :].splitlines()
    assert [line.split()[:4] for line in table[3:7]] == [
        [examples, "8", model, "2"] for examples in "23" for model in ("plain-cnn", "resnet")
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--examples", "0"), "examples (=0) contains 0"),
        (("--examples", "200"), "examples (=200) of each of 5 classes"),
        (("--steps", "0"), "--steps"),
    ],
)
def test_mistakes_are_explained_in_one_sentence(
    command: Command, train: Train, options: tuple[str, str], message: str
) -> None:
    train(*SMALL, "--depths", 8, "--seeds", 0, "--models", "plain", "--classes", "0..4")
    answer = command("analyze", "transfer", FOLDER, *options)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1


def test_nets_that_know_all_classes_have_nothing_to_transfer_to(command: Command, train: Train) -> None:
    train(*SMALL, "--depths", 8, "--seeds", 0, "--models", "plain")
    answer = command("analyze", "transfer", FOLDER)
    assert answer.code == 2
    assert "train nets on some of them, for example with --classes 0..4." in answer.err
