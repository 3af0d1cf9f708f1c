"""The answer on top of a page."""

import math
from itertools import count

from resnet_cli.report.answer import NamedSweep, answer
from resnet_cli.store.reader import load_results
from tests.report.conftest import DEGRADING, MakeSweep

STEADY = {key: [0.1, 0.2, 0.3] for key in DEGRADING}


def named(make_sweep: MakeSweep, name: str, *arguments: object, **settings: object) -> NamedSweep:
    return NamedSweep(name, load_results(make_sweep(name, *arguments, **settings)))


def test_it_says_what_twins_reach_at_the_greatest_depth(make_sweep: MakeSweep) -> None:
    found = answer([named(make_sweep, "mine", DEGRADING)], count(1))
    assert (
        "At depth 8 the median training loss is 0.5 in plain-mlp and 0.002 in residual-mlp, lower in all 3 pairs of "
        "the same seed."
    ) in found.sentences
    assert found.sentences[-1] == "This page rests on 18 runs of 2 models in 1 sweep, all finished."
    assert found.figure is not None
    assert found.figure.title == "Median training loss at depth 8: 0.5 in plain-mlp and 0.002 in residual-mlp"


def test_ties_are_not_lower(make_sweep: MakeSweep) -> None:
    found = answer([named(make_sweep, "mine", STEADY)], count(1))
    assert any("lower in 0 of 3 pairs" in sentence for sentence in found.sentences)


def test_the_sweep_in_which_nothing_else_varies_comes_first(make_sweep: MakeSweep) -> None:
    varied = named(make_sweep, "varied", DEGRADING, init=["default", "he"])
    plain = named(make_sweep, "plain", {("plain-mlp", 2): [0.1], ("plain-mlp", 3): [0.1]})
    pure = named(make_sweep, "pure", DEGRADING)
    found = answer([varied, plain, pure], count(1))
    assert found.sweep == "pure"
    assert found.sentences[-1] == "This page rests on 56 runs of 2 models in 3 sweeps, all finished."


def test_other_sweeps_are_spoken_of_by_name(make_sweep: MakeSweep) -> None:
    more = {(model, depth): losses * 2 for (model, depth), losses in DEGRADING.items()}
    found = answer([named(make_sweep, "few", STEADY), named(make_sweep, "many", more)], count(1))
    assert found.sweep == "many"
    assert any(sentence.startswith("In few, at depth 8 the median") for sentence in found.sentences)


def test_without_twins_it_claims_nothing(make_sweep: MakeSweep) -> None:
    losses = {("plain-mlp", 2): [0.1, math.inf], ("plain-mlp", 3): [math.nan, 0.2]}
    found = answer([named(make_sweep, "mine", losses)], count(1))
    assert found.figure is None
    assert found.sentences == [
        "No sweep here sets plain beside residual nets at several depths.",
        "This page rests on 4 runs of 1 model in 1 sweep, of which 1 diverged and 1 failed.",
    ]
