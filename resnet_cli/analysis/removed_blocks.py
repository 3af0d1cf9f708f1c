"""What happens to a trained net when blocks are removed or swapped.

Veit, Wilber and Belongie 2016, "Residual Networks Behave Like Ensembles of Relatively Shallow Networks"
(arXiv 1605.06431): one block removed (§4.1, Fig. 3), several at random (§4.2, Fig. 5a), and pairs of blocks swapped,
measured by Kendall's rank correlation with the order in training (§4.3, Fig. 5b). Nothing is retrained.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd
import torch
from scipy.stats import kendalltau

from resnet_cli.analysis.trained_nets import BlockInfo, StoredNet, blocks_of, in_order, table_of, without_blocks
from resnet_cli.figures.run_table import is_classification
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.ranges import compact
from resnet_cli.settings.seeding import derive_seed
from resnet_cli.store.record import RunRecord
from resnet_cli.tasks.data import Data
from resnet_cli.training.loop import evaluate
from resnet_cli.training.settings import EVAL_SIZE

MOST_REMOVED = 20
"""The maximum number of blocks removed together, as in the paper."""
MOST_NUMBERS = 10
"""In deep nets not every number of removed blocks is tried, but about ten of them, evenly spaced."""
SWAPS = (1, 2, 4, 8, 16)
LEARNED = 0.8
"""The share of the chance level above which a net counts as not having learned."""

Kind = Literal["intact", "single", "several", "order"]


@dataclass(frozen=True)
class Change:
    """A change to a net.

    `blocks` are the removed ones, or all in their new order, counted from 0. `draw` is the number, from 1, of the
    change among those with as many removed blocks or swaps.
    """

    kind: Kind
    blocks: tuple[int, ...] = ()
    swaps: int = 0
    draw: int | None = None


def at_largest_shared_depth(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs at the largest depth that all their models have in common; UserError if there is none."""
    depths: dict[str, set[int]] = {}
    for stored in runs:
        depths.setdefault(stored.run.model, set()).add(stored.run.depth)
    shared = set.intersection(*depths.values())
    if not shared:
        found = "; ".join(f"{model} at {compact(of_model)}" for model, of_model in depths.items())
        raise UserError(f"The models share no depth ({found}); choose runs with --models or --depths.")
    return [stored for stored in runs if stored.run.depth == max(shared)]


def plan_changes(blocks: Sequence[BlockInfo], *, draws: int, seed: int) -> list[Change]:
    """All changes to a net with these blocks.

    They are: no change; each block removed; random sets of several blocks removed; random swaps of blocks of the same
    shape. Nets with the same number of blocks and the same seed undergo the same changes. `draws` is the number of
    random sets for each number of removed blocks, and of random orders for each number of swaps. They are all
    different, so there may be fewer.
    """
    changes = [Change("intact"), *(Change("single", (block.index,)) for block in blocks)]
    most = min(len(blocks), MOST_REMOVED)
    for removed in range(2, most + 1, math.ceil(most / MOST_NUMBERS)):
        sets = draw_sets(len(blocks), removed, draws=draws, seed=seed)
        changes += [Change("several", chosen, draw=draw) for draw, chosen in enumerate(sets, 1)]
    return changes + draw_orders(blocks, draws=draws, seed=seed)


def draw_sets(blocks: int, removed: int, *, draws: int, seed: int) -> list[tuple[int, ...]]:
    """Different sets of `removed` out of `blocks` blocks, each ascending: random ones, or all if there are few."""
    if math.comb(blocks, removed) <= draws:
        return list(itertools.combinations(range(blocks), removed))
    generator = torch.Generator().manual_seed(derive_seed(seed, "removed blocks", removed))
    sets: dict[tuple[int, ...], None] = {}
    while len(sets) < draws:
        chosen = torch.randperm(blocks, generator=generator)[:removed]
        sets[tuple(sorted(chosen.tolist()))] = None
    return list(sets)


def draw_orders(blocks: Sequence[BlockInfo], *, draws: int, seed: int) -> list[Change]:
    """Different orders, none of them the original, after an increasing number of swaps of random pairs.

    The blocks of a pair, and all blocks between them, keep the shape of their input. No pair is swapped twice.
    """
    stages = list(itertools.accumulate(block.changes_shape for block in blocks))
    pairs = [
        (first, second)
        for first, second in itertools.combinations(range(len(blocks)), 2)
        if stages[first] == stages[second] and not blocks[first].changes_shape
    ]
    trained = tuple(range(len(blocks)))
    seen, changes = {trained}, list[Change]()
    for swaps in SWAPS:
        if swaps > len(pairs):
            break
        generator = torch.Generator().manual_seed(derive_seed(seed, "swapped blocks", swaps))
        draw = 0
        for _ in range(draws):
            order = list(trained)
            for pair in torch.randperm(len(pairs), generator=generator)[:swaps].tolist():
                first, second = pairs[pair]
                order[first], order[second] = order[second], order[first]
            if tuple(order) not in seen:
                seen.add(tuple(order))
                draw += 1
                changes.append(Change("order", tuple(order), swaps, draw))
    return changes


