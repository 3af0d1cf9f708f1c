"""The ledger: a verdict for each claim at each scale, with all of them tested at once."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from resnet_cli.claims.claim import Analysis, Claim, Comparison, Fact, MissingEvidence, Tables, Trial, Verdict
from resnet_cli.claims.statistics import FALSE_DISCOVERY_RATE, FEWEST_PAIRS, adjusted, mean_interval, sign_flip_p
from resnet_cli.settings.errors import shorten


@dataclass(frozen=True)
class Tested:
    """A comparison and what its test says.

    Attributes:
        pairs: how many seeds.
        mean: of the differences, with a 95 % interval from `low` to `high`.
        p_for: p-value of the hypothesis that the comparison does not hold.
        p_against: p-value of the hypothesis that it holds.
    """

    comparison: Comparison
    pairs: int
    mean: float
    low: float
    high: float
    p_for: float
    p_against: float


@dataclass(frozen=True)
class Line:
    """One line of the ledger.

    Attributes:
        p_value: the one of the direction in which the evidence points, before and (`adjusted`) after the correction
            for the number of tests; None where nothing is left to chance, or there are too few seeds for a test.
        reason: in words, why there is this verdict and no other.
    """

    claim: Claim
    trial: Trial
    verdict: Verdict
    reason: str
    tested: tuple[Tested, ...] = ()
    facts: tuple[Fact, ...] = ()
    p_value: float | None = None
    adjusted: float | None = None

    @property
    def remark(self) -> str:
        """The trial's remark, where the verdict does not confirm the claim."""
        return self.trial.remark if self.verdict in (Verdict.NOT_SUPPORTED, Verdict.UNDECIDED) else ""


@dataclass(frozen=True)
class _Weighed:
    """A trial with its evidence, before the correction: p-values for and against the claim."""

    claim: Claim
    trial: Trial
    tested: tuple[Tested, ...]
    facts: tuple[Fact, ...]
    missing: str

    @property
    def p_for(self) -> float:
        """All comparisons must hold, so the weakest decides (intersection-union test, Berger 1982)."""
        return max(one.p_for for one in self.tested)

    @property
    def p_against(self) -> float:
        """One comparison that fails is enough; Bonferroni's correction for the choice among them."""
        return min(1.0, len(self.tested) * min(one.p_against for one in self.tested))

    @property
    def p_value(self) -> float:
        """That of the direction in which the evidence points; only one of the two hypotheses can be false."""
        return min(self.p_for, self.p_against)

    @property
    def pairs(self) -> int:
        """The number of seeds of the comparison with fewest."""
        return min((one.pairs for one in self.tested), default=0)


def make_ledger(claims: Iterable[Claim], tables: Tables) -> list[Line]:
    """Judge every trial of every claim from the tables at hand.

    The false discovery rate is controlled over all trials that a test can decide. Each is tested in the direction in
    which its evidence points: of the two hypotheses one is true, so a wrong verdict is a true hypothesis rejected.
    """
    weighed = [_weigh(claim, trial, tables) for claim in claims for trial in claim.trials]
    decidable = [one for one in weighed if one.pairs >= FEWEST_PAIRS and all(fact.holds for fact in one.facts)]
    corrected = dict(zip(map(id, decidable), adjusted([one.p_value for one in decidable]), strict=True))
    return [_judge(one, corrected.get(id(one))) for one in weighed]


def _weigh(claim: Claim, trial: Trial, tables: Tables) -> _Weighed:
    try:
        found = list(trial.compare(tables))
    except MissingEvidence as missing:
        return _Weighed(claim, trial, (), (), str(missing))
    except (LookupError, TypeError, ValueError) as error:
        if not (analyses := [need for need in trial.needs if isinstance(need, Analysis)]):
            raise
        changed = f"the table of {' or '.join(map(str, analyses))} is not as it was written ({error})"
        return _Weighed(claim, trial, (), (), shorten(changed, 200))
    return _Weighed(
        claim,
        trial,
        tuple(examine(one) for one in found if isinstance(one, Comparison)),
        tuple(one for one in found if isinstance(one, Fact)),
        "",
    )


def examine(comparison: Comparison) -> Tested:
    """Test a comparison in both directions."""
    values = [comparison.differences[seed] for seed in sorted(comparison.differences)]
    above = sign_flip_p(values, comparison.effect.margin)
    below = sign_flip_p([-value for value in values], -comparison.effect.margin)
    p_for, p_against = (above, below) if comparison.side == "above" else (below, above)
    mean = fmean(values) if values else math.nan
    return Tested(comparison, len(values), mean, *mean_interval(values), p_for, p_against)


def _judge(weighed: _Weighed, corrected: float | None) -> Line:
    line = Line(weighed.claim, weighed.trial, Verdict.UNDECIDED, "", weighed.tested, weighed.facts)
    if weighed.missing:
        return replace(line, verdict=Verdict.NOT_TESTED, reason=weighed.missing)
    if false := [fact.what for fact in weighed.facts if not fact.holds]:
        return replace(line, verdict=Verdict.NOT_SUPPORTED, reason=f"it does not hold that {false[0]}")
    if not weighed.tested:
        return replace(line, verdict=Verdict.SUPPORTED, reason="it holds exactly")
    line = replace(line, p_value=weighed.p_value, adjusted=corrected)
    if corrected is None:
        return replace(line, reason=f"too few seeds: {weighed.pairs}, and it takes {FEWEST_PAIRS} or more")
    if corrected > FALSE_DISCOVERY_RATE:
        return replace(line, reason="the seeds do not tell the claim from its opposite")
    if weighed.p_for <= weighed.p_against:
        return replace(line, verdict=Verdict.SUPPORTED, reason="every comparison holds")
    failed = min(weighed.tested, key=lambda one: one.p_against)
    return replace(line, verdict=Verdict.NOT_SUPPORTED, reason=f"it does not hold that {failed.comparison.what}")


def by_verdict(lines: Iterable[Line]) -> Mapping[Verdict, int]:
    """How many lines have each verdict."""
    listed = [line.verdict for line in lines]
    return {verdict: listed.count(verdict) for verdict in Verdict}
