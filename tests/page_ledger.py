"""What pages (see `tests.pages`) say of claims and of the rule for turning points: verdicts, tables, error rates."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pandas as pd

from resnet_cli.claims import all_claims
from resnet_cli.claims.claim import COST, ERROR, FACTOR, LOSS, Verdict
from resnet_cli.claims.ledger import Line, by_verdict, make_ledger
from resnet_cli.claims.statistics import FEWEST_PAIRS
from resnet_cli.claims.turning_point import Course, turning_points
from resnet_cli.claims.words import SYMBOLS, comparison_text, fact_text, numbers_text, p_relation, p_text
from resnet_cli.evidence.making import Options, command_text, commands_of
from resnet_cli.evidence.tables import StoredTables, sources_of
from resnet_cli.models import get_model
from resnet_cli.tasks import chance_losses
from tests.error_rates import BEFORE, DRAWS, courses
from tests.page_numbers import REFERENCE, results_of, runs


@cache
def _ledger() -> list[Line]:
    return make_ledger(all_claims().values(), StoredTables(REFERENCE))


def verdicts() -> str:
    """How many lines of the ledger have each verdict, such as `31 supported, 7 not supported, …`."""
    return ", ".join(f"{count} {verdict}" for verdict, count in by_verdict(_ledger()).items())


def verdict(claim: str, scale: str | None = None) -> Line:
    """The line of a claim, at a scale if there are several."""
    (line,) = (one for one in _ledger() if one.claim.id == claim and scale in (None, one.trial.where))
    return line


def says(claim: str, scale: str | None = None) -> str:
    """The verdict on a claim, such as `not supported`."""
    return str(verdict(claim, scale).verdict)


def ledger_table() -> str:
    """A line for each claim and scale, with a link to its evidence below."""
    lines = ["| | claim | scale | verdict | p |", "|---|---|---|---|---|"]
    tested = {line.claim.id for line in _ledger() if line.verdict != Verdict.NOT_TESTED}
    last = ""
    for line in _ledger():
        first = line.claim.id != last
        last = line.claim.id
        name = f"[{last}](#{last.lower()})" if last in tested else last
        head = f"{name} | {line.claim.text}" if first else " | "
        lines.append(f"| {head} | {line.trial.where} | {_verdict_cell(line)} | {p_text(line.adjusted)} |")
    return "\n".join(lines)


def margins_table() -> str:
    """The least effects that count, as the claims use them."""
    rows = {"loss": LOSS, "error": ERROR, "gradients and relative errors": FACTOR, "steps and time": COST}
    lines = [f"| {what} | {effect.text} |" for what, effect in rows.items()]
    return "\n".join(["| difference in | counts from |", "|---|---|", *lines])


def _verdict_cell(line: Line) -> str:
    word = f"{SYMBOLS[line.verdict]} {line.verdict}"
    return f"**{word}**" if line.verdict in (Verdict.SUPPORTED, Verdict.NOT_SUPPORTED) else word


def ledger_evidence() -> str:
    """Each claim with what had to come out, what came out, and the command that makes it again."""
    parts, tables, options, last = [], StoredTables(REFERENCE), Options(Path("results")), ""
    for line in (line for line in _ledger() if line.verdict != Verdict.NOT_TESTED):
        if line.claim.id != last:
            last = line.claim.id
            parts.append(f"### {last}\n\n{line.claim.text} *{line.claim.source}.*")
        told = f"**{line.trial.where}: {line.verdict}**, {line.reason}"
        if line.p_value is not None:
            corrected = "" if line.adjusted is None else f", corrected {p_relation(line.adjusted)}"
            told += f" (p {p_relation(line.p_value)}{corrected})"
        parts.append(f"{told}.\n\nWhat must come out: {line.trial.effect}.")
        points = [
            f"- {one.comparison.what}: {comparison_text(one)}{_shown(one.comparison.numbers)}" for one in line.tested
        ]
        points += [f"- {fact_text(fact)}{_shown(fact.numbers)}" for fact in line.facts]
        parts += ["\n".join(points)] if points else []
        parts += [line.remark] if line.remark else []
        found = "; ".join(str(source) for source in sources_of(line, tables))
        commands = "\n".join(command_text(words) for words in commands_of(line.trial.needs, options))
        parts += [f"Evidence: {found}.\n\n```text\n{commands}\n```"] if commands else []
    return "\n\n".join(parts)


def untested_table() -> str:
    """The lines of the ledger without evidence, with what would have to come out and the commands that make it."""
    rows = ["| | scale | what must come out | how to make it |", "|---|---|---|---|"]
    for line in _ledger():
        if line.verdict == Verdict.NOT_TESTED:
            commands = commands_of(line.trial.needs, Options(Path("results")))
            shown = "<br>".join(f"`{command_text(words)}`" for words in commands)
            rows.append(f"| {line.claim.id} | {line.trial.where} | {line.trial.effect} | {shown} |")
    return "\n".join(rows)


def _shown(numbers: Mapping[str, float]) -> str:
    return f" ({numbers_text(numbers)})" if numbers else ""


RATED = {"sine": range(2, 41), "digits": range(8, 51)}
"""The sweeps from which draws are made, with their depths: with 56 layers too, the rule is unclear about the digits."""


def rated(sweep: str) -> pd.DataFrame:
    """The runs from which draws are made."""
    chances = chance_losses(stored.run for stored in results_of(sweep).runs)
    return runs(sweep, depth=RATED[sweep]).assign(chance_loss=lambda frame: frame["run_id"].map(chances))


@cache
def over_all_seeds(sweep: str) -> dict[str, str]:
    """What is said of the plain and the residual net of a sweep in `RATED` from all its seeds."""
    return {get_model(point.model).role: point.course.value for point in turning_points([rated(sweep)])[0]}


@cache
def turning_point_rates() -> str:
    """How often draws from the reference sweeps say that a net degrades, that it does not, or nothing."""
    lines = [
        "| sweep | seeds | residual net: degrades / does not / open | plain net | residual and plain net degrade, "
        "by the rule before |",
        "|---|---|---|---|---|",
    ]
    for sweep, depths in RATED.items():
        frame = rated(sweep)
        if (most := frame["seed"].nunique()) < FEWEST_PAIRS:
            continue
        for seeds in sorted({1, 3, FEWEST_PAIRS, most}):
            said = {get_model(model).role: found for model, found in courses(frame, seeds).items()}
            cells = [f"{sweep}, {depths[0]} to {depths[-1]} layers", str(seeds)]
            for role in ("residual", "plain"):
                shares = [said[role][course] * 100 / DRAWS for course in (Course.WORSE, Course.STEADY)]
                cells.append(" / ".join(f"{share:.0f} %" for share in (*shares, 100 - sum(shares))))
            before = BEFORE.get(seeds) if sweep == "sine" else None
            cells.append("{} %, {} %".format(*before) if before else "")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