def kendall_tau(order: Sequence[int]) -> float:
    """Kendall's rank correlation of an order with the ascending one; 1 for a single element."""
    return float(kendalltau(range(len(order)), order).statistic) if len(order) > 1 else 1.0


def measure_changes(stored: StoredNet, *, draws: int, settings: Sequence[str] = ()) -> pd.DataFrame:
    """Test loss and error of a net under each change of `plan_changes`; the net itself is left unchanged.

    Returns one row per change, and one with the change `chance`: the result of guessing without looking at the input.
    The columns before `change` identify the run:

        run_id, task, model, depth, seed, and the `settings`
        change         intact, single, several (blocks removed), order (blocks swapped) or chance
        blocks         the removed ones, or all in their new order, counted from 1, with spaces between
        net_blocks     number of blocks in the net
        removed        number of removed blocks
        swaps          number of swapped pairs; some swaps may undo others
        kendall_tau    rank correlation of the order with that of training; missing where blocks are removed
        draw           number of the random draw, from 1; missing where nothing was drawn
        changes_shape  whether the output of a removed block differs in shape from its input; `nets.without_blocks`
                       says how it is replaced
        test_loss      as in metrics.csv, on the same examples
        test_error     in percent; missing on a regression task

    Raises:
        UserError: the net has no blocks.
    """
    run, blocks = stored.run, blocks_of(stored)
    # `evaluate` measures training examples too; a single one costs next to nothing
    data = replace(stored.data, train_inputs=stored.data.train_inputs[:1], train_targets=stored.data.train_targets[:1])
    rows: list[dict[str, Any]] = []
    for change in plan_changes(blocks, draws=draws, seed=run.seed):
        is_removal = change.kind in ("single", "several")
        with in_order(stored, change.blocks) if change.kind == "order" else without_blocks(stored, change.blocks):
            metrics = evaluate(stored.net, run, data, 0, 0.0, 0.0, None)
        rows.append(
            {
                "change": change.kind,
                "blocks": " ".join(str(index + 1) for index in change.blocks),
                "removed": len(change.blocks) if is_removal else 0,
                "swaps": change.swaps,
                "kendall_tau": None if is_removal else kendall_tau(change.blocks or range(len(blocks))),
                "draw": change.draw,
                "changes_shape": is_removal and any(blocks[index].changes_shape for index in change.blocks),
                "test_loss": metrics.test_loss,
                "test_error": metrics.test_error,
            }
        )
    loss, error = chance_level(stored.data, run[EVAL_SIZE])
    rows.append({"change": "chance", "blocks": "", "changes_shape": False, "test_loss": loss, "test_error": error})
    frame = pd.DataFrame(rows).astype(
        {"kendall_tau": float, "test_error": float} | dict.fromkeys(("removed", "swaps", "draw"), "Int64")
    )
    frame.insert(2, "net_blocks", len(blocks))
    return table_of(run, frame, settings)


def chance_level(data: Data, examples: int) -> tuple[float, float | None]:
    """Test loss, and error in percent, of a prediction that does not depend on the input.

    In classification it gives all classes the same probability. In regression, which has no error, it is the mean of
    the training targets; its loss is measured on the first `examples` test examples.
    """
    if data.loss == "cross_entropy":
        return math.log(data.outputs), 100 * (1 - 1 / data.outputs)
    targets = data.test_targets[:examples]
    answer = data.train_targets.mean(dim=0).expand_as(targets)
    return data.losses(answer, targets).mean().item(), None


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """What changes do to nets, as medians over seeds and draws: test errors in percent, or losses where there are none.

    A loss that is not a number counts as infinite. Of what `measure_changes` returns for nets of one task it makes a
    row for each `model`, `depth` and combination of settings: the number of `seeds`, the value of the `intact` net,
    after `one` block is removed, after the `worst` one is, the number of that block (`worst_block`), the value after
    half of the blocks are removed at random (`half`, of so many: `half_blocks`), with blocks `swapped`, and by
    `chance`; nan where a net is too small for a change.
    """
    column = "test_error" if is_classification(frame) else "test_loss"
    frame = frame.assign(value=frame[column].fillna(math.inf))
    columns = [str(name) for name in frame]
    settings = columns[columns.index("seed") + 1 : columns.index("change")]
    rows = []
    for names, nets in frame.groupby(["model", "depth", *settings], dropna=False, sort=False):
        of_kind = {str(kind): rows_of for kind, rows_of in nets.groupby("change")}
        several, orders = (of_kind.get(kind, nets.iloc[:0]) for kind in ("several", "order"))
        by_block = of_kind["single"].groupby("blocks")["value"].median()
        half = min(several["removed"], key=lambda removed: abs(removed - nets["net_blocks"].iloc[0] / 2), default=None)
        rows.append(
            dict(zip(["model", "depth", *settings], names, strict=True))
            | {
                "seeds": nets["seed"].nunique(),
                "intact": of_kind["intact"]["value"].median(),
                "one": of_kind["single"]["value"].median(),
                "worst": by_block.max(),
                "worst_block": by_block.idxmax(),
                "half": several.loc[several["removed"] == half, "value"].median(),
                "half_blocks": half,
                "swapped": orders["value"].median(),
                "chance": of_kind["chance"]["value"].median(),
            }
        )
    return pd.DataFrame(rows)
