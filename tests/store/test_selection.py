"""Choosing among stored runs."""

from pathlib import Path

import pytest

from resnet_cli.cli.filters import parse_selection
from resnet_cli.settings.errors import UserError
from resnet_cli.store.reader import Results, load_results
from resnet_cli.store.selection import Selection
from tests.conftest import MakeRun
from tests.store.records import store


@pytest.fixture
def results(make_run: MakeRun, tmp_path: Path) -> Results:
    """Plain and residual nets of depths 3 and 4, seeds 0 and 1; residual ones with two initialisations and sizes."""
    for depth in (3, 4):
        for seed in (0, 1):
            store(tmp_path, make_run(depths=depth, seeds=seed))
            for init in ("default", "he"):
                store(
                    tmp_path, make_run(models="residual", depths=depth, seeds=seed, init=init, batch_norm=init == "he")
                )
    return load_results(tmp_path)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 12),
        ({"models": "plain"}, 4),
        ({"models": "residual-mlp , plain-mlp"}, 12),
        ({"depths": "3"}, 6),
        ({"depths": "1..4", "seeds": "0"}, 6),
        ({"where": ["init=he"]}, 4),
        ({"where": ["init=he,default", "batch-norm=off"]}, 8),
        ({"where": ["block_size=none"]}, 4),
        ({"where": ["learning_rate=1e-3"]}, 12),
        ({"where": ["init=he", "init=default"]}, 12),
        ({"models": "residual", "depths": "4", "seeds": "1", "where": ["task=sine", "init=he"]}, 1),
    ],
)
def test_a_selection_keeps_the_runs_that_it_names(results: Results, options: dict[str, object], count: int) -> None:
    every = {"models": None, "depths": None, "seeds": None, "where": None}
    selection = parse_selection(**every | options)  # type: ignore[arg-type]
    assert len(selection.apply(results).runs) == count


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        (
            Selection(models=("resnet",)),
            r"models \(=resnet\): .* has no run of it.*; it has plain-mlp, residual-mlp\.$",
        ),
        (Selection(depths=frozenset({9})), r"no run of this selection; it has .* at depths 3,4 with seeds 0,1\.$"),
        (Selection(where={"int": ("he",)}), r"^where \(=int\) is not known \(did you mean init\?\); known are .*width"),
        (Selection(where={"init": ("hee",)}), r"^where init \(=hee\): .* has no such run; it has default, he\.$"),
        (Selection(models=("plain",), where={"init": ("he",)}), r"no run of this selection"),
    ],
)
def test_an_empty_selection_lists_what_exists(results: Results, selection: Selection, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        selection.apply(results)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((None, None, None, ["init"]), r"^where \(=init\) must have the form key=value"),
        ((None, None, None, ["init="]), r"^where init \(=\) is empty"),
        (("plain,", None, None, None), r"^models \(=plain,\) is empty or has an empty part"),
        ((None, "x", None, None), r"^depths \(=x\)"),
    ],
)
def test_malformed_filters_are_rejected(options: tuple[str, str, str, list[str]], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_selection(*options)


def test_folders_without_a_selected_run_are_left_out(results: Results, make_run: MakeRun, tmp_path: Path) -> None:
    store(tmp_path / "other", make_run(depths=7))
    both = [results, load_results(tmp_path / "other")]
    assert [kept.folder for kept in Selection(depths=frozenset({7})).apply_to_all(both)] == [tmp_path / "other"]
    assert Selection().apply_to_all(both) == both
