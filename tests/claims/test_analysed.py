from math import inf, nan

import pandas as pd
import pytest

from resnet_cli.claims.analysed import first_over_last, needs, of_nets, way_to_chance
from resnet_cli.claims.claim import Analysis, MissingEvidence, Sweep
from tests.claims.made_up import MadeUp

OF_DIGITS = Analysis("gradients", Sweep("digits"))

RUNS = pd.DataFrame(
    {
        "run_id": ["a", "b"],
        "model": ["one", "two"],
        "role": ["plain", "residual"],
        "depth": [8, 8],
        "batch_norm": [True, False],
        "status": ["done", "diverged"],
        "chance_loss": [2.0, 2.0],
        "chance_error": [90.0, 90.0],
    }
)


def found(table: pd.DataFrame, runs: pd.DataFrame = RUNS) -> pd.DataFrame:
    return of_nets(MadeUp({"digits": runs}, {("gradients", "digits"): table}), OF_DIGITS)


def test_rows_get_what_their_run_is_known_by() -> None:
    table = pd.DataFrame({"run_id": ["b", "a", "a"], "model": ["two", "one", "one"], "depth": [9, 9, 9]})
    frame = found(table).sort_values("run_id")
    assert frame["role"].tolist() == ["plain", "plain", "residual"]
    assert frame["batch_norm"].tolist() == [True, True, False]
    assert frame["depth"].tolist() == [9, 9, 9], "what the table has itself stays"
    assert frame["status"].tolist() == ["done", "done", "diverged"]


def test_rows_of_other_runs_are_left_out() -> None:
    assert found(pd.DataFrame({"run_id": ["a", "z"], "model": ["one", "one"]}))["run_id"].tolist() == ["a"]
    with pytest.raises(MissingEvidence, match="the table of gradients of digits has none of the sweep's runs"):
        found(pd.DataFrame({"run_id": ["z"], "model": ["one"]}))


def test_without_ids_rows_get_what_is_known_of_their_model() -> None:
    frame = found(pd.DataFrame({"model": ["two", "one"], "value": [1, 2]}))
    assert frame.set_index("model")["role"].to_dict() == {"one": "plain", "two": "residual"}
    assert frame["chance_loss"].tolist() == [2.0, 2.0]
    assert "batch_norm" not in frame
    assert frame["status"].tolist() == ["done", "done"]


def test_an_analysis_needs_the_runs_it_is_made_from() -> None:
    assert needs(OF_DIGITS) == (Sweep("digits"), OF_DIGITS)
    alone = Analysis("identity")
    assert needs(alone) == (alone,)


def gradients(*norms: float) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"seed": seed, "step": step, "layer": layer, "gradient_norm": norm * (10 if step else 1)}
            for seed in (0, 1)
            for step in (0, 5)
            for layer, norm in enumerate(norms, 1)
        ]
    )


@pytest.mark.parametrize(
    ("norms", "first", "powers"),
    [
        ((1e-3, 1.0, 10.0), 1, -4.0),
        ((1e-3, 1.0, 10.0), 2, -1.0),
        ((0.0, 1.0), 1, -45.0),
        ((nan, 1.0), 1, 45.0),
        ((inf, 1.0), 1, 45.0),
        ((1.0, nan), 1, -45.0),
        ((nan, nan), 1, 0.0),
    ],
)
def test_first_over_last_is_in_powers_of_ten(norms: tuple[float, ...], first: int, powers: float) -> None:
    table = first_over_last(gradients(*norms), first)
    assert table.index.tolist() == [0, 1]
    assert table[0].tolist() == pytest.approx([powers, powers])


def test_a_net_of_one_layer_has_no_ratio() -> None:
    with pytest.raises(MissingEvidence, match="a single layer"):
        first_over_last(gradients(1.0))
    with pytest.raises(MissingEvidence, match="a single layer"):
        first_over_last(gradients(1.0, 2.0), first=2)


def test_way_to_chance_is_a_share_of_what_a_net_can_lose() -> None:
    rows = [
        ("a", "intact", 10.0),
        ("a", "single", 10.0),
        ("a", "single", 50.0),
        ("a", "several", 95.0),
        ("a", "several", 6.0),
        ("a", "order", 50.0),
        ("a", "chance", 90.0),
        ("b", "intact", 90.0),
        ("b", "single", 90.0),
        ("b", "chance", 90.0),
    ]
    table = way_to_chance(pd.DataFrame(rows, columns=["run_id", "change", "test_error"]))
    assert table["run_id"].unique().tolist() == ["a"], "b has learned nothing, so it has nothing to lose"
    assert table["way"].tolist() == pytest.approx([0.0, 0.5, 1.0, -0.05])
