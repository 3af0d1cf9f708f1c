"""`resnet-exp analyze append`: a deeper net by construction, and whether training finds it."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from resnet_cli.cli.analyze.common import AnalysisCommand, AnalysisRequest, show_table
from resnet_cli.cli.help_pages import examples

if TYPE_CHECKING:
    import pandas as pd

    from resnet_cli.store.record import RunRecord

EPILOG = examples(
    "resnet-exp sweep --config configs/append-sine.toml --save-models",
    "resnet-exp analyze append results/append-sine",
    "resnet-exp analyze append results/analysis-digits --depth 8 --to 20",
)
CLASS = partial(AnalysisCommand, without=["depths"])


def command(
    context: typer.Context,
    depth: Annotated[
        int | None,
        typer.Option("--depth", help="Depth of the stored nets. (default: the smallest that all models have)"),
    ] = None,
    to: Annotated[
        int | None, typer.Option("--to", help="Depth of the extended nets. (default: the largest that all models have)")
    ] = None,
) -> None:
    """Append identity layers to trained nets, continue training, and compare with deeper nets from scratch.

    For plain nets and their residual twins. Each net is trained once more for the same number of steps, with
    and without the new layers. So is a net of the larger depth, which is taken from the folder or trained here.
    """
    from resnet_cli.analysis.append import appendable_models, check_appendable, choose_depths, compare, summarise

    request: AnalysisRequest = context.obj
    found = request.select()
    runs = found.runs
    if request.models is None:
        runs = [stored for stored in runs if stored.run.model in appendable_models()] or runs
    depth, to = choose_depths(runs, depth, to)
    shallow = replace(found, runs=[stored for stored in runs if stored.run.depth == depth])
    for stored in shallow.runs:
        check_appendable(stored.run, to)
    typer.echo(f"Using {len(shallow.runs)} of {len(runs)} runs: nets of depth {depth}, each extended to depth {to}.")
    settings = shallow.varying

    def compare_one(stored: "RunRecord") -> "pd.DataFrame":
        return compare(
            request.folder, stored, to, runs, settings=settings, data_dir=request.data_dir, device=request.device
        )

    frame = request.measure(shallow, compare_one)
    begin, end = frame.loc[frame["net"] == "appended", "step"].min(), frame["step"].max()
    names = {"shallow": f"depth {depth}", "appended": f"extended to depth {to}", "scratch": f"depth {to} from scratch"}
    show_table(
        "Training loss, median over seeds",
        summarise(frame, settings).replace({"net": names}),
        {"then": f"at step {begin}", "end": f"at step {end}", "changed": "largest change by extending"},
    )
    request.write("append", frame)
