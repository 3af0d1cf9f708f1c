"""Claims about what is inside trained nets: how much layers change, and what blocks and paths are worth."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from resnet_cli.claims.analysed import needs, of_nets, way_to_chance
from resnet_cli.claims.claim import (
    COST,
    FACTOR,
    Analysis,
    Claim,
    Comparison,
    Effect,
    MissingEvidence,
    Scale,
    Sweep,
    Tables,
    Trial,
)
from resnet_cli.claims.measures import PLAIN, RESIDUAL, Seeds, select

LITTLE = Effect(0.1, "of the way to chance", "10 % of the way to chance")
HALF_WAY = Effect(0.5, "of the way to chance", "half the way to chance")
MONOTONE = Effect(0.9, "rank correlation", "a rank correlation of 0.9")
HALF = Effect(0.5, "of the whole rise", "half of the whole rise")
SHALLOWER = Effect(COST.margin, "of the shallower net's", COST.text)
MEAN_PATH = Effect(COST.margin, "of the mean length", COST.text)

_SHORT = (
    "Behind a batch norm, responses start with a standard deviation of 1, and 200 steps move them little. Training "
    "five times as long, with the paper's schedule, was tried: see the line for it."
)
_NEAR_CHANCE = (
    "These nets have nine blocks, and without five of them they are near chance, where the order of two errors is "
    "chance as well; the net of Veit et al. (2016) had 54. Removals of all numbers of blocks, each of up to 20 random "
    "choices, were tried."
)

_DIGITS = Sweep("analysis-digits", save_models=True)
_PAPER = Sweep("cifar10-paper", save_models=True)
_RESPONSES = Analysis("responses", Sweep("digits-long", save_models=True), ("--depths", "8,20,38,56"))
_REMOVED = Analysis("remove", _DIGITS, ("--depths", "20", "--seeds", "0..7"))
_REMOVED_OF_PAPER = Analysis("remove", _PAPER, ("--depths", "20"))


def _seeds(values: "pd.Series[float]") -> Seeds:
    return {int(str(seed)): float(value) for seed, value in values.dropna().items()}


def _changes_little(scale: Scale, responses: Analysis, remark: str = "") -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        table = of_nets(tables, responses)
        added = select(table, role=RESIDUAL, is_added=True)
        depths = sorted({int(depth) for depth in added["depth"]})
        if len(depths) < 2:
            raise MissingEvidence("it takes residual nets of two depths")
        shallow, deep = (select(added, depth=depth) for depth in (depths[0], depths[-1]))
        same = select(table, role=PLAIN, depth=depths[-1], layer=sorted(set(deep["layer"])))
        plain, small, large = (one.groupby("seed")["deviation"].mean() for one in (same, shallow, deep))
        shown = {
            f"plain at {depths[-1]} layers": float(plain.median()),
            f"residual at {depths[-1]} layers": float(large.median()),
            f"residual at {depths[0]} layers": float(small.median()),
        }
        return [
            Comparison(
                "residual branches respond less than the same plain layers", COST, _seeds(1 - large / plain), shown
            ),
            Comparison("residual branches respond less in deeper nets", SHALLOWER, _seeds(1 - large / small)),
        ]

    return Trial(
        scale,
        needs(responses),
        "in the deepest nets, what residual branches add has a standard deviation at least 10 % below that of the same "
        "layers in the plain twin, and at least 10 % below that in the shallowest residual nets",
        compare,
        remark,
    )


def _removal(scale: Scale, removed: Analysis) -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        single = select(way_to_chance(of_nets(tables, removed)), change="single")
        rises = {
            role: select(single, role=role).groupby("seed")["way"].median().astype(float) for role in (PLAIN, RESIDUAL)
        }
        shown = {f"{role}, median": float(rise.median()) for role, rise in rises.items()}
        whole = select(of_nets(tables, removed), change="single", role=[PLAIN, RESIDUAL])
        if lost := whole["run_id"].nunique() - single["run_id"].nunique():
            shown["nets no better than chance, left out"] = float(lost)
        return [
            Comparison(
                "without one block, a residual net's error hardly rises",
                LITTLE,
                _seeds(rises[RESIDUAL]),
                shown,
                "below",
            ),
            Comparison("without one block, a plain net's error rises far", HALF_WAY, _seeds(rises[PLAIN])),
        ]

    return Trial(
        scale,
        needs(removed),
        "without the median one of its blocks, a trained residual net's test error rises by less than 10 % of the way "
        "to chance, and a trained plain net's by more than half of it",
        compare,
    )


def _smooth(scale: Scale, removed: Analysis, remark: str = "") -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        found = select(way_to_chance(of_nets(tables, removed)), role=RESIDUAL)
        found = select(found, depth=int(found["depth"].max()))
        ways = found.pivot_table(index="seed", columns="removed", values="way").astype(float).dropna()
        ways.insert(0, 0, 0.0)
        if ways.shape[1] < 3:
            raise MissingEvidence("it takes nets from which two numbers of blocks were removed")
        ranks = ways.rank(axis=1)
        numbers = pd.Series(range(ways.shape[1]), index=ways.columns, dtype=float)
        correlation = ranks.corrwith(numbers, axis=1).fillna(0.0)  # an error that never changes has no rank
        whole = ways.max(axis=1)
        steps = (ways.diff(axis=1).max(axis=1) / whole.where(whole > 0)).fillna(1.0)
        shown = {
            f"way to chance without {number} block{'s' * (number > 1)}": float(ways[number].median())
            for number in map(int, ways.columns[1:])
        }
        return [
            Comparison("the error rises with the number of removed blocks", MONOTONE, _seeds(correlation), shown),
            Comparison("no single step makes up most of the rise", HALF, _seeds(steps), side="below"),
        ]

    return Trial(
        scale,
        needs(removed),
        "in residual nets the rank correlation between the number of removed blocks and the mean test error is 0.9 or "
        "more, and the largest step from one number to the next is less than half of the whole rise",
        compare,
        remark,
    )


def _short_paths(scale: Scale, paths: Analysis) -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        table = select(of_nets(tables, paths), role=RESIDUAL)
        table = select(table, depth=int(table["depth"].max()))
        blocks = int(table["blocks"].max())
        powers = table.assign(power=np.log10(table["gradient"].astype(float).clip(lower=1e-45)))
        falls = pd.Series(
            {
                seed: -blocks * float(np.polyfit(one["length"], one["power"], 1)[0])
                for seed, one in powers.groupby("seed")
            }
        )
        lengths = {
            share: (table["length"] * table[share]).groupby(table["seed"]).sum()
            for share in ("path_share", "gradient_share")
        }
        mean, weighted = lengths["path_share"], lengths["gradient_share"]
        return [
            Comparison(
                "the gradient falls with the length of the path",
                FACTOR,
                _seeds(falls),
                {
                    "gradient of the longest path over that of the shortest, on a fitted line": float(
                        10 ** -falls.median()
                    )
                },
            ),
            Comparison(
                "most gradient comes from shorter paths than the mean",
                MEAN_PATH,
                _seeds(1 - weighted / mean),
                {"mean length": float(mean.median()), "weighted with the gradient": float(weighted.median())},
            ),
        ]

    return Trial(
        scale,
        needs(paths),
        "a path takes or leaves each block, so in a net of n blocks there are n over k paths of length k, which needs "
        "no test; in the deepest nets, from the shortest paths to the longest a line through the logarithm of the "
        "gradient falls by a factor of ten or more, and the mean length, weighted with the gradient, is 10 % or more "
        "below the mean length",
        compare,
    )


CLAIMS = (
    Claim(
        "K12",
        "Each layer of a residual net changes its input only a little, and less the deeper the net.",
        "Kowsik 2021, why it works; He et al. 2015, §4.2 and Fig. 7",
        (
            _changes_little(Scale.DIGITS, Analysis("responses", _DIGITS), _SHORT),
            _changes_little(Scale.DIGITS_LONG, _RESPONSES),
            _changes_little(Scale.CIFAR10, Analysis("responses", _PAPER, ("--depths", "20,56,110"))),
        ),
    ),
    Claim(
        "Z6",
        "To remove a block hardly matters to a trained residual net and is fatal to a plain one.",
        "Notes on ResNet and its variants, ResNet as an ensemble; Veit et al. 2016, §4.1 and Fig. 3",
        (_removal(Scale.DIGITS, _REMOVED), _removal(Scale.CIFAR10, _REMOVED_OF_PAPER)),
    ),
    Claim(
        "Z7",
        "The error of a residual net grows smoothly with the number of removed blocks.",
        "Notes on ResNet and its variants, ResNet as an ensemble; Veit et al. 2016, §4.2 and Fig. 5a",
        (_smooth(Scale.DIGITS, _REMOVED, _NEAR_CHANCE), _smooth(Scale.CIFAR10, _REMOVED_OF_PAPER)),
    ),
    Claim(
        "Z8",
        "The lengths of paths through a residual net are binomially distributed, and the gradient falls with the "
        "length, so training happens on short paths.",
        "Notes on ResNet and its variants, ResNet as an ensemble; Veit et al. 2016, §5 and Fig. 6",
        (
            _short_paths(Scale.DIGITS, Analysis("paths", _DIGITS, ("--seeds", "0..7"))),
            _short_paths(Scale.CIFAR10, Analysis("paths", _PAPER, ("--depths", "110"))),
        ),
    ),
)
