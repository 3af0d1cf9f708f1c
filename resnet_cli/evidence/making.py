"""Making the evidence of claims: which commands do it, what is left of them, and what they will cost."""

import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from resnet_cli.claims.claim import Analysis, Need, Sweep
from resnet_cli.evidence.tables import StoredTables, plan_of, sweeps_of
from resnet_cli.planning.conditions import choose_conditions
from resnet_cli.planning.estimate import Estimate, estimate
from resnet_cli.planning.units import make_units, what_is_left
from resnet_cli.settings.errors import UserError


@dataclass(frozen=True)
class Options:
    """Where evidence goes and what it is made with; `data_dir`, `jobs` and `device` as for `resnet-exp sweep`."""

    root: Path
    data_dir: Path | None = None
    jobs: int | None = None
    device: str | None = None


@dataclass(frozen=True)
class Step:
    """A sweep with the analyses of its runs, or an analysis that needs none: commands, and what is left of them.

    `cost` is None for an analysis, and where the sweep cannot be trained here: `obstacle` says why.
    """

    commands: tuple[tuple[str, ...], ...]
    cost: Estimate | None = None
    obstacle: str = ""

    @property
    def seconds(self) -> float:
        """The estimated cost of the sweep; that of analyses is not known."""
        return self.cost.seconds if self.cost and self.cost.units else 0.0


def commands_of(needs: Iterable[Need], options: Options) -> list[tuple[str, ...]]:
    """The commands that make some evidence, in order, as words after `resnet-exp`."""
    needs = list(dict.fromkeys(needs))
    found = []
    for sweep in sweeps_of(needs).values():
        found.append(_sweep_command(sweep, options))
        found += [_analysis_command(one, options) for one in _analyses(needs, sweep.config)]
    return found + [_analysis_command(one, options) for one in _analyses(needs)]


def command_text(words: Sequence[str]) -> str:
    """A command as it is typed."""
    return shlex.join(["resnet-exp", *words])


def remaining(
    needs: Iterable[Need], options: Options, *, on_timing: Callable[[str], None] = lambda config: None
) -> list[Step]:
    """What is left to make of some evidence, the cheapest first; `on_timing` is told the sweep that is timed."""
    needs, tables, steps = list(dict.fromkeys(needs)), StoredTables(options.root), []
    for sweep in sweeps_of(needs).values():
        analyses = [one for one in _analyses(needs, sweep.config) if not _is_made(one, tables)]
        if not analyses and tables.source(sweep).complete:
            continue
        commands = (_sweep_command(sweep, options), *(_analysis_command(one, options) for one in analyses))
        on_timing(sweep.config)
        try:
            steps.append(Step(commands, _cost(sweep, options)))
        except UserError as error:
            steps.append(Step(commands, obstacle=str(error)))
    steps += [Step((_analysis_command(one, options),)) for one in _analyses(needs) if not _is_made(one, tables)]
    return sorted(steps, key=lambda step: (bool(step.obstacle), step.seconds))


def make(step: Step) -> bool:
    """Run the commands of a step, each in a process of its own; returns whether all did what they should."""
    for words in step.commands:
        process = subprocess.Popen([sys.executable, "-m", "resnet_cli", *words])
        try:
            if process.wait() != 0:
                return False
        finally:
            process.terminate()  # nothing if it has ended: it keeps what is finished
            process.wait()
    return True


def _analyses(needs: Iterable[Need], config: str | None = None) -> list[Analysis]:
    """The analyses of the runs of a configuration, or those that need no runs."""
    return [one for one in needs if isinstance(one, Analysis) and (one.sweep.config if one.sweep else None) == config]


def _is_made(need: Analysis, tables: StoredTables) -> bool:
    """Whether the table of an analysis is there, with every seed of its sweep."""
    if not tables.source(need).complete:
        return False
    if need.sweep is None:
        return True
    table = tables.analysis(need.kind, need.sweep.config)
    seeds = {run.seed for run in plan_of(need.sweep.config).runs}
    return "seed" in table and seeds <= set(table["seed"])


def _sweep_command(sweep: Sweep, options: Options) -> tuple[str, ...]:
    return (
        *("sweep", "--config", sweep.config, *_out(options.root / sweep.config, Path("results", sweep.config))),
        *(["--save-models"] if sweep.save_models else []),
        *_shared(options),
        *([] if options.jobs is None else ["--jobs", str(options.jobs)]),
    )


def _analysis_command(need: Analysis, options: Options) -> tuple[str, ...]:
    if need.sweep is None:
        return "analyze", need.kind, *need.options, *_out(options.root / need.kind, Path("results", need.kind))
    return "analyze", need.kind, str(options.root / need.sweep.config), *need.options


def _out(folder: Path, default: Path) -> list[str]:
    return [] if folder == default else ["--out", str(folder)]


def _shared(options: Options) -> list[str]:
    found = [] if options.data_dir is None else ["--data-dir", str(options.data_dir)]
    return found + ([] if options.device is None else ["--device", options.device])


def _cost(sweep: Sweep, options: Options) -> Estimate:
    plan = plan_of(sweep.config)
    chosen = choose_conditions(
        plan,
        options.root / sweep.config,
        jobs=options.jobs,
        data_dir=options.data_dir,
        save_models=sweep.save_models,
    )
    left, _ = what_is_left(make_units(plan, chosen), chosen)
    return estimate(left, chosen)
