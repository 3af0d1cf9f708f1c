from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.slow


def test_it_needs_no_runs_and_writes_its_table_and_figure(command: Command, tmp_path: Path) -> None:
    small = ("--depths", 11, "--cardinalities", "1,2", "--seeds", 0)
    answer = command("analyze", "forms", *small, "--out", tmp_path / "here", "--format", "png")
    assert answer.code == 0, answer.err
    frame = pd.read_csv(tmp_path / "here" / "forms.csv")
    assert len(frame) == 2 * 2 * 3
    assert frame.loc[frame["bits"] == 64, ["outputs", "gradients"]].to_numpy().max() < 1e-10
    lines = answer.out.splitlines()
    assert lines[0] == "Greatest relative difference between forms with the same weights, seeds 0"
    assert [line.split()[:4] for line in lines[3:9]] == [
        [bits, *pair, "2"] for bits in ("32", "64") for pair in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    assert lines[-2:] == [str(tmp_path / "here" / f"forms.{end}") for end in ("csv", "png")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--depths", "12"), "resnext has no depth 12; its depths are 9n+2"),
        (("--cardinalities", "0"), "cardinalities (=0) contains 0"),
        (("--seeds", "x"), "seeds (=x) is not a list"),
        (("--device", "tpu"), "device (=tpu) must be auto"),
    ],
)
def test_wrong_options_are_explained_in_one_sentence(arguments: tuple[str, str], words: str, command: Command) -> None:
    answer = command("analyze", "forms", *arguments)
    assert answer.code == 2
    assert words in answer.err
    assert answer.err.count("\n") == 1
