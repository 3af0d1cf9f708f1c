import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from resnet_cli.analysis.removed_blocks import (
    SWAPS,
    at_largest_shared_depth,
    chance_level,
    draw_orders,
    draw_sets,
    kendall_tau,
    measure_changes,
    plan_changes,
    summarise,
)
from resnet_cli.analysis.trained_nets import BlockInfo, StoredNet, blocks_of
from resnet_cli.models import build_net
from resnet_cli.settings.errors import UserError
from resnet_cli.store.record import RunRecord
from resnet_cli.training.data import load_data
from resnet_cli.training.loop import evaluate
from tests.conftest import MakeRun

DIGITS = {"task": "digits", "width": 2, "train_size": 100, "eval_size": 60}

MakeNet = Callable[..., StoredNet]


@pytest.fixture
def make_net(make_run: MakeRun) -> MakeNet:
    """A net with its initial values, as if it had been stored."""

    def make(**settings: Any) -> StoredNet:
        run = make_run(**settings)
        data = load_data(run, None, "cpu")
        return StoredNet(run, build_net(run, data.input_shape, data.outputs).eval(), data)

    return make


def outputs(stored: StoredNet) -> Tensor:
    with torch.no_grad():
        return stored.net(stored.data.prepare(stored.data.test_inputs))  # type: ignore[no-any-return]


def blocks(count: int, *down_sampling: int) -> list[BlockInfo]:
    return [BlockInfo(index, True, index in down_sampling) for index in range(count)]


def test_each_change_is_measured_once_without_lasting_effect(make_net: MakeNet) -> None:
    net = make_net(**DIGITS, models="resnet", depths=14, seeds=3)
    before, state = outputs(net), {name: value.clone() for name, value in net.net.state_dict().items()}
    frame = measure_changes(net, draws=4, settings=["width"])
    assert torch.equal(outputs(net), before)
    assert all(torch.equal(value, state[name]) for name, value in net.net.state_dict().items())
    counts = frame["change"].value_counts().to_dict()
    assert counts == {"intact": 1, "single": 6, "several": 4 * 4 + 1, "order": 1, "chance": 1}, (
        "only 1, 2 can be swapped"
    )
    assert frame["width"].eq(2).all()
    assert frame["seed"].eq(3).all()
    assert frame["net_blocks"].eq(6).all()
    intact = frame[frame["change"] == "intact"].iloc[0]
    metrics = evaluate(net.net, net.run, net.data, 0, 0, 0, None)
    assert (intact["test_loss"], intact["test_error"]) == (metrics.test_loss, metrics.test_error)


def test_only_blocks_with_zero_branches_can_be_removed_for_free(make_net: MakeNet) -> None:
    net = make_net(**DIGITS, models="resnet", depths=14)
    idle = net.net.get_submodule("blocks.3.norm2")
    assert isinstance(idle, nn.BatchNorm2d)
    nn.init.zeros_(idle.weight)
    frame = measure_changes(net, draws=1)
    intact = frame.loc[frame["change"] == "intact", "test_loss"].item()
    single = frame[frame["change"] == "single"].set_index("blocks")["test_loss"]
    assert single["4"] == intact
    assert (single.drop("4") != intact).all()


def test_a_residual_mlp_without_blocks_is_two_layers(make_net: MakeNet) -> None:
    net = make_net(models="residual", depths=4, block_size=1)
    values = net.net.state_dict()
    hidden = (net.data.test_inputs @ values["entry.0.weight"].T + values["entry.0.bias"]).relu()
    answers = hidden @ values["output.weight"].T + values["output.bias"]
    frame = measure_changes(net, draws=5)
    whole = frame[frame["removed"] == 3]
    assert whole["blocks"].tolist() == ["1 2 3"]
    assert whole["test_loss"].item() == pytest.approx((answers - net.data.test_targets).square().mean().item())
    assert frame["test_error"].isna().all()


def test_only_swaps_of_different_blocks_change_the_loss(make_net: MakeNet) -> None:
    net = make_net(models="plain", depths=6)
    frame = measure_changes(net, draws=6)
    losses = frame[frame["change"] == "order"]["test_loss"]
    assert losses.ne(frame["test_loss"].iloc[0]).all()
    first = net.net.get_submodule("blocks.0")
    for block in net.net.get_submodule("blocks").children():
        block.load_state_dict(first.state_dict())
    equal = measure_changes(net, draws=6)
    same = equal[equal["change"].isin(["intact", "order"])]["test_loss"]
    assert same.eq(same.iloc[0]).all()
    assert len(same) == 1 + len(losses) > 10


