"""Claims about depth: plain nets get worse with it, residual nets do not."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import pandas as pd

from resnet_cli.claims.claim import (
    ERROR,
    LOSS,
    Claim,
    Comparison,
    Effect,
    MissingEvidence,
    Scale,
    Sweep,
    Tables,
    Trial,
)
from resnet_cli.claims.measures import PLAIN, RESIDUAL, by_seed, deepest, difference, ends, fall, medians, rise, select

SINE = {"sine": "", "sine-again": "other seeds"}
"""The sweep that was known when the effects were written down, and one whose seeds were trained later."""

IMAGES = {
    "digits": Scale.DIGITS,
    "digits-long": Scale.DIGITS_LONG,
    "cifar10-reduced": Scale.CIFAR10_REDUCED,
    "cifar10-paper": Scale.CIFAR10,
}
"""The sweeps over depth of plain and residual nets that classify images."""

EASY, HARD = 20, 30
"""Nets of at most, and of more than so many layers (G1)."""

_NO_LATER, _NO_EARLIER = Effect(2.0, "layers", "2 layers"), Effect(-2.0, "layers", "2 layers")


def _at_ends(runs: pd.DataFrame, column: str = "train_loss") -> dict[str, float]:
    """The medians at the best depth and at the deepest, to show."""
    by_depth = runs.groupby("depth")[column].median()
    return medians(runs, column, [int(str(by_depth.idxmin())), *deepest(list(by_depth.index))[-1:]])


def _from_start(runs: pd.DataFrame) -> dict[str, float]:
    """The medians at the least depth and at the best, to show."""
    by_depth = runs.groupby("depth")["train_loss"].median()
    return medians(runs, "train_loss", [int(by_depth.index[0]), int(str(by_depth.idxmin()))])


def _turns_at_seven(config: str, tables: Tables) -> Sequence[Comparison]:
    runs = select(tables.runs(config), role=PLAIN)
    best = runs.sort_values(["train_loss", "depth"]).groupby("seed")["depth"].first()
    later = {int(str(seed)): float(int(depth) - 7) for seed, depth in best.items()}
    shown = {f"{word} of the best depths": float(best.agg(word)) for word in ("median", "min", "max")}
    return [
        Comparison(
            "the plain net's training loss falls from the shallowest to its best depth",
            LOSS,
            fall(runs),
            _from_start(runs),
        ),
        Comparison(
            "the plain net's training loss rises from its best depth to its deepest", LOSS, rise(runs), _at_ends(runs)
        ),
        Comparison(
            "the depth with a seed's lowest loss is on average less than 2 layers above 7",
            _NO_LATER,
            later,
            shown,
            side="below",
        ),
        Comparison("the depth with a seed's lowest loss is on average less than 2 layers below 7", _NO_EARLIER, later),
    ]


def _loss_does_not_rise(config: str, scale: Scale, part: str = "") -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        runs = select(tables.runs(config), role=RESIDUAL)
        what = "the residual net's training loss rises by less than 10 % of chance"
        return [Comparison(what, LOSS, rise(runs), _at_ends(runs), side="below")]

    return Trial(
        scale,
        (Sweep(config),),
        "at the deepest sixth of the depths the training loss is less than 10 % of chance above that at the best",
        compare,
        part=part,
    )


def _both_errors_rise(config: str, scale: Scale) -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        runs = select(tables.runs(config), role=PLAIN)
        return [
            Comparison(
                f"the plain net's {split} error rises with depth",
                ERROR,
                rise(runs, column),
                _at_ends(runs, column),
            )
            for split, column in (("training", "train_error"), ("test", "test_error"))
        ]

    return Trial(
        scale,
        (Sweep(config),),
        "at the deepest sixth of the depths both errors are 1 percentage point or more above those at the best",
        compare,
    )


def _gains(config: str, effect: Effect, kind: str) -> Callable[[Tables], Sequence[Comparison]]:
    """Whether a residual net's training and test `kind` fall from the shallowest depth to the deepest."""

    def compare(tables: Tables) -> Sequence[Comparison]:
        shallow, deep = ends(select(tables.runs(config), role=RESIDUAL))
        depths = [int(shallow["depth"].iloc[0]), int(deep["depth"].max())]
        return [
            Comparison(
                f"the residual net's {split} {kind} is lower at the deepest depths than at the shallowest",
                effect,
                difference(by_seed(shallow, column), by_seed(deep, column)),
                medians(pd.concat([shallow, deep]), column, depths),
            )
            for split, column in (("training", f"train_{kind}"), ("test", f"test_{kind}"))
        ]

    return compare


