"""Claims about depth: plain nets get worse with it, residual nets do not."""

from collections.abc import Sequence

import pandas as pd

from resnet_cli.claims.claim import ERROR, LOSS, Claim, Comparison, Effect, Scale, Sweep, Tables, Trial
from resnet_cli.claims.measures import deepest, medians, rise, select

PLAIN, RESIDUAL = "plain", "residual"

_TURN = Effect(0.0, "layers", "2 layers")


def _ends(runs: pd.DataFrame, column: str = "train_loss") -> dict[str, float]:
    """The medians at the best depth and at the deepest, to show."""
    by_depth = runs.groupby("depth")[column].median()
    return medians(runs, column, [int(str(by_depth.idxmin())), *deepest(list(by_depth.index))[-1:]])


def _turns_at_seven(tables: Tables) -> Sequence[Comparison]:
    runs = select(tables.runs("sine"), role=PLAIN)
    best = runs.sort_values("train_loss").groupby("seed")["depth"].first()
    within = {int(str(seed)): 2.0 - abs(int(depth) - 7) for seed, depth in best.items()}
    return [
        Comparison(
            "the plain net's training loss rises from its best depth to its deepest", LOSS, rise(runs), _ends(runs)
        ),
        Comparison(
            "the depth with a seed's lowest loss lies between 5 and 9",
            _TURN,
            within,
            {
                "median of the best depths": float(best.median()),
                "least": float(best.min()),
                "greatest": float(best.max()),
            },
        ),
    ]


def _does_not_rise(config: str) -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        runs = select(tables.runs(config), role=RESIDUAL)
        what = "the residual net's training loss rises by less than 10 % of chance"
        return [Comparison(what, LOSS, rise(runs), _ends(runs), side="below")]

    scale = Scale.SINE if config == "sine" else Scale.DIGITS
    return Trial(
        scale,
        (Sweep(config),),
        "at the deepest sixth of the depths the training loss is less than 10 % of chance above that at the best",
        compare,
    )


def _training_error_too(config: str, scale: Scale) -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        runs = select(tables.runs(config), role=PLAIN)
        return [
            Comparison(
                f"the plain net's {split} error rises with depth",
                ERROR,
                rise(runs, f"{short}_error"),
                _ends(runs, f"{short}_error"),
            )
            for split, short in (("training", "train"), ("test", "test"))
        ]

    return Trial(
        scale,
        (Sweep(config),),
        "at the deepest sixth of the depths both errors are 1 percentage point or more above those at the best",
        compare,
    )


CLAIMS = (
    Claim(
        "K1",
        "The training loss of a plain MLP on the sine falls with depth at first and turns at about 7 layers.",
        "Kowsik 2021, first figure",
        (
            Trial(
                Scale.SINE,
                (Sweep("sine"),),
                "at the deepest sixth of the depths the training loss is 10 % of chance or more above that at the "
                "best, and the best depth of a seed is 7 ± 2",
                _turns_at_seven,
            ),
        ),
    ),
    Claim(
        "K2",
        "With a skip over every three layers the loss does not turn.",
        "Kowsik 2021, second figure",
        (_does_not_rise("sine"), _does_not_rise("digits")),
    ),
    Claim(
        "K3",
        "Degradation shows in the training error too, so it is not overfitting.",
        "Kowsik 2021; He et al. 2015, §1 and Fig. 1",
        (
            _training_error_too("digits", Scale.DIGITS),
            _training_error_too("cifar10-reduced", Scale.CIFAR10_REDUCED),
            _training_error_too("cifar10-paper", Scale.CIFAR10),
        ),
    ),
)