def test_each_row_holds_the_numbers_of_its_blocks(make_net: MakeNet) -> None:
    frame = measure_changes(make_net(**DIGITS, models="resnet", depths=20), draws=5)
    removals = frame[frame["change"].isin(["single", "several"])]
    chosen = removals["blocks"].str.split().map(lambda words: [int(word) for word in words])
    assert chosen.map(len).tolist() == removals["removed"].tolist()
    assert removals["changes_shape"].tolist() == [bool({4, 7} & set(some)) for some in chosen]
    assert removals["kendall_tau"].isna().all()
    orders = frame[frame["change"] == "order"]
    assert not orders["changes_shape"].any()
    assert orders["removed"].eq(0).all()
    of_order = orders["blocks"].map(lambda text: kendall_tau([int(word) for word in text.split()]))
    assert orders["kendall_tau"].tolist() == of_order.tolist()
    assert orders["kendall_tau"].lt(1).all()
    assert not frame.duplicated(["change", "removed", "swaps", "draw", "blocks"]).any()


@pytest.mark.parametrize(
    ("count", "numbers"),
    [
        (1, []),
        (2, [2]),
        (9, [2, 3, 4, 5, 6, 7, 8, 9]),
        (15, [2, 4, 6, 8, 10, 12, 14]),
        (54, [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]),
    ],
)
def test_up_to_twenty_blocks_are_removed_in_equal_steps(count: int, numbers: list[int]) -> None:
    changes = plan_changes(blocks(count), draws=3, seed=0)
    several = [change for change in changes if change.kind == "several"]
    assert sorted({len(change.blocks) for change in several}) == numbers
    assert [change.blocks for change in changes if change.kind == "single"] == [(index,) for index in range(count)]


def test_the_requested_number_of_different_sets_is_drawn() -> None:
    sets = draw_sets(12, 5, draws=300, seed=0)
    assert len(sets) == len(set(sets)) == 300
    assert all(sorted(set(some)) == list(some) and len(some) == 5 for some in sets)
    often = [sum(block in some for some in sets) for block in range(12)]
    assert 90 < min(often) <= max(often) < 160, "about 300 · 5/12 = 125 each"
    assert draw_sets(12, 5, draws=300, seed=0) == sets
    assert draw_sets(12, 5, draws=300, seed=1) != sets
    assert draw_sets(12, 5, draws=20, seed=0) == sets[:20], "more draws add to the first ones"


@pytest.mark.parametrize("draws", [10, 11])
def test_all_sets_are_used_if_there_are_few(draws: int) -> None:
    assert draw_sets(5, 3, draws=draws, seed=0) == list(itertools.combinations(range(5), 3))


def test_orders_are_different_and_keep_blocks_in_their_stage() -> None:
    changes = draw_orders(blocks(12, 4, 8), draws=30, seed=0)
    orders = [change.blocks for change in changes]
    assert len(set(orders)) == len(orders) > 80
    for order in orders:
        assert order != tuple(range(12))
        assert (order[4], order[8]) == (4, 8), "down-sampling blocks stay"
        assert [set(order[a:b]) for a, b in ((0, 4), (5, 8), (9, 12))] == [{0, 1, 2, 3}, {5, 6, 7}, {9, 10, 11}]
    moved = {swaps: {_moved(c.blocks) for c in changes if c.swaps == swaps} for swaps in SWAPS}
    assert moved[1] == {2}
    assert moved[2] == {3, 4}
    assert moved[16] == set(), "there are 6 + 3 + 3 pairs only"
    assert len([change for change in changes if change.swaps == 1]) == len(set(orders[:12])) <= 12
    assert [c.draw for c in changes if c.swaps == 8] == list(range(1, 1 + sum(c.swaps == 8 for c in changes)))


def _moved(order: tuple[int, ...]) -> int:
    return sum(place != block for place, block in enumerate(order))


@pytest.mark.parametrize(("model", "depth"), [("resnet", 8), ("densenet", 10), ("densenet-bc", 10)])
def test_nets_without_interchangeable_blocks_have_no_other_order(model: str, depth: int, make_net: MakeNet) -> None:
    frame = measure_changes(make_net(**DIGITS, models=model, depths=depth), draws=2)
    assert "order" not in set(frame["change"])
    assert frame["test_loss"].map(math.isfinite).all()


@pytest.mark.parametrize("models", ["highway-cnn", "plain-cnn", "auxiliary-cnn", "bottleneck-resnet"])
def test_every_net_with_blocks_can_be_changed(models: str, make_net: MakeNet) -> None:
    net = make_net(**DIGITS, models=models, depths=20)
    before = outputs(net)
    frame = measure_changes(net, draws=1)
    changed = frame[frame["change"].isin(["single", "several"])]["test_loss"]
    assert changed.ne(frame["test_loss"].iloc[0]).all()
    assert torch.equal(outputs(net), before)


