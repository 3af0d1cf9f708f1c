"""The page: what it holds, and its HTML, one file that needs nothing else."""

import base64
import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import count
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from resnet_cli.figures.kinds import ANALYSES, OF_PAGES, OF_RUNS
from resnet_cli.report.answer import Answer, NamedSweep, answer
from resnet_cli.report.claims import Ledger, ledger_of
from resnet_cli.report.data import data_link, file_name
from resnet_cli.report.figures import NotDrawn, Numbers, PageFigure, figures_of_analyses, figures_of_sweep
from resnet_cli.report.runs import Gaps, Machine, RunTable, gaps, machines, run_table, sweep_text
from resnet_cli.report.svg import FONTS, dark_colours
from resnet_cli.settings.errors import UserError, printable
from resnet_cli.store.files import write_bytes
from resnet_cli.store.layout import ANALYSIS_FOLDER, RUNS_FOLDER, SWEEP_FILE
from resnet_cli.store.reader import MOST_OF_SWEEP_FILE, find_results, load_results
from resnet_cli.store.regular import read_regular, starts_with

START = b"<!doctype html>\n<!-- A report of resnet-exp. -->\n"
"""How every report begins, so that no other file is replaced."""
TEMPLATES = "template"
MOST_PRINTED = 60
"""More runs than this are not printed on paper."""


@dataclass(frozen=True)
class SweepPart:
    """A sweep on the page: its figures, its settings with the command that repeats it, and what it lacks."""

    name: str
    anchor: str
    summary: str
    figures: list[PageFigure]
    settings: str
    settings_link: str
    settings_name: str
    command: str
    machines: list[Machine]
    gaps: Gaps


@dataclass(frozen=True)
class Report:
    """All that a page says."""

    title: str
    shows_figures: bool
    answer: Answer
    ledger: Ledger | None
    sweeps: list[SweepPart]
    others: list[PageFigure]
    table: RunTable
    not_drawn: list[NotDrawn]

    @property
    def problems(self) -> list[str]:
        """A sentence for each run that cannot be read and each figure that cannot be drawn."""
        broken = [problem for part in self.sweeps for problem in part.gaps.broken]
        return broken + [f"{figure.name}: {figure.reason}" for figure in self.not_drawn]


def make_report(
    folders: Sequence[Path],
    *,
    title: str | None = None,
    kinds: Collection[str] = tuple(OF_PAGES),
    claims: bool = True,
    on_progress: Callable[[str], None] = lambda name: None,
) -> Report:
    """Everything that a page says about the results below some folders.

    Args:
        folders: results folders, or folders that hold several, packed or not.
        title: instead of the folders' names.
        kinds: which figures, of `figures.kinds.OF_PAGES`; without any the answer has no figure either.
        claims: whether the documents' claims are judged from these results.
        on_progress: is called with a name before each part that takes a while.

    Raises:
        UserError: a folder does not exist, or holds no results, or none of them has a run.
    """
    sweeps = name_sweeps(folders)
    if not any(sweep.results.runs for sweep in sweeps):
        raise UserError(f"{_listed(folders)} holds no finished run, so there is nothing to report.")
    parts: list[SweepPart] = []
    not_drawn: list[NotDrawn] = []
    on_progress("answer")
    numbers = count(1)
    told = answer(sweeps, numbers)
    shown = told.figure.name if told.figure else ""
    for sweep in sweeps:
        on_progress(sweep.name)
        of_runs = [kind for kind in kinds if kind in OF_RUNS]
        found = [*figures_of_sweep(numbers, sweep.results, sweep.name, of_runs, shown=shown)]
        if ANALYSES in kinds:
            found += figures_of_analyses(numbers, sweep.results.folder / ANALYSIS_FOLDER, sweep.name)
        not_drawn += [figure for figure in found if isinstance(figure, NotDrawn)]
        parts.append(_sweep_part(sweep, [figure for figure in found if isinstance(figure, PageFigure)]))
    others = list(_other_figures(numbers, folders, sweeps)) if ANALYSES in kinds else []
    not_drawn += [figure for figure in others if isinstance(figure, NotDrawn)]
    if claims:
        on_progress("claims")
    return Report(
        title=title or f"Results of {_listed(folders)}",
        shows_figures=bool(kinds),
        answer=told,
        ledger=ledger_of(folders, {sweep.results.folder: sweep.results for sweep in sweeps}) if claims else None,
        sweeps=parts,
        others=[figure for figure in others if isinstance(figure, PageFigure)],
        table=run_table([(sweep.name, sweep.results) for sweep in sweeps]),
        not_drawn=not_drawn,
    )


