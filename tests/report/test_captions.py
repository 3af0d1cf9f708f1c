"""What captions say, against numbers worked out by hand."""

import math

import pandas as pd

from resnet_cli.api import sweep_drawings
from resnet_cli.report.captions import caption_of, caption_of_table
from resnet_cli.store.reader import load_results
from tests.report.conftest import DEGRADING, MakeSweep


def captions(make_sweep: MakeSweep, *arguments: object, **settings: object) -> dict[str, str]:
    results = load_results(make_sweep("mine", *arguments, **settings))
    return {name: caption_of(drawing) for name, drawing in sweep_drawings([results]).items()}


def test_against_depth_the_lowest_and_the_deepest_are_named(make_sweep: MakeSweep) -> None:
    assert captions(make_sweep, DEGRADING)["loss-by-depth"] == (
        "Median training loss of 3 seeds (and their range): plain-mlp is lowest at depth 4, 0.02 (0.01 to 0.03), and "
        "at depth 8 it is at 0.5 (all); residual-mlp is lowest at its last, depth 8: 0.002 (0.001 to 0.003)."
    )


def test_during_training_the_deepest_nets_are_followed(make_sweep: MakeSweep) -> None:
    assert captions(make_sweep, DEGRADING)["loss-curves"] == (
        "Median training loss of 3 seeds: plain-mlp at depth 8 goes from 1 at step 0 to 0.5 at 10; residual-mlp at "
        "depth 8 goes from 1 at step 0 to 0.002 at 10."
    )


def test_one_seed_has_no_median_and_no_range(make_sweep: MakeSweep) -> None:
    said = captions(make_sweep, {("plain-mlp", 2): [0.1], ("plain-mlp", 3): [0.2]})
    assert said["loss-by-depth"] == (
        "Training loss of one seed: plain-mlp is lowest at depth 2, 0.1, and at depth 3 it is at 0.2."
    )
    assert said["loss-curves"].startswith("The training loss of one seed: plain-mlp at depth 3")


def test_diverged_and_failed_runs_are_counted(make_sweep: MakeSweep) -> None:
    losses = {
        ("plain-mlp", 2): [0.1, 0.2, 0.3],
        ("plain-mlp", 3): [math.inf, math.inf, 0.3],
        ("plain-mlp", 4): [math.nan, 1, 1],
    }
    assert captions(make_sweep, losses)["loss-by-depth"] == (
        "Median training loss of 2 to 3 seeds (and their range): plain-mlp is lowest at depth 2, 0.2 (0.1 to 0.3), and "
        "at depth 4 it is at 1 (all); 2 of 9 runs diverged; 1 of 9 runs failed."
    )


def test_of_many_kinds_of_nets_the_extremes_are_named(make_sweep: MakeSweep) -> None:
    losses = {(model, depth): [0.1 * depth] for model in ("plain-mlp", "residual-mlp") for depth in (2, 3)}
    said = captions(make_sweep, losses, init=["default", "he"])["loss-by-depth"]
    assert said.startswith("Training loss of one seed, 4 kinds of nets: at depth 3, plain-mlp, init default is lowest")
    assert "lowest of all is plain-mlp, init default at depth 2 with 0.2" in said


def test_against_parameters_these_are_named(make_sweep: MakeSweep) -> None:
    losses = {("plain-mlp", depth): [0.1 * depth] for depth in (2, 3)}
    assert captions(make_sweep, losses, width=[4, 5])["loss-by-parameters"] == (
        "Training loss of one seed: plain-mlp is lowest at 204 parameters, 0.2, and at 305 parameters it is at 0.3."
    )


def test_the_table_of_an_analysis_is_described_by_its_nets() -> None:
    table = pd.DataFrame(
        {"run_id": ["a", "a", "b"], "model": ["resnet", "resnet", "plain-cnn"], "depth": [8, 8, 14], "seed": [0, 0, 0]}
    )
    assert caption_of_table(table) == "2 nets: plain-cnn and resnet at depth 8,14, 1 seed."
    assert caption_of_table(pd.DataFrame({"step": [1]})) == ""
