"""Stored results as the tables that claims are judged by: own ones first, else those that come with the program."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import pandas as pd

from resnet_cli.claims import all_claims
from resnet_cli.claims.claim import Analysis, MissingEvidence, Need, Sweep
from resnet_cli.claims.ledger import Line, make_ledger
from resnet_cli.models import role_of
from resnet_cli.planning.plan import Plan, plan_sweep
from resnet_cli.settings import registry
from resnet_cli.settings.configs import bundled_configs
from resnet_cli.settings.errors import UserError, printable, shorten
from resnet_cli.settings.request import load_config
from resnet_cli.store.layout import ANALYSIS_FOLDER
from resnet_cli.store.packed import analysis_table, table_in
from resnet_cli.store.reader import Results, find_results, load_results
from resnet_cli.store.tables import read_table
from resnet_cli.tasks import constant_answers

OWN = Path("results")


def reference_results() -> Path:
    """The results that come with the program: in an installed package its own, in a clone those in docs/."""
    package = Path(__file__).parents[1]
    folder = package / "reference"
    return folder if folder.is_dir() else package.parent / "docs" / "results"


@cache
def plan_of(config: str) -> Plan:
    """The plan of a bundled configuration."""
    return plan_sweep(load_config(bundled_configs()[config].path))


@dataclass(frozen=True)
class Source:
    """Where evidence lies, and how much of it is there; `folder` is None if there is none."""

    need: Need
    folder: Path | None = None
    found: int = 0  # runs with a result; of an analysis 1 if its table is there
    planned: int = 1

    @property
    def complete(self) -> bool:
        """Whether nothing is left to make."""
        return self.found >= self.planned

    @property
    def is_reference(self) -> bool:
        """Whether it comes with the program."""
        return self.folder is not None and self.folder.resolve().is_relative_to(reference_results().resolve())

    def __str__(self) -> str:
        if self.folder is None:
            return f"{self.need}, which is not there"
        place = "the results that come with the program" if self.is_reference else printable(self.folder)
        count = f", {self.found:,} of {self.planned:,} runs" if isinstance(self.need, Sweep) else ""
        return f"{self.need}{count}, in {place}"


class StoredTables:
    """The tables of all results below some folders.

    Evidence is taken from below the folder that has most of it, and from the first of those that have as much. Runs
    count for a configuration if their settings are among those that it plans, whatever their folder is called; where
    several have the same run, it is that of the folder with the configuration's name. Results that have been `loaded`,
    by folder, are not read again.
    """

    def __init__(self, *folders: Path, loaded: Mapping[Path, Results] | None = None) -> None:
        self._folders = folders
        self._loaded = loaded or {}
        self._frames: dict[str, pd.DataFrame] = {}
        self._known_places: dict[str, list[list[Results]]] = {}

    def source(self, need: Need) -> Source:
        """Where this evidence lies."""
        if isinstance(need, Analysis):
            path = self._table(need.kind, need.sweep.config if need.sweep else None)
            return Source(need, path and path.parent, int(path is not None))
        results = self._results(need.config)
        planned = len(plan_of(need.config).runs) if need.config in bundled_configs() else 1
        return Source(need, results.folder, len(results.runs), planned) if results else Source(need, planned=planned)

    def runs(self, config: str) -> pd.DataFrame:
        """One row per run of a configuration; see `claims.claim.Tables`."""
        if config not in self._frames:
            self._frames[config] = self._runs(config)
        return self._frames[config].copy()

    def analysis(self, kind: str, config: str | None = None) -> pd.DataFrame:
        """The table of an analysis; see `claims.claim.Tables`."""
        path = self._table(kind, config)
        if path is None:
            raise MissingEvidence(f"there is no analysis {kind}{f' of {config}' if config else ''}")
        try:
            return read_table(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise MissingEvidence(f"{printable(path)} cannot be read: {shorten(reason, 200)}") from None

    @cached_property
    def _stored(self) -> list[list[Results]]:
        """All results, by the folder below which they are."""
        return [
            [self._loaded.get(place) or load_results(place) for place in find_results(root) if _may_count(place, root)]
            for root in self._folders
            if _holds_results(root)
        ]

    @property
    def problems(self) -> list[str]:
        """A sentence for each run that cannot be read."""
        return [problem for below in self._stored for results in below for problem in results.problems]

    def _places(self, config: str) -> list[list[Results]]:
        """The folders with runs of a configuration, of each root: only these runs, and its own folder first."""
        if config not in self._known_places:
            self._known_places[config] = self._find_places(config)
        return self._known_places[config]

    def _find_places(self, config: str) -> list[list[Results]]:
        planned = {run.run_id for run in plan_of(config).runs} if config in bundled_configs() else set()
        found = []
        for below in self._stored:
            own = [(one, [run for run in one.runs if run.run.run_id in planned]) for one in below]
            places = [replace(one, runs=[run for run in runs if run.status != "failed"]) for one, runs in own]
            order = sorted(places, key=lambda one: (one.folder.name != config, -len(one.runs)))
            found.append([one for one in order if one.runs])
        return found

    def _results(self, config: str) -> Results | None:
        """The runs of a configuration below one root, from the first folder that has them, as if all lay there."""
        best: Results | None = None
        for places in self._places(config):
            found = {one.run.run_id: one for results in reversed(places) for one in results.runs}
            if found and (best is None or len(found) > len(best.runs)):
                best = replace(places[0], runs=[found[run_id] for run_id in sorted(found)])
        return best

    def _runs(self, config: str) -> pd.DataFrame:
        results = self._results(config)
        if results is None:
            raise MissingEvidence(f"there are no runs of {config}")
        names = registry.names_in_order(stored.run for stored in results.runs)
        chance = constant_answers(stored.run for stored in results.runs)
        return results.summary().assign(
            **{name: [stored.run.get(name) for stored in results.runs] for name in names},
            role=[role_of(stored.run.model) for stored in results.runs],
            seconds=[stored.seconds for stored in results.runs],
            **{f"chance_{metric}": chance.get(metric) for metric in ("loss", "error")},
        )

    def _table(self, kind: str, config: str | None) -> Path | None:
        if config is None:
            return next(filter(None, (table_in(root / kind, kind) for root in self._folders)), None)
        folders = [one.folder for places in self._places(config) for one in places]
        inside = (analysis_table(folder, kind) for folder in folders)
        outside = (table_in(root / ANALYSIS_FOLDER / config, kind) for root in self._folders)  # of packed results
        return next(filter(None, (*inside, *outside)), None)


@cache
def _configs_of_claims() -> frozenset[str]:
    needs = (need for claim in all_claims().values() for trial in claim.trials for need in trial.needs)
    return frozenset(sweeps_of(needs))


def _may_count(place: Path, root: Path) -> bool:
    """Whether a folder may hold evidence: those that come with the program are named by their configurations."""
    return place.name in _configs_of_claims() or root.resolve() != reference_results().resolve()


def _holds_results(root: Path) -> bool:
    try:
        return bool(find_results(root))
    except UserError:
        return False


def tables_at_hand(folder: Path | None = None) -> StoredTables:
    """The results below a folder; without one, own results where they are as complete as those of the program.

    Raises:
        UserError: the folder does not exist, or holds no results.
    """
    if folder is None:
        return StoredTables(OWN, reference_results())
    find_results(folder)
    return StoredTables(folder)


def ledger_of(folder: Path | None = None) -> list[Line]:
    """The verdict of every claim, from the results below a folder or those at hand."""
    return make_ledger(all_claims().values(), tables_at_hand(folder))


def sources_of(line: Line, tables: StoredTables) -> Sequence[Source]:
    """Where the evidence of a line of the ledger lies."""
    return [tables.source(need) for need in line.trial.needs]


def remark_of(line: Line, tables: StoredTables) -> str:
    """The remark of a line that does not confirm its claim, if it rests on the results that come with the program."""
    return line.remark if all(source.is_reference for source in sources_of(line, tables)) else ""


def sweeps_of(needs: Iterable[Need]) -> dict[str, Sweep]:
    """The sweeps that evidence comes from, by their configuration; with saved nets if any of it needs them."""
    found: dict[str, Sweep] = {}
    for need in needs:
        sweep = need.sweep if isinstance(need, Analysis) else need
        if sweep and (sweep.config not in found or sweep.save_models):
            found[sweep.config] = sweep
    return found
