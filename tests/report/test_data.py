"""The tables behind figures."""

import io
import math
from urllib.parse import unquote

import pandas as pd
import pytest

from resnet_cli.api import sweep_drawings
from resnet_cli.figures.sweep import Drawing
from resnet_cli.report.data import as_csv, data_link, figure_data, file_name
from resnet_cli.store.reader import load_results
from tests.report.conftest import DEGRADING, MakeSweep


def drawings(make_sweep: MakeSweep, *arguments: object, **settings: object) -> dict[str, Drawing]:
    return sweep_drawings([load_results(make_sweep("mine", *arguments, **settings))])


def test_against_depth_there_is_a_row_for_each_run(make_sweep: MakeSweep) -> None:
    table = figure_data(drawings(make_sweep, DEGRADING, init=["default", "he"])["loss-by-depth"])
    assert list(table) == [
        "run_id",
        "task",
        "model",
        "depth",
        "seed",
        "status",
        "init",
        "step",
        "train_loss",
        "test_loss",
    ]
    assert len(table) == 36
    at_8 = table[(table["model"] == "residual-mlp") & (table["depth"] == 8) & (table["init"] == "he")]
    assert sorted(at_8["train_loss"]) == [0.001, 0.002, 0.003]


def test_during_training_there_are_medians(make_sweep: MakeSweep) -> None:
    losses = {("plain-mlp", 2): [0.1, 0.2, 0.4], ("plain-mlp", 3): [math.inf, math.inf, 0.3]}
    table = figure_data(drawings(make_sweep, losses)["loss-curves"])
    assert list(table) == ["task", "model", "depth", "runs", "step", "train_loss", "test_loss"]
    assert table[["depth", "runs", "step", "train_loss"]].to_numpy().tolist() == [
        [2, 3, 0, 1.0],
        [2, 3, 10, 0.2],
        [3, 3, 0, 1.0],
        [3, 3, 10, math.inf],
    ]


def test_a_link_contains_its_text(make_sweep: MakeSweep) -> None:
    text = as_csv(figure_data(drawings(make_sweep, DEGRADING)["loss-by-depth"]))
    link = data_link(text)
    kind, _, content = link.partition(",")
    assert kind == "data:text/csv;charset=utf-8"
    assert unquote(content) == text
    assert len(pd.read_csv(io.StringIO(text))) == 18


@pytest.mark.parametrize("text", ['"quoted"\n', "#hash & <b>", "100 %", "tab\tand ümlaut"])
def test_a_link_has_nothing_that_a_browser_would_change(text: str) -> None:
    link = data_link(text)
    assert unquote(link.partition(",")[2]) == text
    assert [character for character in '"<>#&\n\t' if character in link] == []


def test_numbers_have_six_digits() -> None:
    assert as_csv(pd.DataFrame({"loss": [1 / 3, math.inf, math.nan], "depth": [2, 3, 4]})) == (
        "loss,depth\n0.333333,2\ninf,3\n,4\n"
    )


def test_file_names_trouble_no_system() -> None:
    assert file_name("../My Sweep", "loss/by?depth", ending=".csv") == "my-sweep-loss-by-depth.csv"
