"""Claims about architectures that came before and after residual nets."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from resnet_cli.claims.claim import (
    ERROR,
    LOSS,
    Analysis,
    Claim,
    Comparison,
    Effect,
    Fact,
    MissingEvidence,
    Scale,
    Sweep,
    Tables,
    Trial,
)
from resnet_cli.claims.measures import RESIDUAL, Seeds, by_seed, difference, error, medians, select

HIGHWAY_MLP, HIGHWAY_CNN = "highway-mlp", "highway-cnn"
DENSENET = "densenet-bc"
"""The kind of DenseNet whose parameters its paper compares with those of ResNets."""

FEW, NARROW, SHALLOW = 4, 3, 20
"""Branches, channels in each, and layers of the ResNeXt from which cardinality, width and depth are raised (Z4)."""

WIDE, TALL = 5, 38
"""Channels and layers that cost as many multiply-adds as twice the branches."""

FORMS = Analysis("forms")
SAME = 1e-10
"""A relative difference below this is rounding, of numbers that have 16 digits."""

DEEP = (16, 28, 40)
"""Depths at which a plain MLP fails on the sine, or is about to."""


def _no_better(scale: Scale, config: str, highway: str, effect: Effect, column: str, each: Sequence[int] = ()) -> Trial:
    """At each of some depths, or on average over all that both kinds of nets have."""
    what = column.replace("train_", "training ").replace("_", " ")

    def compare(tables: Tables) -> Sequence[Comparison]:
        runs = tables.runs(config)
        gated, residual = (select(runs, **which) for which in ({"model": highway}, {"role": RESIDUAL}))
        shared = sorted(set(gated["depth"]) & set(residual["depth"]))
        if not shared or not set(each) <= set(shared):
            raise MissingEvidence(f"Highway and residual nets do not share {'these depths' if each else 'a depth'}")
        return [
            Comparison(
                f"the Highway net's {what} is less than {effect.text} below the residual net's"
                + (f" at {depths[0]} layers" if each else ""),
                effect,
                difference(*(by_seed(select(one, depth=depths), column) for one in (residual, gated))),
                {
                    **medians(gated, column, depths, "of Highway nets"),
                    **medians(residual, column, depths, "of residual nets"),
                },
                side="below",
            )
            for depths in ([[depth] for depth in each] or [shared])
        ]

    where = f"at {', '.join(map(str, each[:-1]))} and {each[-1]} layers" if each else "averaged over depths"
    return Trial(
        scale,
        (Sweep(config),),
        f"{where}, the Highway net's {what} is less than {effect.text} below the residual net's",
        compare,
    )


def at_equal_parameters(first: pd.DataFrame, second: pd.DataFrame) -> Seeds:
    """How far the test error of the first nets lies above that of the second ones with as many parameters, by seed.

    For each seed, the errors of either kind are joined by straight lines over the logarithm of the number of
    parameters. The difference is averaged over the logarithms that both lines cover, for seeds that have all nets.

    Raises:
        MissingEvidence: all nets of one kind have more parameters than those of the other, or no seed has all nets.
    """
    lines = [
        one.assign(error=error(one)).pivot_table(index="seed", columns="parameters", values="error").dropna()
        for one in (first, second)
    ]
    sizes = [np.log(line.columns.to_numpy(dtype=float)) for line in lines]
    low, high = max(size[0] for size in sizes), min(size[-1] for size in sizes)
    if low >= high:
        raise MissingEvidence("there is no number of parameters that nets of both kinds can have")
    grid = np.linspace(low, high, 101)
    seeds = [seed for seed in lines[0].index if seed in lines[1].index]
    if not seeds:
        raise MissingEvidence("there is no seed that nets of both kinds have")
    above, below = (
        np.array([np.interp(grid, size, line.loc[seed]) for seed in seeds])
        for size, line in zip(sizes, lines, strict=True)
    )
    return {int(seed): float(mean) for seed, mean in zip(seeds, (above - below).mean(axis=1), strict=True)}


def _needs_fewer_parameters(scale: Scale, config: str) -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        runs = tables.runs(config)
        residual, dense = (select(runs, **which) for which in ({"role": RESIDUAL}, {"model": DENSENET}))
        shown = {
            f"{name} with {int(str(size)):,} parameters": float(error(of_size).median())
            for name, one in (("ResNet", residual), ("DenseNet", dense))
            for size, of_size in one.groupby("parameters")
        }
        what = "with as many parameters, the DenseNet has a lower test error than the ResNet"
        return [Comparison(what, ERROR, at_equal_parameters(residual, dense), shown)]

    return Trial(
        scale,
        (Sweep(config),),
        "over the numbers of parameters that nets of both kinds have, on a logarithmic scale, the mean test error of "
        "DenseNets-BC is 1 percentage point or more below that of ResNets",
        compare,
    )


def _compute_the_same(tables: Tables) -> Sequence[Fact]:
    table = select(tables.analysis(FORMS.kind), bits=64)
    pairs = {tuple(sorted(pair)) for pair in table[["form_first", "form_second"]].itertuples(index=False)}
    if len(pairs) < 3:
        raise MissingEvidence("it takes all three pairs of forms")
    return [
        Fact(
            f"nets of all forms with the same weights have the same {what}",
            bool((table[what].astype(float) < SAME).all()),
            {"greatest relative difference": float(table[what].astype(float).max())},
        )
        for what in ("outputs", "gradients")
    ]


def _cardinality_pays(tables: Tables) -> Sequence[Comparison]:
    runs = tables.runs("cardinality-digits")
    branches, wider, deeper = (
        by_seed(select(runs, depth=layers, cardinality=number, group_width=channels), "test_error")
        for layers, number, channels in ((SHALLOW, 2 * FEW, NARROW), (SHALLOW, FEW, WIDE), (TALL, FEW, NARROW))
    )
    return [
        Comparison(
            f"twice the branches lower the test error more than {what}",
            ERROR,
            difference(errors, branches),
            {"twice the branches, median": float(branches.median()), f"{what}, median": float(errors.median())},
        )
        for what, errors in (("wider branches", wider), ("more layers", deeper))
    ]


CLAIMS = (
    Claim(
        "K17",
        "DenseNets need fewer parameters than ResNets for the same error.",
        "Kowsik 2021, other variants; Huang et al. 2017, §4.3 and Fig. 4",
        (
            _needs_fewer_parameters(Scale.DIGITS, "efficiency-digits"),
            _needs_fewer_parameters(Scale.CIFAR10, "architectures-cifar10"),
        ),
    ),
    Claim(
        "Z1",
        "Highway nets are no better than ResNets, although their solution space contains them.",
        "Notes on ResNet and its variants, residual blocks",
        (
            _no_better(Scale.SINE, "highway-sine", HIGHWAY_MLP, LOSS, "train_loss", DEEP),
            _no_better(Scale.DIGITS, "highway-digits", HIGHWAY_CNN, ERROR, "test_error"),
            _no_better(Scale.CIFAR10, "architectures-cifar10", HIGHWAY_CNN, ERROR, "test_error"),
        ),
    ),
    Claim(
        "Z3",
        "The three forms of a ResNeXt block compute the same function.",
        "Notes on ResNet and its variants, ResNeXt; Xie et al. 2017, §3.3 and Fig. 3",
        (
            Trial(
                Scale.COMPUTED,
                (FORMS,),
                "in double precision, the outputs and the gradients of nets of all three forms with the same random "
                "weights have relative differences below 1e-10",
                _compute_the_same,
            ),
        ),
    ),
    Claim(
        "Z4",
        "Raising the cardinality of a ResNeXt beats raising its depth or width at equal cost.",
        "Notes on ResNet and its variants, ResNeXt; Xie et al. 2017, §5.1",
        (
            Trial(
                Scale.DIGITS,
                (Sweep("cardinality-digits"),),
                f"of nets with equal multiply-adds, the one with {2 * FEW} branches of {NARROW} channels has a test "
                f"error 1 percentage point or more below that with {FEW} branches of {WIDE} channels and that with "
                f"{FEW} branches of {NARROW} channels and {TALL} instead of {SHALLOW} layers",
                _cardinality_pays,
            ),
        ),
    ),
)
