"""Made-up tables of runs with a known answer, and what the ledger makes of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import pandas as pd

from resnet_cli.claims import all_claims
from resnet_cli.claims.claim import MissingEvidence, Sweep, Trial, Verdict
from resnet_cli.claims.ledger import Line, make_ledger

Row = dict[str, Any]
Rule = Callable[[Row], Row]
Lists = Mapping[str, Sequence[Any]]

SEEDS = range(8)
CHANCE_LOSS, CHANCE_ERROR = 2.0, 90.0

USUAL: Row = {
    **{"role": "residual", "status": "done", "chance_loss": CHANCE_LOSS, "chance_error": CHANCE_ERROR},
    **{"train_loss": 0.01, "test_loss": 0.02, "train_error": 0.0, "test_error": 2.0, "seconds": 60.0},
}


def runs(rule: Rule = lambda row: {}, /, **lists: Sequence[Any]) -> pd.DataFrame:
    """A run for each element of the product of some lists, of 8 seeds unless they say otherwise.

    `rule` returns what differs from a run that learns everything. Seeds differ a little, so that no differences are
    exactly alike.
    """
    lists = {"seed": SEEDS, **lists}
    rows = [USUAL | dict(zip(lists, values, strict=True)) for values in product(*lists.values())]
    frame = pd.DataFrame([row | rule(row) for row in rows])
    for column in ("train_loss", "test_loss"):
        frame[column] *= 1 + 0.001 * frame["seed"]
    for column in ("train_error", "test_error"):
        frame[column] += 0.01 * frame["seed"] * frame["depth"] / frame["depth"].max()
    return frame


@dataclass
class MadeUp:
    """Tables that are made up; what is not there is missing."""

    sweeps: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    analyses: Mapping[tuple[str, str | None], pd.DataFrame] = field(default_factory=dict)

    def runs(self, config: str) -> pd.DataFrame:
        if config not in self.sweeps:
            raise MissingEvidence(f"there are no runs of {config}")
        return self.sweeps[config].copy()

    def analysis(self, kind: str, config: str | None = None) -> pd.DataFrame:
        if (kind, config) not in self.analyses:
            raise MissingEvidence(f"there is no analysis {kind}")
        return self.analyses[kind, config].copy()


def trial_of(claim: str, config: str) -> Trial:
    """The one trial of a claim by the runs of a configuration."""
    (trial,) = (one for one in all_claims()[claim].trials if Sweep(config) in one.needs)
    return trial


def judge(claim: str, config: str, frame: pd.DataFrame) -> Line:
    """What the ledger says of a claim from the runs of a configuration, tested alone."""
    alone = replace(all_claims()[claim], trials=(trial_of(claim, config),))
    (line,) = make_ledger([alone], MadeUp({config: frame}))
    return line


def verdict(claim: str, config: str, frame: pd.DataFrame) -> Verdict:
    """The verdict alone."""
    return judge(claim, config, frame).verdict


def diverged(frame: pd.DataFrame, where: "pd.Series[bool]") -> pd.DataFrame:
    """The same with some runs diverged, which therefore have no results."""
    frame = frame.assign(status=frame["status"].mask(where, "diverged"))
    results = ["train_loss", "test_loss", "train_error", "test_error"]
    return frame.assign(**{column: frame[column].mask(where) for column in results})


@dataclass(frozen=True)
class Case:
    """A trial with runs of which its claim is true, and others of which it is false."""

    claim: str
    config: str
    lists: Lists
    true: Rule
    false: Rule

    def __str__(self) -> str:
        return f"{self.claim}-{self.config}"

    def check(self) -> None:
        """Both ways; then too few seeds, and runs of which some that are needed are missing."""
        true, false = runs(self.true, **self.lists), runs(self.false, **self.lists)

        def found(frame: pd.DataFrame) -> Verdict:
            return verdict(self.claim, self.config, frame)

        assert found(true) == Verdict.SUPPORTED
        assert found(false) == Verdict.NOT_SUPPORTED
        for frame in (true, false):
            assert found(frame[frame["seed"] < 4]) == Verdict.UNDECIDED
            assert found(frame[frame["seed"] == 0]) in (Verdict.UNDECIDED, Verdict.NOT_TESTED)
            assert found(frame[frame["depth"] == frame["depth"].min()]) == Verdict.NOT_TESTED
            assert found(frame[frame["role"] == "another"]) == Verdict.NOT_TESTED
            assert found(frame[(frame["seed"] == 0) | (frame["depth"] < frame["depth"].max())]) != Verdict.SUPPORTED
