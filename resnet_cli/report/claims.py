"""The ledger of claims as a page shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resnet_cli.claims import all_claims
from resnet_cli.claims.claim import Verdict
from resnet_cli.claims.ledger import Line, by_verdict, make_ledger
from resnet_cli.claims.words import METHOD, SYMBOLS, comparison_text, fact_text, numbers_text, p_text
from resnet_cli.evidence.making import Options, command_text, commands_of
from resnet_cli.evidence.tables import OWN, StoredTables, remark_of
from resnet_cli.store.reader import Results


@dataclass(frozen=True)
class LedgerRow:
    """A claim at one scale: its verdict, with a symbol and a word for style sheets, and the evidence in sentences."""

    id: str
    text: str
    source: str
    scale: str
    symbol: str
    verdict: str
    p: str
    evidence: list[str]
    commands: list[str]


@dataclass(frozen=True)
class Ledger:
    """The claims that these results can judge, how many lines they cannot, how they are judged, and a summary."""

    rows: list[LedgerRow]
    untested: list[str]
    method: str
    summary: str


def ledger_of(folders: Sequence[Path], loaded: Mapping[Path, Results] | None = None) -> Ledger:
    """The verdict of every claim from the results below some folders, of which some may have been `loaded`."""
    tables = StoredTables(*folders, loaded=loaded)
    lines = make_ledger(all_claims().values(), tables)
    tested = [line for line in lines if line.verdict != Verdict.NOT_TESTED]
    untested = dict.fromkeys(line.claim.id for line in lines if line.verdict == Verdict.NOT_TESTED)
    counts = by_verdict(lines)
    return Ledger(
        rows=[_row(line, remark_of(line, tables)) for line in tested],
        untested=list(untested),
        method=METHOD,
        summary=", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count),
    )


def _row(line: Line, remark: str) -> LedgerRow:
    evidence = [f"What must come out: {line.trial.effect}."]
    for one in line.tested:
        numbers = f" ({numbers_text(one.comparison.numbers)})" if one.comparison.numbers else ""
        evidence.append(f"{one.comparison.what}: {comparison_text(one)}{numbers}.")
    for fact in line.facts:
        numbers = f" ({numbers_text(fact.numbers)})" if fact.numbers else ""
        evidence.append(f"{fact_text(fact)}{numbers}.")
    if remark:
        evidence.append(remark)
    return LedgerRow(
        id=line.claim.id,
        text=line.claim.text,
        source=line.claim.source,
        scale=line.trial.where,
        symbol=SYMBOLS[line.verdict],
        verdict=line.verdict,
        p=p_text(line.adjusted),
        evidence=[f"Verdict: {line.verdict}, {line.reason}.", *evidence],
        commands=[command_text(words) for words in commands_of(line.trial.needs, Options(OWN))],
    )
