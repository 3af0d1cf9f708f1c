import math
from statistics import mean, median

import pandas as pd
import pytest

from resnet_cli.claims.paired import compare_sides
from resnet_cli.claims.statistics import adjusted, mean_interval, two_sided_p


def side(values: dict[int, list[float]], **settings: int) -> pd.DataFrame:
    """Values by depth and seed."""
    rows = [
        {"depth": depth, "seed": seed, "value": value}
        for depth, of_depth in values.items()
        for seed, value in enumerate(of_depth)
    ]
    return pd.DataFrame(rows).assign(**settings)


def test_each_row_has_the_interval_and_p_values_of_its_differences() -> None:
    first = {2: [1.0, 2.0, 3.0, 4.0], 4: [5.0, 5.0, 5.0]}
    second = {2: [0.5, 1.0, 3.5, 2.0], 4: [5.0, 4.0, 4.5], 6: [1.0]}
    table = compare_sides(side(first), side(second), ["depth"]).set_index("depth")
    assert list(table.index) == [2, 4]
    p_values = []
    for depth in (2, 4):
        differences = [after - before for before, after in zip(first[depth], second[depth], strict=True)]
        row = table.loc[depth]
        assert (row["pairs"], row["lower"]) == (len(differences), sum(value < 0 for value in differences))
        assert row["difference"] == median(differences)
        assert row["mean"] == pytest.approx(mean(differences))
        assert [row["low"], row["high"]] == list(mean_interval(differences))
        p_values.append(two_sided_p(differences))
    assert table["p_value"].tolist() == p_values
    assert table["adjusted"].tolist() == adjusted(p_values)


def test_only_shared_seeds_and_what_both_sides_have_make_pairs() -> None:
    plain = side({2: [1.0, 1.0, 1.0]})
    residual = pd.concat([side({2: [0.5, 0.25]}, block_size=size) for size in (1, 2)])
    table = compare_sides(plain, residual, ["depth", "block_size"])
    assert table["block_size"].tolist() == [1, 2]
    assert table["pairs"].tolist() == [2, 2]
    assert table["mean"].tolist() == [-0.625, -0.625]


def test_diverged_runs_have_a_test_but_no_interval() -> None:
    table = compare_sides(
        side({2: [math.inf] * 6, 4: [math.inf, 1.0]}), side({2: [math.inf, *[0.5] * 5], 4: [1.0, math.inf]}), ["depth"]
    ).set_index("depth")
    assert table["pairs"].tolist() == [6, 2]
    assert table.loc[2, "mean"] == -math.inf
    assert table.loc[2, "p_value"] == 2 / 2**5, "a pair in which both diverged has no difference"
    assert table["low"].isna().all()
    assert table["mean"].isna().tolist() == [False, True]
    assert table.loc[4, "p_value"] == 1.0


def test_one_pair_has_no_interval_and_none_no_row() -> None:
    table = compare_sides(side({2: [1.0]}), side({2: [0.5]}), ["depth"])
    assert (table.loc[0, "mean"], table.loc[0, "p_value"]) == (-0.5, 1.0)
    assert table[["low", "high"]].isna().all(axis=None)
    assert compare_sides(side({2: [1.0]}), side({4: [0.5]}), ["depth"]).empty
