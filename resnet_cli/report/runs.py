"""What a page says about runs: a row for each, where they ran, and which are missing or ended badly."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd
from humanize import natural_list

from resnet_cli.figures.panels import evenly, settings_text, value_text
from resnet_cli.figures.run_table import free_settings, in_given_order, ordered_values
from resnet_cli.figures.style import ordered_models
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.errors import UserError, shorten
from resnet_cli.settings.metrics import METRICS, OUTCOMES
from resnet_cli.settings.ranges import compact
from resnet_cli.settings.setting import RUN_COLUMNS
from resnet_cli.store.reader import Results, check_sweep_file
from resnet_cli.store.record import RunRecord

LONGEST_MESSAGE = 300
NOT_OF_THE_PLAN = ("format", "out", "plugins", "device", "threads")
"""Keys of a sweep file that do not change which runs there are."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the table of runs: its text, and the number in full where the text is shorter."""

    text: str
    number: str = ""


@dataclass(frozen=True)
class Row:
    """A run: how it ended, and a cell for each column."""

    status: str
    cells: list[Cell]


@dataclass(frozen=True)
class RunTable:
    """The runs of all sweeps: `columns` by name, which of them hold `numbers`, which are worth a `choice`, and rows.

    Of very many runs only some have a row; `runs` says how many there are.
    """

    columns: list[str]
    numbers: list[bool]
    choices: dict[str, list[str]]
    rows: list[Row]
    runs: int


MOST_CHOICES = 60
MOST_ROWS = 5000
"""With more, the page takes a browser seconds to sort, and megabytes."""
_CHOSEN = ("sweep", "task", "model", "depth", "seed", "settings", "status")
_LAST = ("parameters",)


def run_table(sweeps: Sequence[tuple[str, Results]]) -> RunTable:
    """A row for each run, sweep by sweep, by model, settings, depth and seed; columns that say nothing are left out."""
    rows = [row for name, results in sweeps for row in _rows(name, results)]
    outcomes = [name for name in OUTCOMES if any(name in row for row in rows)]
    columns = [*_CHOSEN, *outcomes, *_LAST, "run_id"]
    columns = [
        name
        for name in columns
        if len({row.get(name, Cell("")).text for row in rows}) > 1 or name in ("model", "depth")
    ]
    chosen = {name: list(dict.fromkeys(row[name].text for row in rows)) for name in _CHOSEN if name in columns}
    return RunTable(
        columns=[_header(name) for name in columns],
        numbers=[name in ("depth", "seed", *outcomes, *_LAST) for name in columns],
        choices={_header(name): _ordered(values) for name, values in chosen.items() if 1 < len(values) <= MOST_CHOICES},
        rows=[Row(row["status"].text, [row.get(name, Cell("–")) for name in columns]) for row in _some(rows)],
        runs=len(rows),
    )


def _some(rows: list[dict[str, Cell]]) -> list[dict[str, Cell]]:
    """At most `MOST_ROWS` of the rows, in their order: those of runs that ended badly, then others, evenly."""
    bad = [place for place, row in enumerate(rows) if row["status"].text != "done"]
    good = [place for place, row in enumerate(rows) if row["status"].text == "done"]
    kept = evenly(bad, MOST_ROWS)
    return [rows[place] for place in sorted(kept + evenly(good, MOST_ROWS - len(kept)))]


def _rows(name: str, results: Results) -> Iterable[dict[str, Cell]]:
    summary = in_given_order(results.summary(), results.given_values())
    settings = [str(column) for column in summary if column not in RUN_COLUMNS]
    ordered = summary.sort_values(["model", *settings, "depth", "seed"], kind="stable")
    shared = cache(Cell)  # thousands of runs say the same in most of them
    for run in ordered.astype(object).to_dict("records"):
        yield {
            "sweep": shared(name),
            "settings": shared(settings_text({setting: run[setting] for setting in settings}) or "–"),
            **{key: shared(str(run[key])) for key in ("task", "model", "depth", "seed", "status")},
            "run_id": Cell(run["run_id"]),
            **{key: _measured(key, run[key]) for key in OUTCOMES if not pd.isna(run[key])},
            **({} if pd.isna(run["parameters"]) else {"parameters": shared(f"{run['parameters']:,.0f}")}),
        }


def _measured(name: str, value: float) -> Cell:
    short, full = f"{value:.3g}", f"{value:.6g}"
    return Cell(short.replace("inf", "∞"), full if full != short else "")


