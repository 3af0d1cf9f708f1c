"""Claims about residual blocks: how many layers they take, in which order, and what may be dropped in training."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pandas as pd

from resnet_cli.claims.claim import COST, ERROR, LOSS, Claim, Comparison, Fact, Scale, Sweep, Tables, Trial
from resnet_cli.claims.measures import PLAIN, RESIDUAL, by_seed, difference, medians, select, split

_SAME_FUNCTIONS = (
    "A layer with a skip over it can compute no more than the layer alone (He et al. 2015, §3.2), so such a skip "
    "changes only where training starts. In deep plain MLPs without batch norm, whose first gradients vanish, "
    "that makes the difference; skips over one to four layers were tried, and on the digits over one to three in "
    "nets with batch norm."
)
_AS_FREE = (
    "ReLU-only pre-activation leaves the shortcut as free as full pre-activation does, and in the paper too they "
    "are close: 6.71 against 6.37 % at 110 layers and 5.91 against 5.46 % at 164 (He et al. 2016, Table 2). The gain "
    "over the original ordering, 6.61 % at 110 layers, is also less than the percentage point that counts here. Nets "
    "of 56, of 110 and of 1202 layers were tried."
)
_WORK = replace(COST, unit="of the blocks")


def _gain_over_plain(config: str, scale: Scale, layers: int, remark: str = "") -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        runs = select(tables.runs(config), depth=layers)
        plain = select(runs, role=PLAIN)
        one, two = (select(runs, role=RESIDUAL, block_size=spanned) for spanned in (1, 2))

        def comparison(residual: pd.DataFrame, span: str, amount: str, side: Literal["above", "below"]) -> Comparison:
            numbers = medians(plain, "train_loss", [layers], "of plain nets")
            numbers |= medians(residual, "train_loss", [layers], f"with skips over {span}")
            what = f"a skip over {span} lowers the plain net's training loss by {amount}"
            return Comparison(what, LOSS, difference(by_seed(plain), by_seed(residual)), numbers, side)

        return [
            comparison(one, "one layer", "less than 10 % of chance", "below"),
            comparison(two, "two layers", "10 % of chance or more", "above"),
        ]

    return Trial(
        scale,
        (Sweep(config),),
        f"at {layers} layers the training loss is less than 10 % of chance below the plain net's with skips over one "
        "layer, and 10 % of chance or more below it with skips over two",
        compare,
        remark,
    )


def _preactivation_is_best(config: str, layers: int, others: str = "every other ordering") -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        runs = select(tables.runs(config), depth=layers)
        best, *rest = split(runs, ordering="full-preactivation").items()
        return [
            Comparison(
                f"{best[0]} has a lower test error than {name}",
                ERROR,
                difference(by_seed(other, "test_error"), by_seed(best[1], "test_error")),
                medians(best[1], "test_error", [layers], f"with {best[0]}")
                | medians(other, "test_error", [layers], f"with {name}"),
            )
            for name, other in rest
        ]

    return Trial(
        Scale.DIGITS,
        (Sweep(config),),
        f"at {layers} layers the test error of {others} is 1 percentage point or more above that of full "
        "pre-activation",
        compare,
        _AS_FREE,
        f"at {layers} layers",
    )


def _dropout_works(tables: Tables) -> Sequence[Comparison]:
    depth = [32]
    runs = select(tables.runs("regularisation-digits"), role=RESIDUAL, depth=depth, weight_decay=0.0)
    without, dropout = (select(runs, dropout=share) for share in (0.0, 0.2))
    return [
        Comparison(
            "with dropout the deep residual net learns: its training loss is below 10 % of chance",
            LOSS,
            difference(by_seed(dropout), 0.0),
            medians(dropout, "train_loss", depth, "with dropout"),
            side="below",
        ),
        Comparison(
            "with dropout its test error is less than 1 percentage point above that without",
            ERROR,
            difference(by_seed(dropout, "test_error"), by_seed(without, "test_error")),
            {
                **medians(without, "test_error", depth, "without dropout"),
                **medians(dropout, "test_error", depth, "with dropout"),
            },
            side="below",
        ),
    ]


def _dropped_blocks_help(config: str, layers: int) -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison | Fact]:
        runs = select(tables.runs(config), depth=layers)
        constant, stochastic = (select(runs, survival=share) for share in (1.0, 0.5))
        depth, blocks = [layers], (layers - 2) // 2
        dropped = (1 - 0.5) * (blocks + 1) / (2 * blocks)  # the mean of 1 − p_l, Huang et al. 2016, eq. 4
        return [
            Fact(
                f"a step computes at least {_WORK.text} fewer blocks than with constant depth",
                dropped >= _WORK.margin,
                {
                    "expected share of blocks that a step leaves out": dropped,
                    **medians(constant, "seconds", depth, "with constant depth"),
                    **medians(stochastic, "seconds", depth, "with stochastic depth"),
                },
            ),
            Comparison(
                "stochastic depth ends with a lower test error than constant depth",
                ERROR,
                difference(by_seed(constant, "test_error"), by_seed(stochastic, "test_error")),
                {
                    **medians(constant, "test_error", depth, "with constant depth"),
                    **medians(stochastic, "test_error", depth, "with stochastic depth"),
                },
            ),
        ]

    return Trial(
        Scale.DIGITS,
        (Sweep(config),),
        f"at {layers} layers a step computes at least 10 % fewer blocks, by their survival probabilities, and training "
        "ends with a test error at least 1 percentage point lower; seconds are shown but prove nothing, since other "
        "work on the machine counts in them",
        compare,
        part=f"at {layers} layers",
    )


CLAIMS = (
    Claim(
        "K9",
        "A residual block needs at least two layers; a skip over a single layer brings nothing.",
        "Kowsik 2021, structure of a ResNet; He et al. 2015, §3.2",
        (
            _gain_over_plain("block-size-sine", Scale.SINE, 49, _SAME_FUNCTIONS),
            _gain_over_plain("block-size-digits", Scale.DIGITS, 56),
        ),
    ),
    Claim(
        "K13",
        "In very deep nets, full pre-activation is the best ordering of the layers in a block.",
        "Kowsik 2021, other variants; He et al. 2016, §4 and Table 2",
        (
            _preactivation_is_best("orderings-digits", 56),
            _preactivation_is_best("orderings-deep", 110),
            _preactivation_is_best("deep-digits", 1202, "the original ordering, the only other one tried,"),
        ),
    ),
    Claim(
        "B3",
        "Dropout works inside residual blocks.",
        "Data Basecamp, how to build a ResNet block",
        (
            Trial(
                Scale.DIGITS,
                (Sweep("regularisation-digits"),),
                "without weight decay and with dropout 0.2 in their blocks, residual nets of 32 layers reach a "
                "training loss below 10 % of chance, and their test error is less than 1 percentage point above that "
                "without dropout",
                _dropout_works,
            ),
        ),
    ),
    Claim(
        "Z5",
        "Stochastic depth trains faster than constant depth and ends with a lower test error.",
        "Chinese notes, networks with stochastic depth; Huang et al. 2016, §4 and Table 1, 110 layers",
        (_dropped_blocks_help("stochastic-depth-digits", 56), _dropped_blocks_help("stochastic-depth-deep", 110)),
    ),
)
