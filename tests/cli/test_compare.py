"""`resnet-exp compare`: two models of a sweep, or two sweeps."""

import json
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

import resnet_cli
from tests.cli.conftest import SMALL, Command, Train

REFERENCE = Path(__file__).parents[2] / "docs/results"


def test_two_models_are_compared_by_depth(command: Command) -> None:
    answer = command("compare", "plain", "residual", REFERENCE / "sine", "--depths", "2,20,40")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0].strip() == f"{REFERENCE / 'sine'}: training loss, A = plain-mlp, B = residual-mlp"
    header = "depth pairs median A median B mean B − A 95 % interval p adjusted p"
    assert " ".join(lines[1].split()) == header
    table = resnet_cli.compare(resnet_cli.load_results(REFERENCE / "sine"), "plain-mlp", "residual-mlp")
    deepest = table.set_index("depth").loc[40]
    row = next(line.split() for line in lines if line.startswith("   40"))
    assert row[:4] == ["40", "10", f"{deepest['first']:.3g}", f"{deepest['second']:.3g}"]
    assert row[-2] == f"{2 / 2**10:.2g}"
    assert "At adjusted p ≤ 0.05, B is lower at 2 of 3 depths and higher at 0; the others are open." in lines
    assert "Interval: percentile bootstrap of the mean over pairs. p: two-sided exact sign-flip test" in lines[-1]


def test_json_and_csv_hold_the_same_table(command: Command) -> None:
    arguments = ("compare", "plain-mlp", "residual-mlp", REFERENCE / "sine", "--depths", "38..40")
    rows = json.loads(command(*arguments, "--metric", "test_loss", "--json").out)
    frame = pd.read_csv(StringIO(command(*arguments, "--metric", "test_loss", "--csv").out))
    assert [row["mean"] for row in rows] == frame["mean"].tolist()
    assert (rows[0]["A"], rows[0]["B"], rows[0]["metric"]) == ("plain-mlp", "residual-mlp", "test_loss")
    results = resnet_cli.load_results(REFERENCE / "sine")
    table = resnet_cli.compare(results, "plain-mlp", "residual-mlp", metric="test_loss").tail(3)
    assert frame["p_value"].tolist() == table["p_value"].tolist()
    assert command(*arguments, "--json", "--csv").code == 2


@pytest.mark.slow
def test_two_sweeps_are_compared_model_by_model(command: Command, train: Train) -> None:
    train(*SMALL, "--out", "one")
    train(*SMALL, "--learning-rate", 0.1, "--out", "other")
    answer = command("compare", "one", "other", "--metric", "test_loss")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("one and other, which differ in learning_rate 0.001 and 0.1: test loss, A = one,")
    assert "With 1 pair no p is below 1; it takes 6." in answer.out
    rows = json.loads(command("compare", "one", "other", "--json", "--models", "plain").out)
    assert [(row["model"], row["depth"], row["pairs"]) for row in rows] == [("plain-mlp", d, 1) for d in (2, 3, 4)]
    assert rows[0]["low"] is None
    assert "A (=one) and B (=other) are folders" in command("compare", "one", "other", "one").err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plain", "residul-mlp", "sine"), "model (=residul-mlp): no run is of it (did you mean residual-mlp?)"),
        (("plain", "other", "architectures-digits"), "model (=other) could be auxiliary-cnn, "),
        (("plain-mlp", "resnet", "sine", "digits"), "plain-mlp and resnet are in no sweep together"),
        (("plain", "residual", "sine", "--models", "plain"), "models (=plain) has no effect where A and B are models"),
        (("plain", "residual", "sine", "--metric", "test_error"), "metric (=test_error): these runs have none"),
    ],
)
def test_what_cannot_be_compared_is_said(command: Command, arguments: tuple[str, ...], message: str) -> None:
    first, second, *rest = arguments
    answer = command(
        "compare", first, second, *(REFERENCE / one if (REFERENCE / one).is_dir() else one for one in rest)
    )
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err


def test_a_folder_of_several_sweeps_is_no_side(command: Command) -> None:
    answer = command("compare", REFERENCE, REFERENCE / "sine")
    assert answer.code == 2
    assert "sweeps, such as" in answer.err
