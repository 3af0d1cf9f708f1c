"""`resnet-exp claims`: the documents' claims with a verdict each, and what makes the evidence that is missing."""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resnet_cli.cli.console import complain, make_console, say
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import DataDir
from resnet_cli.settings.errors import UserError

if TYPE_CHECKING:
    from resnet_cli.claims.claim import Claim, Need
    from resnet_cli.claims.ledger import Line
    from resnet_cli.evidence.making import Options
    from resnet_cli.evidence.tables import StoredTables

ALL = "all"
STYLES = {"supported": "green", "not supported": "red", "undecided": "yellow", "not tested": "dim"}

EPILOG = examples(
    "resnet-exp claims",
    "resnet-exp claims K1 K2",
    "resnet-exp claims results/",
    "resnet-exp claims --run K1,K2",
    "resnet-exp claims --run all --dry-run",
    "resnet-exp claims --json > claims.json",
)


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FOLDER] [ID]...",
            help="Claims such as K1, for their evidence; and a folder of results. "
            "(default: all claims; results/ where it is as complete as the results that come with the program)",
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="LIST",
            help="Make what evidence is missing for these claims, or for `all`: cheapest first, resumes.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --run: only print what it would cost.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON array with one object per line of the ledger.")
    ] = False,
    data_dir: DataDir = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, max=1024, help="With --run: number of processes.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="With --run: auto, cpu, cuda, cuda:N or mps. (default: auto)")
    ] = None,
) -> None:
    """Say which of the documents' claims hold, at which scale, and on what evidence.

    Exit code 0 whatever the verdicts; 1 if --run could not make some evidence.
    """
    from resnet_cli.claims import all_claims
    from resnet_cli.claims.ledger import make_ledger
    from resnet_cli.evidence.making import Options
    from resnet_cli.evidence.tables import OWN, tables_at_hand

    claims = all_claims()
    folder, wanted = _split(names or (), claims)
    if run is None and (dry_run or jobs or device):
        raise UserError("--dry-run, --jobs and --device have an effect with --run only; add --run ID.")
    options = Options(folder or OWN, data_dir, jobs, device)
    made = True
    if run is not None:
        wanted = _to_run(run, wanted, claims)
        needs = [need for name in wanted for trial in claims[name].trials for need in trial.needs]
        made = _make(needs, options, dry_run=dry_run)
        if dry_run:
            raise typer.Exit(0 if made else 1)
    tables = tables_at_hand(folder)
    for problem in tables.problems:
        complain(problem)
    lines = make_ledger(claims.values(), tables)
    shown = [line for line in lines if not wanted or line.claim.id in wanted]
    if as_json:
        typer.echo(json.dumps([_as_object(line, tables, options) for line in shown], indent=2, ensure_ascii=False))
    elif wanted and len(wanted) < len(claims):
        _print_evidence(shown, tables, options)
    else:
        _print_ledger(lines)
    if not made:
        raise typer.Exit(1)


def _split(names: Iterable[str], claims: "Mapping[str, Claim]") -> tuple[Path | None, list[str]]:
    """The folder and the claims among what was named; a word that could be either is a claim."""
    from resnet_cli.claims.claim import find_claim

    folders, wanted = [], []
    for name in names:
        if name.upper() in claims:
            wanted.append(name.upper())
        elif Path(name).exists() or os.sep in name:
            folders.append(Path(name))
        else:
            wanted.append(find_claim(name, claims).id)  # says which there are
    if len(folders) > 1:
        raise UserError(f"folder (={folders[1]}) is one too many; name one folder, which may hold many results.")
    return (folders[0] if folders else None), list(dict.fromkeys(wanted))


def _to_run(text: str, others: Iterable[str], claims: "Mapping[str, Claim]") -> list[str]:
    """The ids of the claims whose evidence is wanted."""
    from resnet_cli.claims.claim import find_claim

    listed = [name.strip() for name in text.split(",") if name.strip()]
    if ALL in listed:
        return list(claims)
    if not listed:
        raise UserError(f"run (={text}) names no claim; write --run K1,K2 or --run {ALL}.")
    return list(dict.fromkeys([*(find_claim(name, claims).id for name in listed), *others]))


def _make(needs: "Iterable[Need]", options: "Options", *, dry_run: bool) -> bool:
    """Print what is left to make and its cost, and make it; returns whether all could be made."""
    from resnet_cli.evidence.making import command_text, make, remaining
    from resnet_cli.planning.estimate import duration

    console = make_console()
    with console.status("Measuring …") as status:
        steps = remaining(needs, options, on_timing=lambda config: status.update(f"Measuring {config} …"))
    if not steps:
        say(console, "All evidence is there.")
        return True
    ready = [step for step in steps if not step.obstacle]
    for step in ready:
        cost = f"about {duration(step.seconds)}" if step.seconds else "not estimated"
        for words in step.commands:
            console.print(f"{command_text(words)}  ({cost})", soft_wrap=True)
            cost = "the analysis is not estimated"
    if ready:
        say(console, f"Estimated cost: {duration(sum(step.seconds for step in ready))}, without the analyses.")
    for step in steps:
        if step.obstacle:
            complain(f"{command_text(step.commands[0])}: {step.obstacle}")
    made = [make(step) for step in ready] if not dry_run else []
    return all(made) and len(ready) == len(steps)