def _gains_in_error(config: str, scale: Scale, remarks: Mapping[str, str]) -> Trial:
    return Trial(
        scale,
        (Sweep(config),),
        "at the deepest sixth of the depths both errors are 1 percentage point or more below those at the shallowest",
        _gains(config, ERROR, "error"),
        remarks.get(config, ""),
    )


def _hard_to_train(config: str, scale: Scale, part: str = "") -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        runs = select(tables.runs(config), role=PLAIN)
        easy, hard = runs[runs["depth"] <= EASY], runs[runs["depth"] > HARD]
        if easy.empty or hard.empty:
            raise MissingEvidence(f"it takes plain nets of at most {EASY} and of more than {HARD} layers")
        depths = [int(easy["depth"].max()), int(hard["depth"].min()), int(hard["depth"].max())]
        return [
            Comparison(
                f"plain nets of more than {HARD} layers have a higher training loss than those of at most {EASY}",
                LOSS,
                difference(by_seed(hard), by_seed(easy)),
                medians(runs, "train_loss", depths),
            )
        ]

    return Trial(
        scale,
        (Sweep(config),),
        f"the training loss, averaged over all depths beyond {HARD} layers, is 10 % of chance or more above that "
        f"averaged over all depths up to {EASY}",
        compare,
        part=part,
    )


_FLAT = (
    "From 4 to 16 layers all median losses are below 0.3 % of chance, and the depth with the lowest differs from "
    "seed to seed: in twenty seeds it lies between 7 and 21 layers, by training loss as by test loss. A figure with "
    "one run at each depth, as Kowsik's seems to be, can have its lowest point anywhere in this range. The loss stays "
    "10 % of chance above its best level from 23 layers on, which is what `show` and figures call the turning point."
)
_NO_ROOM = (
    "Nets of two layers already come down to about a tenth of chance, so there is hardly more than this to gain. Test "
    "losses were tried beside training losses."
)
_NO_GAIN = {
    "digits": "By the median, nets of 8 layers already classify all training images, which leaves no training error to "
    "gain, and some of 56 layers have not learned them all after 200 steps. Training five times as long was tried, see "
    "the line for it.",
    "digits-long": "Nets of 8 layers already classify all training images, which leaves no training error to gain, and "
    "of 397 test images they miss six or seven: too few to show a gain. Nets of 8 to 56 layers were tried, for 20 and "
    "for 100 epochs.",
}

CLAIMS = (
    Claim(
        "K1",
        "The training loss of a plain MLP on the sine falls with depth at first and turns at about 7 layers.",
        "Kowsik 2021, the problem with very deep nets, first figure",
        (
            *(
                Trial(
                    Scale.SINE,
                    (Sweep(config),),
                    "at the shallowest depth and at the deepest sixth of the depths the training loss is 10 % of "
                    "chance or more above that at the best, and the depth with a seed's lowest loss is on average "
                    "less than 2 layers from 7",
                    partial(_turns_at_seven, config),
                    _FLAT,
                    part,
                )
                for config, part in SINE.items()
            ),
        ),
    ),
    Claim(
        "K2",
        "With a skip over every three layers the loss does not turn.",
        "Kowsik 2021, performance of ResNets, first figure; the digits have a skip over every two",
        (
            *(_loss_does_not_rise(config, Scale.SINE, part) for config, part in SINE.items()),
            _loss_does_not_rise("digits", Scale.DIGITS),
            _loss_does_not_rise("digits-long", Scale.DIGITS_LONG),
        ),
    ),
    Claim(
        "K3",
        "Degradation shows in the training error too, so it is not overfitting.",
        "Kowsik 2021, the problem with very deep nets; He et al. 2015, §1 and Fig. 1",
        tuple(_both_errors_rise(config, scale) for config, scale in IMAGES.items()),
    ),
    Claim(
        "K10",
        "Residual nets gain from depth, in training and in test error.",
        "Kowsik 2021, performance of ResNets; He et al. 2015, §4.2 and Fig. 6",
        (
            *(
                Trial(
                    Scale.SINE,
                    (Sweep(config),),
                    "at the deepest sixth of the depths the training and the test loss are 10 % of chance or more "
                    "below those at the shallowest depth",
                    _gains(config, LOSS, "loss"),
                    _NO_ROOM,
                    part,
                )
                for config, part in SINE.items()
            ),
            *(_gains_in_error(config, scale, _NO_GAIN) for config, scale in IMAGES.items()),
        ),
    ),
    Claim(
        "G1",
        "Plain nets of more than 20 to 30 layers are hard to train.",
        "a short German note, point 1",
        (
            *(_hard_to_train(config, Scale.SINE, part) for config, part in SINE.items()),
            *(_hard_to_train(config, scale) for config, scale in IMAGES.items()),
        ),
    ),
)
