"""`resnet-exp analyze paths`: how much gradient flows along the paths of each length."""

from dataclasses import replace
from typing import Annotated

import typer

from resnet_cli.cli.analyze.common import AnalysisRequest, show_table
from resnet_cli.cli.help_pages import examples

EPILOG = examples(
    "resnet-exp analyze paths results/digits",
    "resnet-exp analyze paths results/cifar10 --depths 110 --draws 20 --device cuda",
)
DEPTHS = 3
MOST_DEPTHS = 8
SEEDS = 5
HEADERS = {
    "heading": "model",
    "blocks": "residual blocks",
    "path_range": "95 % of paths",
    "range": "95 % of paths × gradient",
    "path_share": "share of all paths (%)",
    "factor": "gradient factor per block",
}


def command(
    context: typer.Context,
    draws: Annotated[
        int, typer.Option("--draws", min=1, help="Number of random paths of each length in every net.")
    ] = 100,
) -> None:
    """Count the paths through residual nets by their length, and measure the gradients along them.

    A path goes through the branch or the shortcut of each residual block; its length is the number of branches. The
    analysis uses up to three depths of each model (eight with --depths) and up to five seeds (all with --seeds).
    """
    from resnet_cli.analysis.paths import check_rows, measure_paths, summarise, with_paths

    request: AnalysisRequest = context.obj
    found = request.select()
    residual = replace(found, runs=with_paths(found.runs))
    results = request.keep_some(residual, depths=MOST_DEPTHS if request.depths else DEPTHS, seeds=SEEDS)
    check_rows(results)
    frame = request.measure_nets(results, lambda net: measure_paths(net, draws=draws, settings=results.varying))
    nets = summarise(frame)
    nets["path_range"] = nets["first_path"].astype(str) + " to " + nets["last_path"].astype(str)
    nets["range"] = nets["first"].astype(str) + " to " + nets["last"].astype(str)
    nets["path_share"] *= 100
    shown = nets[["heading", "depth", "seeds", "blocks", "path_range", "range", "path_share", "factor"]]
    show_table("Path lengths (residual blocks passed) and the gradients they carry, mean over seeds", shown, HEADERS)
    request.write("paths", frame)
