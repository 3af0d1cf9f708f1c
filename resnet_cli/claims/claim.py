"""What a claim is: a sentence of the documents, and trials of it, each a pure function from tables to comparisons.

A trial is written before its evidence is made: it says which effect would count. The margins for losses, errors,
ratios, steps and times are the same for all claims (`LOSS`, `ERROR`, `FACTOR`, `COST`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

import pandas as pd

from resnet_cli.settings.errors import unknown_name


class Scale(StrEnum):
    """Where a claim is tried; the same claim may stand differently at different scales."""

    SINE = "sine"
    DIGITS = "digits"
    DIGITS_LONG = "digits, trained for longer"
    VECTORS = "small stacks of layers"
    CIFAR10_REDUCED = "reduced CIFAR-10"
    CIFAR10 = "CIFAR-10"
    COMPUTED = "computed, not trained"


@dataclass(frozen=True)
class Sweep:
    """Evidence: the runs of a bundled configuration."""

    config: str
    save_models: bool = False

    def __str__(self) -> str:
        return self.config


@dataclass(frozen=True)
class Analysis:
    """Evidence: the table that `resnet-exp analyze KIND` makes, of the runs of a configuration or of none.

    `options` are those of the command that matter for the claim, such as `("--depths", "32")`.
    """

    kind: str
    sweep: Sweep | None = None
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} of {self.sweep}" if self.sweep else self.kind


Need = Sweep | Analysis


class MissingEvidence(Exception):
    """Tables lack what a trial needs; the text says what."""


class Tables(Protocol):
    """What trials are computed from."""

    def runs(self, config: str) -> pd.DataFrame:
        """One row per run of a configuration, with the results of its last evaluation.

        Columns are those of summary.csv, every setting, `seconds`, the model's `role`, and the chance level
        of the task, which a net reaches that always gives the same answer: `chance_loss` and `chance_error`. Failed
        runs are not there.

        Raises:
            MissingEvidence: there are none.
        """

    def analysis(self, kind: str, config: str | None = None) -> pd.DataFrame:
        """The table of an analysis, as it is in its CSV file.

        Raises:
            MissingEvidence: there is none.
        """


@dataclass(frozen=True)
class Effect:
    """The least effect that counts, and its unit; differences are given in this unit."""

    margin: float
    unit: str
    text: str


LOSS = Effect(0.1, "of the chance level", "10 % of the loss at chance level")
"""A loss is measured against that of the best constant answer, and a loss above it, or a diverged run, counts as it."""

ERROR = Effect(1.0, "percentage points", "1 percentage point")
FACTOR = Effect(1.0, "powers of ten", "a factor of ten")
COST = Effect(0.1, "of the plain net's", "10 %")
"""For steps and times: a share of what they are compared with."""


@dataclass(frozen=True)
class Comparison:
    """Something that must hold on average over seeds: that differences lie above the effect's margin, or below it.

    `differences` has one number a seed, in the effect's unit; `numbers` are what was compared, such as
    `{"plain at 40 layers": 0.51}`.
    """

    what: str
    effect: Effect
    differences: Mapping[int, float]
    numbers: Mapping[str, float] = field(default_factory=dict)
    side: Literal["above", "below"] = "above"


@dataclass(frozen=True)
class Fact:
    """Something that holds or does not, without chance: a count or an identity."""

    what: str
    holds: bool
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """A claim tried at one scale.

    Attributes:
        scale: where.
        needs: the evidence.
        effect: in words, what must come out if the claim is true; fixed before the evidence was made.
        compare: the comparisons and facts, all of which must hold; raises MissingEvidence.
        remark: where a verdict goes against the documents: why we think so, and what else was tried.
        part: tells trials at one scale apart, such as `at 110 layers`.
    """

    scale: Scale
    needs: tuple[Need, ...]
    effect: str
    compare: Callable[[Tables], Sequence[Comparison | Fact]]
    remark: str = ""
    part: str = ""

    @property
    def where(self) -> str:
        """The scale, and which of a claim's trials at that scale it is."""
        return f"{self.scale}, {self.part}" if self.part else str(self.scale)


@dataclass(frozen=True)
class Claim:
    """A claim of the documents in our words, with its source."""

    id: str
    text: str
    source: str
    trials: tuple[Trial, ...]


class Verdict(StrEnum):
    """What the evidence says about a claim at one scale."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    UNDECIDED = "undecided"
    NOT_TESTED = "not tested"


def find_claim(name: str, claims: Mapping[str, Claim]) -> Claim:
    """The claim with this id, in upper or lower case.

    Raises:
        UserError: there is none.
    """
    if name.upper() not in claims:
        raise unknown_name("claim", name, claims)
    return claims[name.upper()]
