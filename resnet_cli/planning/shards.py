"""Shares of a plan for several machines: the same everywhere, of about equal cost, every run in exactly one.

What a share holds depends on the runs of the plan alone: not on devices, cores or jobs, nor on what is finished. So the
tasks of an array job need not know of each other, and a share that is started again is the same share. Runs that can
train together stay together, since nets of similar depth make the best stacks; how a machine stacks its share is its
own affair, because a net's result does not depend on its company.
"""

import heapq
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from resnet_cli.models import describe_net
from resnet_cli.models.count import count_multiply_adds
from resnet_cli.planning.plan import MAX_RUNS, Plan, Shard
from resnet_cli.planning.units import kind_of_net
from resnet_cli.settings.errors import UserError, shorten
from resnet_cli.settings.run import Run
from resnet_cli.tasks import get_task
from resnet_cli.training.schedule import length
from resnet_cli.training.settings import BATCH_SIZE
from resnet_cli.training.stacked.grouping import group_runs, obstacle

CALLS_OF_A_LAYER = 500_000
"""What the calls of a layer in a step cost, in multiply-adds: a step of a small net takes 0.8 ms where one with
8.4 million multiply-adds in a layer takes 13 (see `training.device.SMALL_LAYER`)."""

GROUPS_A_SHARD = 4
"""The minimum number of groups into which what can be stacked is cut, per shard: fewer could not be balanced."""


def parse_shard(text: str) -> Shard:
    """The third of sixteen shares from `3/16`. Raises UserError if it is no such pair, or there is no such share."""
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip(), re.ASCII)
    number, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= count <= MAX_RUNS:
        raise UserError(
            f"shard (={shorten(text)}) must be a number and how many there are, such as 3/16, with numbers from 1 to "
            f"the last (at most {MAX_RUNS:,})."
        )
    return Shard(number, count)


def take_shard(plan: Plan, shard: Shard) -> Plan:
    """The same plan with the runs of one share; the others are its `others`. A share may have no runs.

    Raises:
        UserError: a batch is larger than the training set, or a net is too large to be described.
    """
    own = set(divide(plan.runs, shard.total)[shard.number - 1])
    return replace(
        plan,
        runs=[run for run in plan.runs if run in own],
        others=[run for run in plan.runs if run not in own],
        shard=shard,
    )


def divide(runs: Sequence[Run], count: int) -> list[list[Run]]:
    """The runs as `count` shares: the costliest group goes first, and each to the share with the least cost so far."""
    costs = dict(zip(runs, costs_of(runs), strict=True))
    groups = sorted(_groups(runs, count), key=lambda group: (-sum(map(costs.__getitem__, group)), group[0].run_id))
    shares: list[list[Run]] = [[] for _ in range(count)]
    free = [(0, place) for place in range(count)]
    for group in groups:
        cost, place = free[0]
        heapq.heapreplace(free, (cost + sum(map(costs.__getitem__, group)), place))
        shares[place] += group
    return shares


def _groups(runs: Sequence[Run], count: int) -> list[list[Run]]:
    """What can be stacked on a CPU in stacks, everything else alone."""
    stackable = {run for run in runs if not obstacle(run, "cpu")}
    return [[run] for run in runs if run not in stackable] + group_runs(stackable, "cpu", GROUPS_A_SHARD * count)


def costs_of(runs: Sequence[Run]) -> list[int]:
    """The cost of each run in multiply-adds of forward passes, with what calls cost: a whole number, as the order of
    shares must not depend on how a machine rounds.

    Raises:
        UserError: a batch is larger than the training set, or a net is too large to be described.
    """
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        kinds.setdefault(kind_of_net(run), []).append(run)
    of_step = {kind: _multiply_adds(members) for kind, members in kinds.items()}
    costs = []
    for run in runs:
        steps = length(run, get_task(run.task).examples(run)[0])[0]
        costs.append(steps * (run.depth * CALLS_OF_A_LAYER + run[BATCH_SIZE] * of_step[kind_of_net(run)][run.depth]))
    return costs


def _multiply_adds(alike: Sequence[Run]) -> dict[int, int]:
    """The multiply-adds for an example by depth; of many depths, three are counted and the others between them."""
    by_depth = {run.depth: run for run in alike}
    depths = sorted(by_depth)
    counted = sorted({depths[0], depths[len(depths) // 2], depths[-1]})
    found = {}
    for depth in counted:
        run = by_depth[depth]
        task = get_task(run.task)
        shape = task.input_shape(run)
        found[depth] = count_multiply_adds(describe_net(run, shape, task.outputs), shape)
    for depth in depths:
        if depth not in found:
            high = counted[bisect_left(counted, depth)]
            low = counted[bisect_left(counted, depth) - 1]
            found[depth] = found[low] + (found[high] - found[low]) * (depth - low) // (high - low)
    return found