def _print_ledger(lines: "Sequence[Line]") -> None:
    """A row for each claim and scale, and how many have each verdict."""
    from rich.text import Text

    from resnet_cli.claims.ledger import by_verdict
    from resnet_cli.claims.words import METHOD, SYMBOLS, p_text
    from resnet_cli.cli.tables import listing

    console = make_console()
    table = listing(["claim", "", "at scale", "verdict", "p"], right=["p"])
    last = ""
    for line in lines:
        first = line.claim.id != last
        verdict = Text(f"{SYMBOLS[line.verdict]} {line.verdict}", STYLES[line.verdict])
        head = [line.claim.id, line.claim.text] if first else ["", ""]
        table.add_row(*head, line.trial.where, verdict, p_text(line.adjusted))
        last = line.claim.id
    console.print(table)
    counts = ", ".join(f"{number} {verdict}" for verdict, number in by_verdict(lines).items())
    say(console, f"\n{len({line.claim.id for line in lines})} claims, tried in {len(lines)} ways: {counts}.")
    say(console, METHOD)
    say(
        console,
        "Evidence of one claim: resnet-exp claims K1. What is not tested: resnet-exp claims --run ID --dry-run.",
    )


def _print_evidence(lines: "Sequence[Line]", tables: "StoredTables", options: "Options") -> None:
    """Each line with the numbers that were compared, where they come from, and how to make them again."""
    from rich.padding import Padding
    from rich.text import Text

    from resnet_cli.claims.words import METHOD, SYMBOLS, comparison_text, fact_text, numbers_text, p_relation
    from resnet_cli.evidence.making import command_text, commands_of
    from resnet_cli.evidence.tables import remark_of, sources_of

    console = make_console()
    last = ""
    for line in lines:
        if line.claim.id != last:
            console.print(Text(f"{line.claim.id}: {line.claim.text}", "bold"))
            say(console, f"Source: {line.claim.source}.")
        last = line.claim.id
        told = f"{SYMBOLS[line.verdict]} {line.trial.where}: {line.verdict}, {line.reason}"
        if line.p_value is not None:
            corrected = "" if line.adjusted is None else f", corrected for all lines {p_relation(line.adjusted)}"
            told += f" (p {p_relation(line.p_value)}{corrected})"
        console.print()
        console.print(Text(told, STYLES[line.verdict]), soft_wrap=not console.is_terminal)
        said = [f"What must come out: {line.trial.effect}."]
        for tested in line.tested:
            said.append(f"{tested.comparison.what}: {comparison_text(tested)}.")
            said += [f"  {numbers_text(tested.comparison.numbers)}"] if tested.comparison.numbers else []
        for fact in line.facts:
            said.append(f"{fact_text(fact)}.")
            said += [f"  {numbers_text(fact.numbers)}"] if fact.numbers else []
        for source in sources_of(line, tables):
            said.append(f"Evidence: {source}.")
        said += [f"Make it: {command_text(words)}" for words in commands_of(line.trial.needs, options)]
        said += filter(None, [remark_of(line, tables)])
        for sentence in said:
            if console.is_terminal:
                console.print(Padding(sentence, (0, 0, 0, 2)))
            else:
                console.print(f"  {sentence}", soft_wrap=True)
    console.print()
    say(console, METHOD)


def _as_object(line: "Line", tables: "StoredTables", options: "Options") -> dict[str, Any]:
    """A line of the ledger as JSON has it."""
    from resnet_cli.evidence.making import command_text, commands_of
    from resnet_cli.evidence.tables import remark_of, sources_of

    return {
        "id": line.claim.id,
        "claim": line.claim.text,
        "source": line.claim.source,
        "scale": line.trial.scale,
        "part": line.trial.part,
        "verdict": line.verdict,
        "reason": line.reason,
        "p_value": line.p_value,
        "adjusted_p_value": line.adjusted,
        "effect": line.trial.effect,
        "comparisons": [
            {
                "what": one.comparison.what,
                "unit": one.comparison.effect.unit,
                "margin": one.comparison.effect.margin,
                "side": one.comparison.side,
                "pairs": one.pairs,
                "mean": _finite(one.mean),
                "interval": [_finite(one.low), _finite(one.high)],
                "p_for": one.p_for,
                "p_against": one.p_against,
                "differences": {str(seed): _finite(value) for seed, value in one.comparison.differences.items()},
                "numbers": {name: _finite(value) for name, value in one.comparison.numbers.items()},
            }
            for one in line.tested
        ],
        "facts": [{"what": one.what, "holds": one.holds, "numbers": dict(one.numbers)} for one in line.facts],
        "evidence": [
            {"name": str(one.need), "folder": str(one.folder or ""), "found": one.found, "planned": one.planned}
            for one in sources_of(line, tables)
        ],
        "commands": [command_text(words) for words in commands_of(line.trial.needs, options)],
        "remark": remark_of(line, tables),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no infinity
