"""Claims about the identity: deep nets could copy shallow ones with it, if they only learned it."""

from collections.abc import Sequence
from math import log10

from resnet_cli.claims.analysed import needs, of_nets
from resnet_cli.claims.claim import (
    FACTOR,
    LOSS,
    Analysis,
    Claim,
    Comparison,
    Fact,
    MissingEvidence,
    Scale,
    Sweep,
    Tables,
    Trial,
)
from resnet_cli.claims.measures import PLAIN, RESIDUAL, difference, relative_loss, select

SAME = 1e-5
"""A loss is the same as another from which it differs by less than this share of the chance level: rounding."""

ROUNDING = 1e-7
"""Relative errors below this count as it, since single precision holds no more digits."""

STACKS = Analysis("identity", options=("--seeds", "0..9"))


def _copies_but_does_not_learn(scale: Scale, config: str, shallow: int, deep: int) -> Trial:
    options = "--depth", str(shallow), "--to", str(deep)
    analysis = Analysis("append", Sweep(config, save_models=True), options)

    def compare(tables: Tables) -> Sequence[Comparison | Fact]:
        table = select(of_nets(tables, analysis), role=PLAIN, depth=shallow, deeper=deep)
        start = int(select(table, net="appended")["step"].min())
        here = select(table, step=start)
        if lacking := {"shallow", "appended", "scratch"} - set(table["net"]):
            raise MissingEvidence(f"there is no net called {' or '.join(sorted(lacking))}")
        losses = here.assign(loss=relative_loss(here)).pivot_table(index="seed", columns="net", values="loss")
        losses = losses.reindex(columns=["shallow", "appended", "scratch"])
        losses["scratch"] = losses["scratch"].fillna(1.0)  # it diverged before
        apart = float((losses["appended"] - losses["shallow"]).abs().max())
        return [
            Fact(
                "a net with identity layers appended has the same loss",
                apart <= SAME,
                {"largest difference as a share of chance": apart},
            ),
            Comparison(
                f"{deep} plain layers from scratch end above a shallower net with identity layers appended",
                LOSS,
                difference(losses["scratch"], losses["appended"]),
                {
                    f"{name}, training loss as a share of chance": float(losses[net].median())
                    for net, name in (("appended", "appended"), ("scratch", "from scratch"))
                },
            ),
        ]

    return Trial(
        scale,
        needs(analysis),
        f"a trained plain net of {shallow} layers has the same loss with identity layers appended up to {deep}, except "
        "for rounding, and a net of that depth trained from scratch for as long ends with a training loss 10 % of "
        "chance or more above it",
        compare,
    )


def _identity_is_hard(tables: Tables) -> Sequence[Comparison]:
    table = tables.analysis(STACKS.kind)
    table = select(table, step=int(table["step"].max()), init="default")
    found = []
    for inputs in ("vectors", "images"):
        stacks = select(table, experiment=inputs)
        stacks = select(stacks, depth=int(stacks["depth"].max()))
        worst = stacks["constant_error"].astype(float)
        errors = stacks["relative_error"].astype(float).fillna(worst).clip(ROUNDING, worst)
        by_kind = stacks.assign(error=errors).pivot_table(index="seed", columns="kind", values="error")
        if lacking := {PLAIN, RESIDUAL} - set(by_kind):
            raise MissingEvidence(f"there is no {lacking.pop()} stack")
        powers = {kind: by_kind[kind].map(log10) for kind in (PLAIN, RESIDUAL)}
        found.append(
            Comparison(
                f"on {inputs}, plain stacks end further from the identity than residual ones",
                FACTOR,
                difference(powers[PLAIN], powers[RESIDUAL]),
                {f"relative error, {kind}": float(by_kind[kind].median()) for kind in (PLAIN, RESIDUAL)}
                | {"layers": float(stacks["depth"].iloc[0])},
            )
        )
    return found


CLAIMS = (
    Claim(
        "K5",
        "A deeper plain net can equal a shallower one by appending identity layers, and training does not find that by "
        "itself.",
        "Kowsik 2021, the problem with very deep nets; He et al. 2015, §1",
        (
            _copies_but_does_not_learn(Scale.SINE, "append-sine", 7, 25),
            _copies_but_does_not_learn(Scale.DIGITS, "analysis-digits", 8, 32),
            _copies_but_does_not_learn(Scale.CIFAR10, "cifar10-paper", 20, 56),
        ),
    ),
    Claim(
        "K6",
        "Plain layers find the identity hard to learn; residual blocks find it easily, since they only have to drive "
        "their branch to zero.",
        "Kowsik 2021, learning residuals; He et al. 2015, §3.1",
        (
            Trial(
                Scale.VECTORS,
                (STACKS,),
                "after 1000 steps with the default initialisation, the deepest plain stacks have ten times the "
                "relative error of the residual ones or more, on vectors and on images",
                _identity_is_hard,
            ),
        ),
    ),
)
