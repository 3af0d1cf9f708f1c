from pathlib import Path

import pandas as pd
import pytest

from resnet_cli.analysis.identity import experiments_of
from tests.cli.conftest import Command

pytestmark = pytest.mark.slow


def test_it_needs_no_runs_and_writes_its_table_and_figure(command: Command, tmp_path: Path) -> None:
    small = ("--depths", "1,3", "--seeds", "0..1", "--steps", 2, "--block-size", 3)
    answer = command("analyze", "identity", *small, "--out", tmp_path / "here", "--format", "png,svg")
    assert answer.code == 0, answer.err
    assert {path.name for path in (tmp_path / "here").iterdir()} == {
        f"identity.{kind}" for kind in ("csv", "png", "sha256", "svg")
    }
    frame = pd.read_csv(tmp_path / "here" / "identity.csv")
    assert set(frame["experiment"]) == {"filter", "vectors", "images"}
    assert set(frame.loc[frame["experiment"] == "images", "depth"]) == {1, 3}
    lines = answer.out.splitlines()
    assert lines[0] == "Relative error after 2 steps, median over seeds 0,1"
    assert [line.split()[:3] for line in lines[3:13:2]] == [
        [experiment, str(depth), "default"] for experiment, depth in experiments_of([1, 3])
    ]
    assert lines[-3:] == [str(tmp_path / "here" / f"identity.{end}") for end in ("csv", "png", "svg")]
    assert answer.err.splitlines()[0] == "1/5: filter, depth 1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--depths", "0"), "each number must lie between 1 and"),
        (("--seeds", "x"), "seeds (=x) is not a list"),
        (("--steps", "0"), "--steps"),
        (("--block-size", "0"), "--block-size"),
        (("--device", "tpu"), "device (=tpu) must be auto"),
    ],
)
def test_wrong_options_are_explained_in_one_sentence(arguments: tuple[str, str], words: str, command: Command) -> None:
    answer = command("analyze", "identity", *arguments)
    assert answer.code == 2
    assert words in answer.err
    assert answer.err.count("\n") == 1
