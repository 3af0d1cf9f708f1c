"""Shares of a plan: every run in one of them, of about equal cost, the same on every machine."""

from itertools import pairwise
from typing import Any

import pytest

from resnet_cli.models import describe_net
from resnet_cli.models.count import count_multiply_adds
from resnet_cli.planning.conditions import choose_conditions
from resnet_cli.planning.plan import Plan, Shard, plan_sweep
from resnet_cli.planning.shards import CALLS_OF_A_LAYER, costs_of, divide, parse_shard, take_shard
from resnet_cli.planning.units import make_units
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.tasks import get_task
from resnet_cli.training import device

SINE: dict[str, Any] = {"task": "sine", "depths": "2..40", "seeds": "0..4"}
IMAGES: dict[str, Any] = {
    "task": "cifar10",
    "models": "plain,residual,densenet",
    "depths": {"plain": "20,56", "residual": "20,56", "densenet": "40"},
    "seeds": "0..4",
}


def shards_of(plan: Plan, count: int) -> list[Plan]:
    return [take_shard(plan, Shard(number, count)) for number in range(1, count + 1)]


@pytest.mark.parametrize(("request_", "count"), [(SINE, 7), (IMAGES, 3), (SINE | {"depths": 2, "seeds": 0}, 5)])
def test_every_run_is_in_one_shard_and_in_the_others_of_the_rest(request_: dict[str, Any], count: int) -> None:
    plan = plan_sweep(request_)
    shards = shards_of(plan, count)
    assert sorted(run.run_id for shard in shards for run in shard.runs) == sorted(run.run_id for run in plan.runs)
    for shard in shards:
        assert {*shard.runs} | {*shard.others} == {*plan.runs}
        assert shard.resolved == plan.resolved
        assert shard.runs == [run for run in plan.runs if run in {*shard.runs}], "the longest first"


@pytest.mark.parametrize(("request_", "count"), [(SINE, 16), (SINE, 3), (IMAGES, 4)])
def test_shards_cost_about_the_same(request_: dict[str, Any], count: int) -> None:
    plan = plan_sweep(request_)
    costs = dict(zip(plan.runs, costs_of(plan.runs), strict=True))
    sums = [sum(map(costs.__getitem__, share)) for share in divide(plan.runs, count)]
    assert max(sums) < 1.15 * sum(sums) / count


def test_shares_do_not_depend_on_order_machine_or_device(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_sweep(SINE)
    shares = [{*share} for share in divide(plan.runs, 4)]
    assert [{*share} for share in divide(plan.runs[::-1], 4)] == shares
    monkeypatch.setattr(device, "available_cores", lambda: 64)
    elsewhere = plan_sweep({**SINE, "models": "residual,plain", "device": "cuda", "engine": "loop", "threads": 9})
    assert [{*share} for share in divide(elsewhere.runs, 4)] == shares


def test_cost_is_steps_times_multiply_adds_and_calls() -> None:
    plan = plan_sweep({"task": "digits", "models": "resnet", "depths": "8,14,20,26,32", "seeds": 0, "epochs": 3})

    def by_hand(run: Run) -> int:
        task = get_task(run.task)
        shape = task.input_shape(run)
        adds = count_multiply_adds(describe_net(run, shape, task.outputs), shape)
        epoch_steps = task.examples(run)[0] // run["batch_size"]
        return int(3 * epoch_steps * (run["batch_size"] * adds + run.depth * CALLS_OF_A_LAYER))

    assert costs_of(plan.runs) == [by_hand(run) for run in plan.runs], "also between the depths that are counted"


def test_similar_nets_stay_together_for_their_stacks() -> None:
    """Each shard has few stretches of depths rather than a bit of everything."""
    plan = plan_sweep(SINE | {"models": "plain"})
    for share in divide(plan.runs, 2):
        depths = sorted({run.depth for run in share})
        stretches = 1 + sum(later - earlier > 1 for earlier, later in pairwise(depths))
        assert stretches <= 5


def test_a_run_has_the_engine_of_the_whole_sweep() -> None:
    """A wide net that would have company in a stack is not left to the loop because it is alone in its shard."""
    wide = {"models": "plain", "depths": 1, "seeds": "0..3", "width": 160, "batch_size": 1000, "train_size": 1000}
    plan = plan_sweep({"task": "sine", **wide})
    conditions = choose_conditions(plan, "results", jobs=1)
    engines = {run: unit.stacked for unit in make_units(plan, conditions) for run in unit.runs}
    assert {*engines.values()} == {True}
    for shard in shards_of(plan, 4):
        (unit,) = make_units(shard, conditions)
        assert (len(unit.runs), unit.stacked) == (1, True)


def test_a_shard_has_the_workers_of_the_whole_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of workers decides which nets have company in a stack."""
    monkeypatch.setattr("resnet_cli.planning.conditions.available_cores", lambda: 8)
    wide = {"models": "plain", "depths": "2..4", "seeds": "0..3", "width": 160, "batch_size": 1000, "train_size": 1000}
    plan = plan_sweep({"task": "sine", **wide})
    engines = {run: unit.stacked for unit in make_units(plan, choose_conditions(plan, "out")) for run in unit.runs}
    for shard in shards_of(plan, 4):
        chosen = choose_conditions(shard, "out")
        assert chosen.workers == 8
        assert {run: unit.stacked for unit in make_units(shard, chosen) for run in unit.runs}.items() <= engines.items()


def test_more_shards_than_runs_leave_some_empty() -> None:
    plan = plan_sweep(SINE | {"depths": 2, "seeds": 0})
    assert sorted(len(shard.runs) for shard in shards_of(plan, 4)) == [0, 0, 1, 1]
    empty = next(shard for shard in shards_of(plan, 4) if not shard.runs)
    assert make_units(empty, choose_conditions(empty, "results")) == []


@pytest.mark.parametrize("text", ["0/4", "5/4", "a/b", "3", "3/", "-1/4", "1/0", "1/1000000", "¼/4", "1.5/4", ""])
def test_what_is_no_shard_is_rejected(text: str) -> None:
    with pytest.raises(UserError, match=r"shard \(=.*\) must be a number and how many there are, such as 3/16"):
        parse_shard(text)


def test_shards_count_from_one_to_the_last() -> None:
    assert parse_shard(" 16/16 ") == (16, 16)
    assert str(parse_shard("3/16")) == "3/16"
