"""`resnet-exp analyze responses`: the standard deviation of the layers' responses."""

from typing import Annotated

import typer

from resnet_cli.cli.analyze.common import (
    Device,
    Folder,
    Format,
    Models,
    Out,
    Seeds,
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

NAME = "responses"
EPILOG = examples(
    "resnet-exp analyze responses results/digits",
    "resnet-exp analyze responses results/digits --depths 20,56",
)
MOST_DEPTHS = 3


def command(
    folder: Folder,
    models: Models = "",
    depths: Annotated[
        str | None,
        typer.Option(
            "--depths", "--depth", help=f"Depths, such as 20 or 8..32. (default: {MOST_DEPTHS} of each model)"
        ),
    ] = None,
    seeds: Seeds = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    file_format: Format = "png,svg",
    out: Out = None,
) -> None:
    """Measure how strongly each layer of trained nets responds to the test inputs, after its batch norm if it has one.

    Responses are those of He et al. 2015, Fig. 7: outputs before the activation and before the addition of a shortcut.
    Where batch norm precedes the layers, they are the outputs of the layers themselves.
    """
    import pandas as pd

    from resnet_cli.analysis.responses import measure_responses, summarise
    from resnet_cli.analysis.selection import selection_text, some_runs
    from resnet_cli.analysis.trained_nets import load_net, select_runs
    from resnet_cli.figures import responses
    from resnet_cli.store.layout import ANALYSIS_FOLDER
    from resnet_cli.store.packed import output_folder
    from resnet_cli.store.reader import Results

    found = select_runs(folder, models=split_words(models), depths=depths, seeds=seeds, on_problem=say_problem)
    runs = some_runs(found, depths=None if depths else MOST_DEPTHS, seeds=None)
    if text := selection_text(runs, found):
        typer.echo(text)
    settings = Results(folder, runs, []).varying
    nets = (load_net(folder, stored.run, device=device, data_dir=data_dir) for stored in runs)
    parts = (measure_responses(net, settings) for net in nets)
    frame = pd.concat(tracked(parts, run_ids(runs)), ignore_index=True)
    summary = summarise(frame, settings)
    show_table(
        "Standard deviation of the layers' responses, median over seeds",
        [
            *headers_of(settings),
            "depth",
            "model",
            "seeds",
            "mean of all layers",
            "largest",
            "mean of those added to a shortcut",
        ],
        summary.to_numpy().tolist(),
    )
    write("responses", frame, responses.draw, out or output_folder(folder, ANALYSIS_FOLDER), file_format)
