from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.slow


def test_it_needs_no_runs_and_writes_its_table_and_figure(command: Command, tmp_path: Path) -> None:
    small = ("--depths", "1,2", "--seeds", "0..1", "--width", 4)
    answer = command("analyze", "shattered", *small, "--out", tmp_path / "here", "--format", "png")
    assert answer.code == 0, answer.err
    frame = pd.read_csv(tmp_path / "here" / "shattered.csv")
    assert set(frame["depth"]) == {1, 2}
    assert (
        frame[frame["quantity"] == "correlation"].groupby(["kind", "batch_norm", "depth"]).size().tolist() == [2] * 12
    )
    lines = answer.out.splitlines()
    assert lines[0] == "Correlation of gradients at different inputs, mean over seeds 0,1"
    assert lines[3].split()[:3] == ["False", "plain", "1"]
    assert lines[-2:] == [str(tmp_path / "here" / f"shattered.{end}") for end in ("csv", "png")]
    assert answer.err.splitlines()[0] == "1/12: plain, depth 1, batch norm off"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--depths", "0"), "each number must lie between 1 and"),
        (("--seeds", "x"), "seeds (=x) is not a list"),
        (("--width", "0"), "--width"),
    ],
)
def test_wrong_options_are_explained_in_one_sentence(arguments: tuple[str, str], words: str, command: Command) -> None:
    answer = command("analyze", "shattered", *arguments)
    assert answer.code == 2
    assert words in answer.err
    assert answer.err.count("\n") == 1
