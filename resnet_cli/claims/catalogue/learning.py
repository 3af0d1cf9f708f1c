"""Claims about how residual nets learn: how fast, how well on new examples, and whether it helps with another task."""

from collections.abc import Sequence
from math import exp, inf, log

import pandas as pd

from resnet_cli.claims.analysed import needs, of_nets
from resnet_cli.claims.claim import (
    COST,
    ERROR,
    Analysis,
    Claim,
    Comparison,
    MissingEvidence,
    Scale,
    Sweep,
    Tables,
    Trial,
)
from resnet_cli.claims.measures import PLAIN, RESIDUAL, Seeds, error, select

TWINS = (PLAIN, RESIDUAL)

LEARNED = 0.5
"""A training error (%) below this counts as none: 7 of the 1400 digits."""


_LITTLE_LEFT = (
    "Nets that classify all training digits misclassify about 2 % of the test digits, 8 of 397, so a percentage point "
    "is half of what there is to gain, and two test images more or less are chance. Training for 20 and for 100 epochs "
    "were tried."
)

_STATUS = {True: "done", False: "diverged"}


def _means(values: "pd.Series[float]") -> Seeds:
    """The mean for each seed, of values whose index has a level `seed`, without the rounding of their sum."""
    return {int(str(seed)): round(float(mean), 9) for seed, mean in values.groupby("seed").mean().items()}


def _converges_faster(scale: Scale, config: str, part: str = "") -> Trial:
    races = Analysis("convergence", Sweep(config))

    def compare(tables: Tables) -> Sequence[Comparison]:
        table = select(of_nets(tables, races), role=TWINS)
        longest = float(tables.runs(config)["step"].max())
        reached = table.assign(reached=table["step"].notna()).pivot_table(
            index=["level", "depth"], columns="role", values="reached"
        )
        both = (reached.reindex(columns=list(TWINS), fill_value=0.0) > 0.5).all(axis=1)
        steps = table.assign(step=table["step"].fillna(longest).clip(lower=1.0)).pivot_table(
            index=["level", "depth", "seed"], columns="role", values="step"
        )
        steps = steps.join(both.rename("both")).query("both").dropna()
        if steps.empty:
            raise MissingEvidence("there is no loss that both nets of some depth reach")
        ratios = (steps[RESIDUAL] / steps[PLAIN]).map(log)
        by_level = ratios.groupby("level").mean()
        return [
            Comparison(
                "the residual net reaches a training loss in fewer steps than the plain one",
                COST,
                {seed: 1 - exp(mean) for seed, mean in _means(ratios).items()},
                {f"steps to a loss of {level:g}, residual over plain": exp(mean) for level, mean in by_level.items()},
            )
        ]

    return Trial(
        scale,
        needs(races),
        "to a half, a tenth and a hundredth of the loss before training the residual net takes 10 % fewer steps or "
        "more than its plain twin: the geometric mean over these losses and the depths at which most nets of both "
        "kinds reach them, where a net that does not counts with the longest training",
        compare,
        part=part,
    )


def _generalises_better(scale: Scale, config: str, remark: str = "") -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        runs = select(tables.runs(config), role=TWINS)
        train, test = (
            runs.assign(error=error(runs, column)).pivot_table(index=["depth", "seed"], columns="role", values="error")
            for column in ("train_error", "test_error")
        )
        equal = (train.reindex(columns=[*TWINS]) < LEARNED).all(axis=1)
        train, test = train[equal], test[equal]
        if test.empty:
            raise MissingEvidence(f"no pair of nets has a training error below {LEARNED:g} %")
        return [
            Comparison(
                f"the residual net's {what} is lower than the plain one's",
                ERROR,
                _means(values[PLAIN] - values[RESIDUAL]),
                {f"{role}, mean over seeds": float(values[role].groupby("seed").mean().mean()) for role in TWINS}
                | {"pairs of nets": float(len(test))},
            )
            for what, values in (
                ("test error at equal training error", test),
                ("gap between test and training error", test - train),
            )
        ]

    return Trial(
        scale,
        (Sweep(config),),
        f"of twins whose training errors are both below {LEARNED:g} %, the residual net has a test error, and a gap "
        "between test and training error, that is 1 percentage point or more lower, on average over depths",
        compare,
        remark,
    )


def _transfers(scale: Scale, analysis: Analysis) -> Trial:
    def compare(tables: Tables) -> Sequence[Comparison]:
        table = select(of_nets(tables, analysis), role=TWINS)
        last = table.groupby(["run_id", "examples", "start"], sort=False).tail(1)
        lost = last[["train_loss", "test_loss"]].astype(float).sum(axis=1, skipna=False).abs().lt(inf).map(_STATUS)
        found = last.assign(error=error(last.assign(status=lost)))
        cells = found.pivot_table(index=["depth", "examples", "seed"], columns=["start", "role"], values="error")
        wanted = [("transferred", PLAIN), ("transferred", RESIDUAL), ("scratch", RESIDUAL)]
        if lacking := [" ".join(column) for column in wanted if column not in cells]:
            raise MissingEvidence(f"there is no net {lacking[0]}")
        cells = cells[wanted].dropna()
        plain, own, scratch = (cells[column] for column in wanted)
        shown = {
            "residual, transferred": float(own.mean()),
            "plain, transferred": float(plain.mean()),
            "residual, from scratch": float(scratch.mean()),
        }
        return [
            Comparison(
                f"a residual net that has learned other classes has a lower test error than {other}",
                ERROR,
                _means(values - own),
                shown,
            )
            for other, values in (("a plain net that has", plain), ("a residual net from scratch", scratch))
        ]

    return Trial(
        scale,
        needs(analysis),
        "after it has learned new classes from few examples of each, a residual net trained on other classes has a "
        "test error 1 percentage point or more below that of its plain twin with the same history and that of a "
        "residual net from scratch, on average over depths and numbers of examples",
        compare,
    )


CLAIMS = (
    Claim(
        "B2",
        "Residual nets converge faster.",
        "Data Basecamp, advantages of ResNets; a short German note, point 2",
        tuple(
            _converges_faster(scale, config, *part)
            for scale, config, *part in (
                (Scale.SINE, "sine"),
                (Scale.SINE, "sine-again", "other seeds"),
                (Scale.DIGITS, "digits"),
                (Scale.CIFAR10_REDUCED, "cifar10-reduced"),
                (Scale.CIFAR10, "cifar10-paper"),
            )
        ),
    ),
    Claim(
        "B5",
        "Residual nets generalise better.",
        "Data Basecamp, advantages of ResNets",
        (
            _generalises_better(Scale.DIGITS, "digits", _LITTLE_LEFT),
            _generalises_better(Scale.DIGITS_LONG, "digits-long", _LITTLE_LEFT),
            _generalises_better(Scale.CIFAR10, "cifar10-paper"),
        ),
    ),
    Claim(
        "B6",
        "What residual nets learn transfers to other tasks.",
        "Data Basecamp, advantages of ResNets; a short German note, point 3",
        (_transfers(Scale.DIGITS, Analysis("transfer", Sweep("transfer-digits", save_models=True))),),
    ),
)
