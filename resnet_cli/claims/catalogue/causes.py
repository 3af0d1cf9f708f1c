"""Claims about what degradation depends on, and what does not cure it."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from resnet_cli.claims.claim import LOSS, Claim, Comparison, MissingEvidence, Scale, Sweep, Tables, Trial
from resnet_cli.claims.measures import (
    PLAIN,
    Seeds,
    by_seed,
    by_seed_and_depth,
    difference,
    ends,
    medians,
    select,
    split,
)

Values = npt.NDArray[np.float64]

_CONTRAST = (
    "at some depth, the training loss has risen 10 % of chance further above its best level with one {} than with "
    "another; the depth and the two are chosen for each seed by the means of the other seeds"
)


def contrast(groups: Mapping[str, Sequence[pd.DataFrame]]) -> Seeds:
    """How much further a loss rises from its best depth in one group than in another, where they differ most.

    What is compared for a seed is chosen by the means of the *other* seeds: of each group the best alternative at a
    depth and the best depth, then the depth at which the groups differ most and the two groups. So groups that do not
    differ have no contrast on average, however many there are.

    Args:
        groups: for each group its alternatives, such as learning rates, with a row a seed and a column a depth.
    """
    tables = [table for alternatives in groups.values() for table in alternatives]
    seeds = sorted(set.intersection(*(set(table.index) for table in tables)))
    depths = sorted(set.intersection(*(set(table.columns) for table in tables)))
    if len(seeds) < 2 or len(depths) < 2:
        raise MissingEvidence("it takes two seeds and two depths that all groups have")
    stacks = [np.stack([table.loc[seeds, depths] for table in alternatives]) for alternatives in groups.values()]
    found: dict[int, float] = {}
    for row, seed in enumerate(seeds):
        rises = [_rises(stack, row) for stack in stacks]
        expected, own = (np.stack(part) for part in zip(*rises, strict=True))
        depth = np.ptp(expected, axis=0).argmax()
        high, low = expected[:, depth].argmax(), expected[:, depth].argmin()
        found[int(seed)] = float(own[high, depth] - own[low, depth])
    return found


def _rises(stack: Values, row: int) -> tuple[Values, Values]:
    """How far the best alternative rises from its best depth: the means of the other seeds, and a seed's own.

    Args:
        stack: (alternatives, seeds, depths).

    Returns:
        both with a value for each depth.
    """
    others = np.delete(stack, row, axis=1).mean(axis=1)
    best, depths = others.argmin(axis=0), np.arange(stack.shape[2])
    expected, own = others[best, depths], stack[best, row, depths]
    start = expected.argmin()
    return expected - expected[start], own - own[start]


def _differ(what: str, groups: Mapping[str, Mapping[str, pd.DataFrame]]) -> Sequence[Comparison]:
    """The comparison of groups, each with the runs of its alternatives; to show, the medians where they differ most."""
    tables = {name: [by_seed_and_depth(runs) for runs in of_group.values()] for name, of_group in groups.items()}
    differences = contrast(tables)
    means = {name: pd.concat([one.mean() for one in of_group], axis=1) for name, of_group in tables.items()}
    levels = pd.DataFrame({name: of_group.min(axis=1) for name, of_group in means.items()}).dropna()
    rises = levels - levels.min()
    depth = int(str((rises.max(axis=1) - rises.min(axis=1)).idxmax()))
    numbers: dict[str, float] = {}
    for name, of_group in groups.items():
        best = list(of_group.values())[int(means[name].loc[depth].to_numpy().argmin())]
        numbers |= medians(best, "train_loss", [depth], f"with {name}")
    return [Comparison(what, LOSS, differences, numbers)]


def _initialisation(tables: Tables) -> Sequence[Comparison]:
    groups = split(select(tables.runs("initialisation-sine"), role=PLAIN), init="default")
    return _differ(
        "with one initialisation the plain net's training loss rises further with depth than with another",
        {name: {name: runs} for name, runs in groups.items()},
    )


def _optimiser(tables: Tables) -> Sequence[Comparison]:
    groups = split(select(tables.runs("optimiser-sine"), role=PLAIN), optimizer="adam")
    return _differ(
        "with one optimiser the plain net's training loss rises further with depth than with another",
        {name: split(runs, learning_rate=0.001) for name, runs in groups.items()},
    )


def _not_cured(tables: Tables) -> Sequence[Comparison]:
    groups = split(select(tables.runs("regularisation-digits"), role=PLAIN), dropout=0.0, weight_decay=0.0)
    without = next(iter(groups.values()))
    shallow, _ = ends(without)
    start = by_seed(shallow)
    depths = sorted(without["depth"].unique())
    return [
        Comparison(
            f"with {name} the deep plain net's training loss is above that of the shallow one with neither",
            LOSS,
            difference(by_seed(ends(runs)[1]), start),
            {
                **medians(shallow, "train_loss", depths[:1], "with neither"),
                **medians(runs, "train_loss", depths[-1:], f"with {name}"),
            },
        )
        for name, runs in groups.items()
    ]


CLAIMS = (
    Claim(
        "K7",
        "How far plain nets degrade depends on their initialisation and on the optimiser.",
        "Kowsik 2021, the problem with very deep nets; Data Basecamp, the problem with deep neural networks",
        (
            Trial(
                Scale.SINE,
                (Sweep("initialisation-sine"),),
                _CONTRAST.format("initialisation"),
                _initialisation,
                part="initialisations",
            ),
            Trial(
                Scale.SINE,
                (Sweep("optimiser-sine"),),
                _CONTRAST.format("optimiser, at its best learning rate there,"),
                _optimiser,
                part="optimisers",
            ),
        ),
    ),
    Claim(
        "K8",
        "Neither dropout nor other regularisation cures degradation.",
        "Kowsik 2021, the problem with very deep nets",
        (
            Trial(
                Scale.DIGITS,
                (Sweep("regularisation-digits"),),
                "with dropout, with weight decay, with both and with neither, the training loss at the deepest depth "
                "is 10 % of chance or more above that at the shallowest with neither",
                _not_cured,
            ),
        ),
    ),
)
