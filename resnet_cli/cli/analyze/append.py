"""`resnet-exp analyze append`: a deeper net by construction, and whether training finds it."""

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

NAME = "append"
EPILOG = examples(
    "resnet-exp sweep --config configs/append-sine.toml --save-models",
    "resnet-exp analyze append results/append-sine",
    "resnet-exp analyze append results/analysis-digits --depth 8 --to 20",
)


def command(
    folder: Folder,
    models: Models = "",
    depth: Annotated[
        int | None,
        typer.Option("--depth", help="Depth of the stored nets. (default: the smallest that all models have)"),
    ] = None,
    to: Annotated[
        int | None, typer.Option("--to", help="Depth of the extended nets. (default: the largest that all models have)")
    ] = None,
    seeds: Seeds = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    file_format: Format = "png,svg",
    out: Out = None,
) -> None:
    """Append identity layers to trained nets, continue training, and compare with deeper nets from scratch.

    For plain-mlp, residual-mlp, plain-cnn and resnet. Each net is trained once more for the same number of steps, with
    and without the new layers. So is a net of the larger depth, which is taken from the folder or trained here.
    """
    import pandas as pd

    from resnet_cli.analysis.append import MODELS, check_appendable, choose_depths, compare, summarise
    from resnet_cli.analysis.trained_nets import select_runs
    from resnet_cli.figures.append import draw
    from resnet_cli.store.layout import ANALYSIS_FOLDER
    from resnet_cli.store.packed import output_folder
    from resnet_cli.store.reader import Results

    runs = select_runs(folder, models=split_words(models), seeds=seeds, on_problem=say_problem)
    if not models:
        runs = [stored for stored in runs if stored.run.model in MODELS] or runs
    depth, to = choose_depths(runs, depth, to)
    shallow = [stored for stored in runs if stored.run.depth == depth]
    for stored in shallow:
        check_appendable(stored.run, to)
    typer.echo(f"Using {len(shallow)} of {len(runs)} runs: nets of depth {depth}, each extended to depth {to}.")
    settings = Results(folder, shallow, []).varying
    frame = pd.concat(
        [
            compare(folder, stored, to, runs, settings=settings, data_dir=data_dir, device=device)
            for stored in tracked(shallow, run_ids(shallow))
        ],
        ignore_index=True,
    )
    begin, end = frame.loc[frame["net"] == "appended", "step"].min(), frame["step"].max()
    names = {"shallow": f"depth {depth}", "appended": f"extended to depth {to}", "scratch": f"depth {to} from scratch"}
    show_table(
        "Training loss, median over seeds",
        [
            "model",
            *headers_of(settings),
            "seeds",
            "net",
            f"at step {begin}",
            f"at step {end}",
            "largest change by extending",
        ],
        summarise(frame, settings).replace({"net": names}).to_numpy(dtype=object).tolist(),
    )
    write("append", frame, draw, out or output_folder(folder, ANALYSIS_FOLDER), file_format)
