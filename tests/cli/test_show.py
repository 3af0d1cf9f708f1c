"""`resnet-exp show`: results as a table, as JSON and as CSV."""

import json
from io import StringIO
from pathlib import Path

import pandas as pd

from tests.cli.conftest import SMALL, Command


def test_show_gives_the_same_numbers_as_table_json_and_csv(command: Command, sine: Path) -> None:
    rows = json.loads(command("show", sine, "--json").out)
    frame = pd.read_csv(StringIO(command("show", sine, "--csv").out))
    assert [row["run_id"] for row in rows] == frame["run_id"].tolist()
    for column in ("train_loss", "test_loss", "parameters"):
        assert [row[column] for row in rows] == frame[column].tolist(), "to the last bit"
    assert {row["train_error"] for row in rows} == {None}
    table = command("show", sine).out
    assert all(row["run_id"] in table for row in rows)
    assert "depth" in command("show", sine, "--by-depth").out


def test_show_takes_several_folders_and_some_of_their_runs(command: Command, sine: Path) -> None:
    other = ("--init", "he", "--out", "other", "--quiet")
    assert command("sweep", *SMALL, *other).code == 0
    rows = json.loads(command("show", sine, "other", sine, "--json", "--models", "plain", "--depths", "3,4").out)
    assert [(row["folder"], row["model"], row["depth"]) for row in rows] == [
        (folder, "plain-mlp", depth) for folder in (str(sine), "other") for depth in (3, 4)
    ]
    table = command("show", sine, "other", "--where", "init=he", "--seeds", 0)
    assert table.out.startswith("other: 6 runs\n")
    assert command("show", sine, "--depths", 99).code == 2


def test_show_says_which_runs_failed_and_why(command: Command) -> None:
    failing = ("--task", "digits", "--model", "highway-cnn", "--depth", 8, "--steps", 2, "--gate-bias", "1e39")
    assert command("sweep", *failing, "--seeds", "0,1", "--jobs", 1, "--quiet").code == 1
    told = command("show", "results").out.splitlines()[-1]
    assert told.startswith("2 runs failed: ")
    assert told.count("highway-cnn_d008_s") == 2
    for row in json.loads(command("show", "results", "--json").out):
        assert row["status"] == "failed"
        assert told.startswith(f"2 runs failed: {row['message']} (")
