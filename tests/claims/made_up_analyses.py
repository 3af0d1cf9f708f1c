"""Made-up tables of analyses with a known answer, and what the ledger makes of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from resnet_cli.claims import all_claims
from resnet_cli.claims.claim import Scale, Verdict
from resnet_cli.claims.ledger import Line, make_ledger
from tests.claims.made_up import MadeUp, Row, Rule, runs

ROLES = ("plain", "residual")


def nets(rule: Rule = lambda row: {}, **lists: Sequence[Any]) -> pd.DataFrame:
    """Runs as `made_up.runs` makes them, with a model and an id; plain and residual ones unless told otherwise."""
    frame = runs(rule, **{"role": ROLES, **lists})
    known = {} if "model" in frame else {"model": frame["role"].astype(str) + "-net"}
    return frame.assign(step=200, run_id=[f"run-{number}" for number in range(len(frame))], **known)


def jitter(seed: int) -> float:
    """A factor near 1, so that no two seeds are exactly alike."""
    return 1 + 0.001 * seed


@dataclass(frozen=True)
class Evidence:
    """Runs of a sweep and the table of an analysis of them.

    `measure` returns what the analysis finds in a run.
    """

    config: str
    kind: str
    frame: pd.DataFrame
    measure: Callable[[Row], Iterable[Row]]

    def table(self) -> pd.DataFrame:
        """The table of the analysis."""
        found = [{str(name): value for name, value in run.items()} for run in self.frame.to_dict("records")]
        who = ("run_id", "model", "depth", "seed")
        return pd.DataFrame([{name: run[name] for name in who} | row for run in found for row in self.measure(run)])

    def tables(self, keep: Callable[[pd.DataFrame], "pd.Series[bool]"] | None = None) -> MadeUp:
        """All tables, of that of the analysis only the rows that `keep` chooses."""
        table = self.table()
        cut = table if keep is None else table[keep(table)]
        return MadeUp({self.config: self.frame}, {(self.kind, self.config): cut})


def judged(claim: str, scale: Scale, tables: MadeUp, part: str = "") -> Line:
    """The line of the ledger for a claim, or a part of it, at a scale, tested alone."""
    (trial,) = (one for one in all_claims()[claim].trials if (one.scale, one.part) == (scale, part))
    (line,) = make_ledger([replace(all_claims()[claim], trials=(trial,))], tables)
    return line


def check(claim: str, scale: Scale, true: Evidence, *false: Evidence) -> None:
    """That a claim holds with one table and fails with each of the others, and is undecided or untested without enough.

    In turn, the tables have four seeds, one, none; lack a model; and are not there.
    """

    def found(evidence: Evidence, keep: Callable[[pd.DataFrame], "pd.Series[bool]"] | None = None) -> Line:
        return judged(claim, scale, evidence.tables(keep))

    assert found(true).verdict == Verdict.SUPPORTED, found(true).reason
    for evidence in false:
        assert found(evidence).verdict == Verdict.NOT_SUPPORTED, found(evidence).reason
    four = found(true, lambda table: table["seed"] < 4)
    assert (four.verdict, four.reason) == (
        Verdict.UNDECIDED,
        "too few seeds: 4, and it takes 5 or more",
    )
    assert found(true, lambda table: table["seed"] == 0).verdict == Verdict.UNDECIDED
    assert found(true, lambda table: table["seed"] < 0).verdict == Verdict.NOT_TESTED
    without = judged(claim, scale, MadeUp({true.config: true.frame}))
    assert (without.verdict, without.reason) == (Verdict.NOT_TESTED, f"there is no analysis {true.kind}")
    assert judged(claim, scale, MadeUp({}, {(true.kind, true.config): true.table()})).verdict == Verdict.NOT_TESTED
