"""A finding is named only where medians of enough seeds carry it."""

import pandas as pd
import pytest

from resnet_cli.figures.finding import finding

FALLING = {2: 0.5, 4: 0.1, 6: 0.01, 8: 0.01, 10: 0.01}
RISING = {2: 0.5, 4: 0.01, 6: 0.01, 8: 0.4, 10: 0.5}


def summary(losses: dict[str, dict[int, float]], seeds: int = 5) -> pd.DataFrame:
    """Runs whose training loss is that of their model and depth, whatever the seed."""
    rows = [
        {"task": "sine", "model": model, "depth": depth, "seed": seed, "status": "done", "train_loss": loss}
        for model, by_depth in losses.items()
        for depth, loss in by_depth.items()
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows).assign(train_error=None)


@pytest.mark.parametrize(
    ("losses", "sentence", "rule"),
    [
        (
            {"residual-mlp": FALLING, "plain-mlp": RISING},
            "By the median, plain nets get worse from 8 layers on; residual nets do not",
            "worse: its training loss stays above 2 times its best level (plain-mlp)",
        ),
        (
            {"plain-cnn": RISING, "resnet": RISING},
            "By the median, plain nets get worse from 8 layers on, residual nets from 8 on",
            "worse: its training loss stays above 2 times its best level (plain-cnn, resnet)",
        ),
        (
            {"plain-mlp": FALLING, "residual-mlp": FALLING},
            "By the median, plain nets and residual nets do not get worse with depth",
            "",
        ),
        (
            {"densenet": RISING},
            "By the median, densenet nets get worse from 8 layers on",
            "worse: its training loss stays above 2 times its best level (densenet)",
        ),
    ],
)
def test_sentence_says_which_nets_get_worse(losses: dict[str, dict[int, float]], sentence: str, rule: str) -> None:
    found = finding(summary(losses))
    assert found is not None
    assert found.sentence == sentence
    assert found.statistic == "medians of 5 seeds, up to 10 layers"
    assert found.rule == rule


def test_few_seeds_few_depths_and_many_models_give_no_sentence() -> None:
    both = {"plain-mlp": RISING, "residual-mlp": FALLING}
    assert finding(summary(both, seeds=4)) is None
    assert finding(summary({name: {2: 0.5, 4: 0.1} for name in both})) is None
    assert finding(summary({f"m{index}": RISING for index in range(4)})) is None
    assert finding(summary({"plain-mlp, he": RISING, "plain-mlp, glorot": FALLING})) is None
    assert finding(summary({"plain-mlp": RISING, "plain-cnn": RISING})) is None, "both would be plain nets"
    assert finding(summary({"plain-mlp": RISING, "residual-mlp": {**FALLING, 20: 0.01}})) is None


def test_one_depth_with_fewer_seeds_gives_no_sentence() -> None:
    runs = summary({"plain-mlp": RISING, "residual-mlp": FALLING})
    assert finding(runs.drop(index=0)) is None
    failed = runs.copy()
    failed.loc[0, "status"] = "failed"
    assert finding(failed) is None


def test_diverged_runs_count_as_worse() -> None:
    runs = summary({"plain-mlp": FALLING, "residual-mlp": FALLING})
    deep = (runs["model"] == "plain-mlp") & (runs["depth"] >= 8)
    runs.loc[deep, "status"] = "diverged"
    found = finding(runs)
    assert found is not None
    assert found.sentence == "By the median, plain nets get worse from 8 layers on; residual nets do not"
