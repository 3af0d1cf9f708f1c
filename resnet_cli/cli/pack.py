"""`resnet-exp pack` and `unpack`: results as a few files for version control, and back."""

from pathlib import Path
from typing import Annotated

import typer

from resnet_cli.cli.console import name_broken
from resnet_cli.cli.filters import Depths, Models, Seeds, Where, parse_selection
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import path_option
from resnet_cli.settings.errors import printable

PACK_EPILOG = examples(
    "resnet-exp pack results/sine --out docs/results/sine",
    "resnet-exp pack results/digits --out packed --seeds 0..2 --figures loss-by-depth,remove",
)
UNPACK_EPILOG = examples("resnet-exp unpack docs/results/sine --out results/sine")


def pack(
    folder: Annotated[Path, typer.Argument(help="A results folder.")],
    out: Annotated[
        Path,
        path_option("--out", help="New or empty folder, or packed results to replace."),
    ],
    models: Models = None,
    depths: Depths = None,
    seeds: Seeds = None,
    where: Where = None,
    figures: Annotated[
        str, typer.Option("--figures", metavar="LIST", help="PNG files to keep, such as loss-by-depth. (default: none)")
    ] = "",
) -> None:
    """Write a results folder as a few files that can be reviewed and kept under version control.

    runs.csv has one row per run, metrics.csv.gz all evaluations. The sweep's settings and the CSV files of analyses are
    copied. Every command that reads results takes both forms, and `unpack` restores the same bytes.

    A broken run is named on stderr and left out; the exit code is then 2.
    """
    from resnet_cli.cli.tables import counted
    from resnet_cli.store.layout import RUNS_FOLDER, WEIGHTS_FILE
    from resnet_cli.store.pack import pack_folder
    from resnet_cli.store.reader import load_results

    results = load_results(folder)
    selected = parse_selection(models, depths, seeds, where).apply(results)
    names = [name.strip() for name in figures.split(",") if name.strip()]
    written = pack_folder(selected, out, figures=names)
    size = sum(path.stat().st_size for path in written)
    typer.echo(f"{printable(out)}: {counted(len(selected.runs), 'run')} in {len(written)} files, {size / 1000:,.0f} kB")
    if any((folder / RUNS_FOLDER).glob(f"*/{WEIGHTS_FILE}")):
        typer.echo(f"Weights are not packed; they stay in {printable(folder)}.")
    name_broken(results.problems)


def unpack(
    folder: Annotated[Path, typer.Argument(help="Packed results: a folder with runs.csv and metrics.csv.gz.")],
    out: Annotated[Path, path_option("--out", metavar="FOLDER", help="New or empty results folder.")],
) -> None:
    """Restore a results folder from its packed form, byte for byte.

    A broken run is named on stderr and left out; the exit code is then 2.
    """
    from resnet_cli.cli.tables import counted
    from resnet_cli.store.pack import unpack_folder
    from resnet_cli.store.reader import load_results

    results = load_results(folder)
    unpack_folder(results, out)
    typer.echo(f"{printable(out)}: {counted(len(results.runs), 'run')}")
    name_broken(results.problems)
