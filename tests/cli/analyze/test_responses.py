"""`resnet-exp analyze responses`: its files, what it takes by default, and what it refuses."""

from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Command, Train

pytestmark = pytest.mark.slow

SMALL = ("--steps", 4, "--eval-every", 2, "--train-size", 64, "--width", 5, "--jobs", 1, "--threads", 1, "--quiet")
FOLDER = Path("results/sine")


def test_every_layer_except_the_output_has_a_row(command: Command, train: Train) -> None:
    train(*SMALL, "--depths", "3..7", "--seeds", "0,1", "--save-models")
    answer = command("analyze", "responses", FOLDER, "--format", "png")
    assert answer.code == 0, answer.err
    assert "Using 12 of 20 runs, depths 3..7:2 and seeds 0,1;" in answer.out
    assert answer.out.splitlines()[-2:] == [str(FOLDER / "analysis" / f"responses.{end}") for end in ("csv", "png")]
    frame = pd.read_csv(FOLDER / "analysis" / "responses.csv")
    assert frame.groupby("depth")["layer"].max().to_dict() == {3: 3, 5: 5, 7: 7}
    assert (frame["deviation"] > 0).all()
    table = answer.out[answer.out.index("Standard deviation") :]
    means = frame.groupby(["depth", "model", "run_id"])["deviation"].mean().groupby(["depth", "model"]).median()
    rows = [line.split()[:4] for line in table.splitlines()]
    assert "NaN" not in table
    assert table.splitlines()[3].split()[-1] == "–"  # a plain net adds no response to a shortcut
    for row in means.reset_index().to_dict("records"):
        assert [str(row["depth"]), row["model"], "2", f"{row['deviation']:.3g}"] in rows


def test_settings_that_vary_are_columns(command: Command, train: Train) -> None:
    train(*SMALL, "--depths", 3, "--seeds", 0, "--models", "plain", "--activation", "relu,tanh", "--save-models")
    assert command("analyze", "responses", FOLDER, "--format", "png", "--out", "out").code == 0
    assert set(pd.read_csv("out/responses.csv")["activation"]) == {"relu", "tanh"}
    assert sorted(path.name for path in Path("out").iterdir()) == ["responses.csv", "responses.png", "responses.sha256"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "repeat the sweep with --save-models"),
        (("--models", "resnet"), "has no run of it; it has plain-mlp"),
        (("--device", "abacus"), "device (=abacus)"),
    ],
)
def test_mistakes_are_explained_in_one_sentence(
    command: Command, train: Train, options: tuple[str, ...], message: str
) -> None:
    train(*SMALL, "--depths", 2, "--seeds", 0, "--models", "plain")
    answer = command("analyze", "responses", FOLDER, *options)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("kind", ["remove", "paths", "features", "responses", "gradients", "append", "transfer"])
def test_every_analysis_accepts_the_data_folder(command: Command, kind: str) -> None:
    assert "--data-dir" in command("analyze", kind, "--help").out


def test_a_damaged_run_is_named_and_the_others_are_analysed(command: Command, train: Train) -> None:
    train(*SMALL, "--depths", "2,3", "--seeds", 0, "--models", "plain", "--save-models")
    damaged = next(FOLDER.glob("runs/plain-mlp_d002*/run.json"))
    damaged.write_text(damaged.read_text() + "x")
    answer = command("analyze", "responses", FOLDER)
    assert answer.code == 0
    assert f"{damaged} is left out" in answer.err
    assert set(pd.read_csv(FOLDER / "analysis" / "responses.csv")["depth"]) == {3}