def test_twins_undergo_the_same_changes(make_net: MakeNet) -> None:
    plain, residual = (
        plan_changes(blocks_of(make_net(**DIGITS, models=models, depths=20)), draws=5, seed=0)
        for models in ("plain", "resnet")
    )
    assert plain == residual
    assert plan_changes(blocks(9, 3, 6), draws=5, seed=1) != residual == plan_changes(blocks(9, 3, 6), draws=5, seed=0)


def test_kendalls_tau_matches_counting_pairs() -> None:
    assert kendall_tau([0, 1, 2, 3]) == kendall_tau([4]) == kendall_tau(range(2)) == 1
    assert kendall_tau([3, 2, 1, 0]) == -1
    assert kendall_tau([1, 0, 2, 3]) == pytest.approx((5 - 1) / 6)
    assert kendall_tau([3, 1, 2, 0]) == pytest.approx((1 - 5) / 6)
    for order in itertools.permutations(range(5)):
        signs = [1 if order[i] < order[j] else -1 for i in range(5) for j in range(i + 1, 5)]
        assert kendall_tau(order) == pytest.approx(sum(signs) / 10)


def test_guessing_gives_the_chance_level(make_net: MakeNet) -> None:
    digits = make_net(**DIGITS, models="resnet", depths=8).data
    assert chance_level(digits, 60) == pytest.approx((math.log(10), 90))
    sine = make_net(models="plain", depths=2).data
    small = replace(
        sine,
        train_targets=torch.tensor([[1.0], [2.0], [6.0]]),  # mean 3
        test_targets=torch.tensor([[3.0], [5.0], [99.0]]),
    )
    assert chance_level(small, 2) == ((0 + 4) / 2, None)


def test_the_largest_depth_of_all_models_is_chosen(make_run: MakeRun) -> None:
    def stored(model: str, depth: int, seed: int = 0) -> RunRecord:
        run = make_run(task="digits", models=model, depths=depth, seeds=seed)
        return RunRecord(run=run, status="done")

    deep = [stored("plain-cnn", 20), stored("resnet", 20, 0), stored("resnet", 20, 1)]
    others = [stored("plain-cnn", 8), stored("resnet", 8), stored("resnet", 32)]
    assert at_largest_shared_depth([*others, *deep]) == deep
    with pytest.raises(UserError, match=r"The models share no depth \(plain-cnn at 20; densenet at 10,22\)"):
        at_largest_shared_depth([stored("plain-cnn", 20), stored("densenet", 10), stored("densenet", 22)])


def test_the_summary_holds_medians() -> None:
    def rows(change: str, values: dict[str, float], **columns: Any) -> pd.DataFrame:
        named = pd.DataFrame({"change": change, "blocks": list(values), "test_error": list(values.values())})
        return named.assign(**columns)

    frame = pd.concat(
        [
            rows("intact", {"": 4.0}),
            rows("single", {"1": 50.0, "2": 5.0, "3": 6.0}, removed=1),
            rows("several", {"1 2": 60.0, "1 3": 70.0, "2 3": 80.0}, removed=2),
            rows("several", {"1 2 3": 91.0}, removed=3),
            rows("order", {"2 1 3": 7.0, "3 2 1": 9.0}, kendall_tau=[1 / 3, -1.0]),
            rows("chance", {"": 90.0}),
        ],
        ignore_index=True,
    )
    who = pd.DataFrame({"model": "resnet", "depth": 8, "seed": 0, "ordering": "original"}, index=frame.index)
    frame = pd.concat([who, frame], axis=1).assign(
        net_blocks=3, test_loss=1.0, removed=frame["removed"].astype("Int64")
    )
    (row,) = summarise(frame).to_dict("records")
    assert row == {
        **{"model": "resnet", "depth": 8, "ordering": "original", "seeds": 1, "intact": 4.0, "one": 6.0},
        **{"worst": 50.0, "worst_block": "1", "half": 70.0, "half_blocks": 2, "swapped": 8.0, "chance": 90.0},
    }
    (row,) = summarise(frame.assign(test_error=math.nan)).to_dict("records")
    assert (row["intact"], row["chance"]) == (1.0, 1.0)
    losses = frame["test_error"].replace(5, math.nan)
    (row,) = summarise(frame.assign(test_error=math.nan, test_loss=losses)).to_dict("records")
    assert (row["worst"], row["worst_block"]) == (math.inf, "2")
    (row,) = summarise(frame[~frame["change"].isin(["several", "order"])]).to_dict("records")
    assert math.isnan(row["half"])
    assert math.isnan(row["swapped"])
