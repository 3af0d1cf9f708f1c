"""Claims about gradients on their way back to the first layers: when they vanish, and what helps."""

from collections.abc import Mapping, Sequence

import pandas as pd

from resnet_cli.claims.analysed import first_over_last, needs, of_nets
from resnet_cli.claims.claim import FACTOR, LOSS, Analysis, Claim, Comparison, Effect, Scale, Sweep, Tables, Trial
from resnet_cli.claims.measures import PLAIN, RESIDUAL, by_seed, difference, medians, select

BEHIND_THE_IMAGES = 2
"""The layer where K4 looks for vanishing gradients: the first of a CNN has far fewer weights than any other, so
its gradient's norm is not comparable."""

HEALTHY = Effect(2.0, "powers of ten", "a factor of a hundred")
"""Gradients that differ by less between the ends of a net neither vanish nor explode: over 30 layers, this is a factor
of 1.17 a layer."""

_NOTHING_VANISHES = (
    "These nets have batch norm, with which the plain net's gradient does not vanish but grows towards its first "
    "layer, so skips have nothing to mend there: they make it smaller. Nets without batch norm, in which it does "
    "vanish, were tried on the sine."
)

_MLPS = Sweep("gradients-sine")
_OF_MLPS = Analysis("gradients", _MLPS, ("--seeds", "0..9"))
_OF_PAPER = Analysis("gradients", Sweep("cifar10-paper"), ("--models", PLAIN, "--depths", "56", "--seeds", "0..4"))
_OF_CNNS = Analysis("gradients", Sweep("gradients-digits"), ("--seeds", "0..7"))


def _at_start(frame: pd.DataFrame) -> "pd.Series[float]":
    """The first layer's gradient over the last layer's before training, in powers of ten, for each seed."""
    return first_over_last(frame)[0]


def _shown(powers: Mapping[str, "pd.Series[float]"]) -> dict[str, float]:
    return {f"first over last layer, {name}": 10 ** float(one.median()) for name, one in powers.items()}


def _degrades_with_healthy_gradients(scale: Scale, gradients: Analysis, shallow: int, deep: int) -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        assert gradients.sweep is not None
        runs = select(tables.runs(gradients.sweep.config), role=PLAIN, batch_norm=True, depth=[shallow, deep])
        table = of_nets(tables, gradients)
        powers = first_over_last(select(table, role=PLAIN, batch_norm=True, depth=deep), BEHIND_THE_IMAGES)
        return [
            Comparison(
                f"the training loss of {deep} plain layers with batch norm is above that of {shallow}",
                LOSS,
                difference(by_seed(select(runs, depth=deep)), by_seed(select(runs, depth=shallow))),
                medians(runs, "train_loss", [shallow, deep]),
            ),
            Comparison(
                f"in {deep} plain layers with batch norm, gradients never vanish or explode",
                HEALTHY,
                {int(str(seed)): float(power) for seed, power in powers.abs().max(axis=1).items()},
                {
                    "second over last layer, least": 10 ** float(powers.to_numpy().min()),
                    "second over last layer, greatest": 10 ** float(powers.to_numpy().max()),
                },
                side="below",
            ),
        ]

    return Trial(
        scale,
        needs(gradients),
        f"with batch norm the plain net of {deep} layers ends with a training loss 10 % of chance or more above that "
        f"of {shallow} layers, while at every evaluation the gradient of its second layer is less than a factor of a "
        "hundred from that of its last",
        compare,
    )


def _reach_further(scale: Scale, gradients: Analysis, remark: str = "", **settings: object) -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        frame = select(of_nets(tables, gradients), **settings)
        frame = select(frame, depth=int(frame["depth"].max()))
        plain, residual = (_at_start(select(frame, role=role)) for role in (PLAIN, RESIDUAL))
        return [
            Comparison(
                "the first layer's gradient over the last layer's is larger in the residual net than in the plain one",
                FACTOR,
                difference(residual, plain),
                _shown({"plain": plain, "residual": residual}),
            )
        ]

    return Trial(
        scale,
        needs(gradients),
        "before training, the first layer's gradient over the last layer's is ten times as large in the residual net "
        "or more",
        compare,
        remark,
    )


def _batch_norm_helps(tables: Tables) -> Sequence[Comparison]:
    frame = select(of_nets(tables, _OF_MLPS), role=PLAIN, activation="sigmoid")
    without, with_norm = (_at_start(select(frame, batch_norm=norm)) for norm in (False, True))
    return [
        Comparison(
            "the first layer's gradient over the last layer's is nearer to 1 with batch norm than without",
            FACTOR,
            difference(without.abs(), with_norm.abs()),
            _shown({"without batch norm": without, "with it": with_norm}),
        ),
        Comparison(
            "with batch norm gradients neither vanish nor explode",
            HEALTHY,
            difference(with_norm.abs(), 0.0),
            side="below",
        ),
    ]


def _sigmoids_are_worse(tables: Tables) -> Sequence[Comparison]:
    frame = select(of_nets(tables, _OF_MLPS), role=PLAIN, batch_norm=False)
    relu, sigmoid = (_at_start(select(frame, activation=name)) for name in ("relu", "sigmoid"))
    return [
        Comparison(
            "the first layer's gradient over the last layer's is smaller with sigmoids than with ReLUs",
            FACTOR,
            difference(relu, sigmoid),
            _shown({"ReLUs": relu, "sigmoids": sigmoid}),
        )
    ]


CLAIMS = (
    Claim(
        "K4",
        "Degradation remains with batch norm, when gradients neither vanish nor explode.",
        "Kowsik 2021, the problem with very deep nets; He et al. 2015, §4.1",
        (
            _degrades_with_healthy_gradients(Scale.DIGITS, _OF_CNNS, 8, 32),
            _degrades_with_healthy_gradients(Scale.CIFAR10, _OF_PAPER, 20, 56),
        ),
    ),
    Claim(
        "K11",
        "Through skips, gradients reach the first layers better.",
        "Kowsik 2021, training of ResNets; Data Basecamp, how a ResNet is trained",
        (
            _reach_further(Scale.SINE, _OF_MLPS, activation="relu", batch_norm=False),
            _reach_further(Scale.DIGITS, _OF_CNNS, _NOTHING_VANISHES),
        ),
    ),
    Claim(
        "B1",
        "Batch norm handles vanishing gradients fairly well.",
        "Data Basecamp, the problem with deep neural networks",
        (
            Trial(
                Scale.SINE,
                needs(_OF_MLPS),
                "before training, with batch norm the first layer's gradient over the last layer's is at least a "
                "factor of ten nearer to 1 than without, and less than a factor of a hundred from it, in a plain net "
                "with sigmoids",
                _batch_norm_helps,
            ),
        ),
    ),
    Claim(
        "Z9",
        "Sigmoids make vanishing gradients worse, because the product that carries the error back has their "
        "derivative, at most 1/4, in every layer.",
        "Notes on ResNet and its variants, error-propagation formula (9.43)",
        (
            Trial(
                Scale.SINE,
                needs(_OF_MLPS),
                "before training, without batch norm, the first layer's gradient over the last layer's is ten times as "
                "small with sigmoids as with ReLUs or smaller, in a plain net",
                _sigmoids_are_worse,
            ),
        ),
    ),
)
