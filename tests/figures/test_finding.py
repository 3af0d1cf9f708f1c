"""A finding is named only where a test over enough seeds carries it."""

import pandas as pd
import pytest

from resnet_cli.figures.finding import finding

CHANCE = 0.5
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
    ("losses", "sentence"),
    [
        (
            {"residual-mlp": FALLING, "plain-mlp": RISING},
            "Plain nets get worse from 8 layers on; residual nets do not",
        ),
        (
            {"plain-cnn": RISING, "resnet": RISING},
            "Plain nets get worse from 8 layers on, residual nets from 8 on",
        ),
        (
            {"plain-mlp": FALLING, "residual-mlp": FALLING},
            "Plain nets and residual nets do not get worse with depth",
        ),
        (
            {"densenet": RISING},
            "Densenet nets get worse from 8 layers on",
        ),
    ],
)
def test_sentence_says_which_nets_get_worse(losses: dict[str, dict[int, float]], sentence: str) -> None:
    found = finding(summary(losses), CHANCE)
    assert found is not None
    assert found.sentence == sentence
    assert found.statistic == "exact sign-flip test over 5 seeds, p ≤ 0.031, up to 10 layers"
    assert found.rule == "worse: training loss higher than at the best depth by over 10 % of the constant answer's"


def test_few_seeds_few_depths_and_many_models_give_no_sentence() -> None:
    both = {"plain-mlp": RISING, "residual-mlp": FALLING}
    assert finding(summary(both, seeds=4), CHANCE) is None
    assert finding(summary({name: {2: 0.5, 4: 0.1} for name in both}), CHANCE) is None
    assert finding(summary({f"m{index}": RISING for index in range(4)}), CHANCE) is None
    assert finding(summary({"plain-mlp, he": RISING, "plain-mlp, glorot": FALLING}), CHANCE) is None
    assert finding(summary({"plain-mlp": RISING, "plain-cnn": RISING}), CHANCE) is None, "both would be plain nets"
    assert finding(summary({"plain-mlp": RISING, "residual-mlp": {**FALLING, 20: 0.01}}), CHANCE) is None


def test_one_depth_with_fewer_seeds_gives_no_sentence() -> None:
    runs = summary({"plain-mlp": RISING, "residual-mlp": FALLING})
    assert finding(runs.drop(index=0), CHANCE) is None
    failed = runs.copy()
    failed.loc[0, "status"] = "failed"
    assert finding(failed, CHANCE) is None


def test_diverged_runs_count_as_worse() -> None:
    runs = summary({"plain-mlp": FALLING, "residual-mlp": FALLING})
    deep = (runs["model"] == "plain-mlp") & (runs["depth"] >= 8)
    runs.loc[deep, "status"] = "diverged"
    found = finding(runs, CHANCE)
    assert found is not None
    assert found.sentence == "Plain nets get worse from 8 layers on; residual nets do not"


def test_without_the_level_of_chance_there_is_no_sentence() -> None:
    assert finding(summary({"plain-mlp": RISING}), None) is None


def test_models_whose_seeds_differ_are_called_unclear() -> None:
    runs = summary({"plain-mlp": RISING, "residual-mlp": FALLING}, seeds=8)
    runs.loc[(runs["model"] == "residual-mlp") & (runs["depth"] == 10) & (runs["seed"] < 3), "train_loss"] = CHANCE
    found = finding(runs, CHANCE)
    assert found is not None
    assert found.sentence == "Plain nets get worse from 8 layers on; it is unclear for residual nets"
    assert finding(runs[runs["model"] == "residual-mlp"], CHANCE) is None
