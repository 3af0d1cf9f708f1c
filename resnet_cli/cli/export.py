"""`resnet-exp export`: results for other programs to look at."""

from pathlib import Path
from typing import Annotated

import typer

from resnet_cli.cli import filters
from resnet_cli.cli.console import name_broken
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import in_home
from resnet_cli.settings.errors import printable, unknown_name

EPILOG = examples(
    "resnet-exp export results/ --to tensorboard logs",
    "resnet-exp export docs/results/digits --to tensorboard logs --models resnet --depths 8,20",
)
FORMATS = ("tensorboard",)


def command(
    folder: Annotated[Path, typer.Argument(help="A results folder, or one that holds several.")],
    out: Annotated[Path, typer.Argument(metavar="DIR", callback=in_home, help="Folder to export to.")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help=f"{', '.join(FORMATS)}; for CSV and JSON see `resnet-exp show`.",
        ),
    ],
    models: filters.Models = None,
    depths: filters.Depths = None,
    seeds: filters.Seeds = None,
    where: filters.Where = None,
) -> None:
    """Write every run below a folder as a log directory of TensorBoard, named after its sweep and its id.

    Metrics are scalars at their steps, settings are hyper-parameters. Exporting again replaces the same files; other
    files in DIR stay as they are.

    Needs `pip install 'resnet-exp\\[tensorboard]'`.

    A broken run is named on stderr and left out; the exit code is then 2.
    """
    if to not in FORMATS:
        raise unknown_name("to", to, FORMATS, "; for CSV and JSON see `resnet-exp show`")
    from resnet_cli.cli.tables import counted
    from resnet_cli.store.event_files import write_event_files

    selected, problems = filters.load_selected([folder], filters.parse_selection(models, depths, seeds, where))
    records = {}
    for results in selected:
        below = results.folder.relative_to(folder)
        sweep = below if below.parts else Path(folder.resolve().name)
        records.update({out / sweep / stored.run.run_id: stored for stored in results.runs})
    write_event_files(records)
    runs, sweeps = counted(len(records), "run"), counted(len(selected), "sweep")
    typer.echo(f"{printable(out)}: {runs} of {sweeps}; to look at them: tensorboard --logdir {printable(out)}")
    name_broken(problems)