def name_sweeps(folders: Sequence[Path]) -> list[NamedSweep]:
    """The sweeps below some folders, by their places there: the page tells nobody where on a machine they lie."""
    found: dict[str, NamedSweep] = {}
    for root in folders:
        for place in find_results(root):
            name = _name_below(place, root, several=len(folders) > 1)
            while name in found:
                name += "′"
            found[name] = NamedSweep(name, load_results(place))
    return list(found.values())


def _name_below(place: Path, root: Path, *, several: bool) -> str:
    below = place.relative_to(root).parts
    own = (root.resolve().name,) if several or not below else ()
    return printable("/".join([*own, *below]))


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(printable(folder.resolve().name or folder) for folder in folders)


def _sweep_part(sweep: NamedSweep, figures: list[PageFigure]) -> SweepPart:
    results, name = sweep.results, sweep.name
    try:
        text = read_regular(results.folder / SWEEP_FILE, MOST_OF_SWEEP_FILE).decode()
    except OSError:
        text = ""
    saved, again = file_name(name, ending=".toml"), file_name(name, "again", ending="")
    return SweepPart(
        name=name,
        anchor=file_name("sweep", name, ending=""),
        summary=sweep_text(results),
        figures=figures,
        settings=text,
        settings_link=data_link(text, "application/toml"),
        settings_name=saved,
        command=f"resnet-exp sweep --config {saved} --out results/{again}" if text else "",
        machines=machines(name, results.runs),
        gaps=gaps(results),
    )


def _other_figures(
    numbers: Numbers, folders: Sequence[Path], sweeps: Sequence[NamedSweep]
) -> Iterator[PageFigure | NotDrawn]:
    """The figures of analyses that need no sweep, or lie elsewhere."""
    known = {sweep.results.folder / ANALYSIS_FOLDER for sweep in sweeps}
    for root in folders:
        for name, inner, _ in os.walk(root):
            inner[:] = sorted(folder for folder in inner if folder != RUNS_FOLDER)
            if (place := Path(name)) not in known:
                yield from figures_of_analyses(numbers, place, _name_below(place, root, several=len(folders) > 1))


@cache
def _template_file(name: str) -> str:
    return (files(__package__) / TEMPLATES / name).read_text("utf-8")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_template_file),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(report: Report) -> str:
    """The HTML of a page; the same report gives the same text."""
    figures = [figure for part in report.sweeps for figure in part.figures] + report.others
    if report.answer.figure and report.shows_figures:
        figures.append(report.answer.figure)
    colours = dark_colours(frozenset[str]().union(*(figure.colours for figure in figures)))
    style, script = (
        _environment().get_template("style.css").render(colours=colours, fonts=FONTS),
        _template_file("script.js"),
    )
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash_of(style)}'; script-src '{_hash_of(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template("page.html")
        .render(
            report=report,
            policy=policy,
            style=Markup(style),  # ours, as are the script and the pictures
            script=Markup(script),
            drawn={figure.name: Markup(figure.svg) for figure in figures},
            gaps=_gap_sentences(report),
            most_printed=MOST_PRINTED,
        )
    )


def _gap_sentences(report: Report) -> list[str]:
    """What is missing, ended badly or could not be drawn, each with its sweep."""
    told = [
        f"{part.name}: {sentence}."
        for part in report.sweeps
        for sentence in (*part.gaps.missing, *part.gaps.bad, *(text.rstrip(".") for text in part.gaps.broken))
    ]
    return told + [f"{figure.name} is not drawn: {figure.reason}" for figure in report.not_drawn]


def _hash_of(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def write_report(report: Report, out: Path) -> int:
    """Write the page to a file, whole or not at all; returns its size in bytes.

    Raises:
        UserError: `out` is a folder, or a file that is no report.
        StorageError: it cannot be written.
    """
    check_out(out)
    content = render(report).encode()
    write_bytes(out, content)
    return len(content)


def check_out(out: Path) -> None:
    """Make sure that a report may be written to `out`; UserError if it is a folder, or a file that is no report."""
    if out.is_dir():
        raise UserError(f"out (={out}) is a folder; name a file, such as {out / 'report.html'}.")
    if out.exists() and not starts_with(out, START):
        raise UserError(f"out (={out}) is a file, but no report of resnet-exp; choose another name, or remove it.")
