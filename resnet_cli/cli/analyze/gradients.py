"""`resnet-exp analyze gradients`: gradient norms by layer, at initialisation and during training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resnet_cli.cli.analyze.common import (
    Device,
    Format,
    Models,
    Out,
    headers_of,
    run_ids,
    say_problem,
    show_table,
    split_words,
    tracked,
    write,
)
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import DataDir

if TYPE_CHECKING:
    import pandas as pd

NAME = "gradients"
EPILOG = examples(
    "resnet-exp sweep --config configs/gradients-sine.toml",
    "resnet-exp analyze gradients results/gradients-sine",
    "resnet-exp analyze gradients results/digits --depths 8,20,56 --seeds 0",
)
HEADERS = (
    "depth",
    "model",
    "seeds",
    "diverged",
    "first, initial",
    "last, initial",
    "first, trained",
    "last, trained",
    "training loss",
)
MOST_DEPTHS = 3
MOST_SEEDS = 3


def command(
    folder: Annotated[Path, typer.Argument(help="A results folder; saved nets are not needed.")],
    models: Models = "",
    depths: Annotated[
        str | None,
        typer.Option(
            "--depths",
            "--depth",
            help=f"Depths, such as 20 or 8..32. (default: {MOST_DEPTHS}, or the deepest if other settings vary)",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", "--seed", help=f"Seeds, written like depths. (default: the first {MOST_SEEDS})"),
    ] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    file_format: Format = "png,svg",
    out: Out = None,
) -> None:
    """Train stored runs again, and measure the gradient of every weight layer on one batch at each evaluation.

    The batch is the first training batch. This takes about as long as training the runs one after another.
    """
    import pandas as pd

    from resnet_cli.analysis.gradients import replay, summarise
    from resnet_cli.analysis.selection import selection_text, some_runs
    from resnet_cli.analysis.trained_nets import select_runs
    from resnet_cli.figures import gradients
    from resnet_cli.figures.cells import split_cells
    from resnet_cli.store.layout import ANALYSIS_FOLDER
    from resnet_cli.store.packed import output_folder
    from resnet_cli.store.reader import Results
    from resnet_cli.training.data import load_data
    from resnet_cli.training.device import prepare_device, resolve_device

    found = select_runs(
        folder, models=split_words(models), depths=depths, seeds=seeds, with_diverged=True, on_problem=say_problem
    )
    few = None if depths else 1 if Results(folder, found, []).varying else MOST_DEPTHS
    runs = some_runs(found, depths=few, seeds=None if seeds else MOST_SEEDS)
    if text := selection_text(runs, found):
        typer.echo(text)
    results = Results(folder, runs, [])
    split_cells(results.summary())  # rejects too many before anything is trained
    prepare_device(resolve_device(device), threads=1)  # as sweeps of several runs do, for the same bits
    frame = pd.concat(
        tracked(
            (replay(stored, load_data(stored.run, data_dir, device), results.varying) for stored in runs),
            run_ids(runs),
        ),
        ignore_index=True,
    )
    show_table(
        "Gradient norms of the first and the last layer, and training loss after training, median over seeds",
        [*headers_of(results.varying), *HEADERS],
        summarise(frame, results.varying).to_numpy().tolist(),
    )
    typer.echo(_comparison(frame))
    write("gradients", frame, gradients.draw, out or output_folder(folder, ANALYSIS_FOLDER), file_format)


def _comparison(frame: "pd.DataFrame") -> str:
    """Whether the training reproduced the stored one, in words."""
    from resnet_cli.analysis.gradients import differences

    apart = differences(frame)
    same = apart == 0
    text = f"{same.sum()} of {len(apart)} runs gave the stored losses again, to the last bit."
    if not same.all():
        text += (
            f" The training losses of the others differ by up to {100 * apart.max():.2g} % "
            f"(median {100 * apart[~same].median():.2g} %): another engine or machine rounds otherwise, which grows "
            "from step to step. Runs of --engine loop come out the same on the machine that trained them."
        )
    return text