def _header(name: str) -> str:
    if name not in METRICS:
        return name.replace("_", " ")
    metric = METRICS[name]
    return metric.title + metric.sign


def _ordered(values: list[str]) -> list[str]:
    return sorted(values, key=int) if all(value.isdigit() for value in values) else values


@dataclass(frozen=True)
class Machine:
    """Where some runs of a sweep ran, as pairs of words, and when (UTC)."""

    sweep: str
    runs: int
    facts: list[tuple[str, str]]
    when: str


def machines(name: str, runs: Iterable[RunRecord]) -> list[Machine]:
    """The runs of a sweep by their environment, that of most runs first."""
    alike: dict[tuple[tuple[str, str], ...], list[RunRecord]] = {}
    for stored in runs:
        facts = tuple((shorten(key).replace("_", " "), shorten(value)) for key, value in stored.environment.items())
        alike.setdefault(facts, []).append(stored)
    return [
        Machine(name, len(group), list(facts), _when(group))
        for facts, group in sorted(alike.items(), key=lambda item: -len(item[1]))
    ]


def _when(runs: Iterable[RunRecord]) -> str:
    times = sorted(time[:16].replace("T", " ") for one in runs for time in (one.started, one.finished) if time)
    if not times:
        return "–"
    return times[0] if times[0] == times[-1] else f"{times[0]} to {times[-1]}"


@dataclass(frozen=True)
class Gaps:
    """What a sweep lacks, in sentences: runs that its sweep file plans, runs that ended badly, and broken ones."""

    missing: list[str]
    bad: list[str]
    broken: list[str]


def gaps(results: Results) -> Gaps:
    """What is missing or ended badly in a sweep."""
    return Gaps(_missing(results), _bad(results), results.problems)


def _missing(results: Results) -> list[str]:
    request = {name: value for name, value in check_sweep_file(results.folder).items() if name not in NOT_OF_THE_PLAN}
    if not request:
        return ["there is no sweep.toml, so nobody knows which runs were planned"]
    try:
        planned = plan_sweep({**request, "device": "cpu"}).runs
    except UserError as error:  # such as a model of a plug-in, which only a person may run
        return [f"what its sweep.toml plans cannot be told: {error}"]
    there = {stored.run.run_id for stored in results.runs}
    missing = [run for run in planned if run.run_id not in there]
    told = []
    for model, count in Counter(run.model for run in missing).items():
        depths, seeds = (compact({run[name] for run in missing if run.model == model}) for name in ("depth", "seed"))
        of_model = sum(run.model == model for run in planned)
        told.append(f"{count:,} of {of_model:,} planned runs of {model} are missing (depths {depths}, seeds {seeds})")
    return told


def _bad(results: Results) -> list[str]:
    told = []
    for status in ("diverged", "failed"):
        runs = [stored for stored in results.runs if stored.status == status]
        for model, count in Counter(stored.run.model for stored in runs).items():
            of_model = [stored for stored in runs if stored.run.model == model]
            depths = compact({stored.run.depth for stored in of_model})
            reasons = dict.fromkeys(shorten(stored.message, LONGEST_MESSAGE) for stored in of_model if stored.message)
            why = f": {'; '.join(list(reasons)[:3])}" if reasons else ""
            told.append(f"{count:,} {'run' if count == 1 else 'runs'} of {model} {status} (depths {depths}){why}")
    return told


def sweep_text(results: Results) -> str:
    """What a sweep trains, such as `780 runs on sine: plain-mlp and residual-mlp, depths 2..40, seeds 0..9`."""
    runs = [stored.run for stored in results.runs]
    if not runs:
        return "no finished runs"
    models = ordered_models(run.model for run in runs)
    depths, seeds = (compact({run[name] for run in runs}) for name in ("depth", "seed"))
    summary = in_given_order(results.summary(), results.given_values())
    varied = [
        f"{name.replace('_', ' ')} {', '.join(map(value_text, ordered_values(summary[name])))}"
        for name in free_settings(summary)
    ]
    count = f"{len(runs):,} {'run' if len(runs) == 1 else 'runs'}"
    return "; ".join([f"{count} on {runs[0].task}: {natural_list(models)}, depths {depths}, seeds {seeds}", *varied])


def status_counts(results: Iterable[Results]) -> dict[str, int]:
    """How many runs have each status, over several sweeps."""
    counts: Counter[Any] = Counter(stored.status for one in results for stored in one.runs)
    return dict(counts)
