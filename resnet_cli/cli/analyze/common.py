"""What all analyses share: their options, choosing runs, measuring one by one, and a table and a figure as files."""

import math
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resnet_cli.cli import filters
from resnet_cli.cli.console import complain, make_console
from resnet_cli.cli.options import DataDir, PluginCommand, click_parameters, path_option
from resnet_cli.cli.words import Formats
from resnet_cli.settings.errors import printable

if TYPE_CHECKING:
    import pandas as pd

    from resnet_cli.analysis.trained_nets import StoredNet
    from resnet_cli.store.reader import Results
    from resnet_cli.store.record import RunRecord

Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]


@dataclass(frozen=True)
class AnalysisRequest:
    """What a person asked of an analysis of stored runs: which runs, where to compute, and where its files go."""

    folder: Annotated[Path, typer.Argument(help="A results folder of a sweep with --save-models.")]
    models: filters.Models = None
    depths: filters.Depths = None
    seeds: filters.Seeds = None
    where: filters.Where = None
    device: Device = "auto"
    data_dir: DataDir = None
    formats: Formats = "png,svg"
    out: Annotated[
        Path | None,
        path_option(
            "--out",
            help="Output folder. (default: analysis/ beside the runs; of packed results results/analysis/<name>)",
        ),
    ] = None

    def select(self, *, with_diverged: bool = False) -> "Results":
        """The runs that the options choose; those that cannot be read are named on stderr.

        Raises:
            UserError: the folder holds no such run, or an option is malformed.
        """
        from resnet_cli.analysis.selection import select_runs
        from resnet_cli.store.reader import load_results

        selection = filters.parse_selection(self.models, self.depths, self.seeds, self.where)
        results = load_results(self.folder)
        for problem in results.problems:
            complain(problem)
        return select_runs(results, selection, with_diverged=with_diverged)

    def keep_some(self, found: "Results", *, depths: int | None = None, seeds: int | None = None) -> "Results":
        """At most so many depths of each model and seeds, unless an option chooses them; says which."""
        from resnet_cli.analysis.selection import some_runs

        return self.keep(found, some_runs(found.runs, depths=depths, seeds=None if self.seeds else seeds))

    def keep(self, found: "Results", runs: Sequence["RunRecord"]) -> "Results":
        """Some of the runs that were found; says which, unless they are all."""
        from resnet_cli.analysis.selection import selection_text

        if text := selection_text(runs, found.runs):
            typer.echo(text)
        return replace(found, runs=list(runs))

    def measure(self, results: "Results", measure: "Callable[[RunRecord], pd.DataFrame]") -> "pd.DataFrame":
        """What `measure` finds in each run, in one table; stderr shows the progress."""
        return joined(map(measure, results.runs), [stored.run.run_id for stored in results.runs])

    def measure_nets(self, results: "Results", measure: "Callable[[StoredNet], pd.DataFrame]") -> "pd.DataFrame":
        """What `measure` finds in the saved net of each run, in one table.

        Raises:
            UserError: a net was not saved, or its data set is missing.
        """
        from resnet_cli.analysis.trained_nets import load_net

        load = partial(load_net, self.folder, device=self.device, data_dir=self.data_dir)
        return self.measure(results, lambda stored: measure(load(stored.run)))

    def write(self, kind: str, frame: "pd.DataFrame", **options: Any) -> None:
        """Write the table of an analysis and its figure, by default beside the runs, and print the paths."""
        from resnet_cli.store.layout import ANALYSIS_FOLDER
        from resnet_cli.store.packed import output_folder

        write(kind, frame, self.out or output_folder(self.folder, ANALYSIS_FOLDER), self.formats, **options)


class AnalysisCommand(PluginCommand):
    """A command with the options of an `AnalysisRequest`, but some; its context's `obj` is the request.

    The help page says which depths and seeds it uses by default, and whether the nets must have been saved.
    """

    def __init__(
        self,
        *,
        params: list[Any],
        needs_nets: bool = True,
        without: Collection[str] = (),
        depths: str = "all",
        seeds: str = "all",
        **others: Any,
    ) -> None:
        by_default = {"depths": depths, "seeds": seeds}
        self._shared = [option for option in click_parameters(AnalysisRequest) if option.name not in without]
        for option in self._shared:
            option.help = option.help.replace("(default: all)", f"(default: {by_default.get(option.name, 'all')})")
            if option.name == "folder" and not needs_nets:
                option.help = "A results folder, nets saved or not."
        super().__init__(params=[*params, *self._shared], **others)

    def invoke(self, ctx: Any) -> Any:
        """Make the request and call the command's function with its own options."""
        ctx.obj = AnalysisRequest(**{option.name: ctx.params.pop(option.name) for option in self._shared})
        return super().invoke(ctx)


def joined(parts: "Iterable[pd.DataFrame]", names: Sequence[str]) -> "pd.DataFrame":
    """Parts of a table, computed one after another, as one.

    stderr names each part when it is done, or on a terminal the current one beside a bar.
    """
    import pandas as pd
    from rich.console import Console
    from rich.progress import Progress

    done, rest, on_terminal = [], iter(parts), sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=not on_terminal) as progress:
        task = progress.add_task("", total=len(names))
        for number, name in enumerate(names, 1):
            progress.update(task, description=name)
            done.append(next(rest))
            progress.advance(task)
            if not on_terminal:
                typer.echo(f"{number}/{len(names)}: {name}", err=True)
    return pd.concat(done, ignore_index=True)


def show_table(title: str, table: "pd.DataFrame", headers: Mapping[str, str]) -> None:
    """Print what an analysis found under a title; `headers` are of columns that are not headed by their names."""
    from rich.text import Text

    from resnet_cli.cli.tables import listing

    lines = table.to_numpy(dtype=object).tolist()
    names = [headers.get(str(name), str(name).replace("_", " ")) for name in table]
    columns = zip(names, zip(*lines, strict=True), strict=False)
    numbers = [name for name, cells in columns if any(not isinstance(cell, str) and cell is not None for cell in cells)]
    console = make_console()
    console.print(Text(title, "bold"))
    console.print(listing(names, [list(map(cell_text, line)) for line in lines], right=numbers))


def cell_text(value: object) -> str:
    """A value of a table in words."""
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if math.isfinite(value) else "∞"
    return str(value)


def write(kind: str, frame: "pd.DataFrame", target: Path, formats: str, **options: Any) -> None:
    """Write the table of an analysis and its figure, drawn with `options`; the CSV comes first. Print their paths."""
    from resnet_cli.api import plot_analysis
    from resnet_cli.store.figures import write_figure
    from resnet_cli.store.tables import write_table

    table = target / f"{kind}.csv"
    write_table(table, frame)
    typer.echo(printable(table))
    for path in write_figure(plot_analysis(kind, frame, **options), target, kind, formats.split(",")):
        typer.echo(printable(path))
