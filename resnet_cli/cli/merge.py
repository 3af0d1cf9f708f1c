"""`resnet-exp merge`: results folders joined into one."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from resnet_cli.cli.console import make_console, name_broken, say
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import path_option

EPILOG = examples(
    "resnet-exp merge results/shard-1 results/shard-2 --out results/sine",
    "resnet-exp merge shards/ --out results/cifar10",
)


def command(
    folders: Annotated[
        list[Path], typer.Argument(help="Results folders, packed or not; of a folder above them, all below it.")
    ],
    out: Annotated[Path, path_option("--out", help="New or empty results folder.")],
) -> None:
    """Join results folders, such as those of the shards of a sweep, into one.

    A run that is in several of them must be the same there, to the bit: otherwise it is named, and nothing is written.
    A failed run gives way to a finished one. Saved nets and the checkpoints of unfinished runs are taken along.

    A broken run is named on stderr and left out; the exit code is then 2.
    """
    from resnet_cli.cli.tables import counted
    from resnet_cli.planning.joined import join_sweeps
    from resnet_cli.settings.errors import printable
    from resnet_cli.store.merge import merge_folders
    from resnet_cli.store.reader import check_sweep_file, find_results

    places = find_results(*folders)
    contents = [content for place in places if (content := check_sweep_file(place))]
    joined = join_sweeps(contents) if len({content.get("task") for content in contents}) == 1 else None
    merged = merge_folders(places, out, joined.content if joined else None)
    console = make_console()
    repeated = f"; {counted(merged.repeated, 'run')} in several of them" if merged.repeated else ""
    say(
        console, f"{printable(out)}: {counted(len(merged.runs), 'run')} from {counted(len(places), 'folder')}{repeated}"
    )
    for note in [*merged.notes, *([joined.note] if joined and joined.note else [])]:
        say(console, note)
    if joined and joined.runs and (missing := len({*joined.runs} - {*merged.runs})):
        config = shlex.quote(str(out / "sweep.toml"))
        say(
            console,
            f"Missing: {missing:,} of {len(joined.runs):,} runs; resnet-exp sweep --config {config} trains them.",
        )
    name_broken(merged.problems)
