"""`resnet-exp analyze responses`: the standard deviation of the layers' responses."""

from functools import partial

import typer

from resnet_cli.cli.analyze.common import AnalysisCommand, AnalysisRequest, show_table
from resnet_cli.cli.help_pages import examples

EPILOG = examples(
    "resnet-exp analyze responses results/digits",
    "resnet-exp analyze responses results/digits --depths 20,56",
)
MOST_DEPTHS = 3
HEADERS = {"mean": "mean of all layers", "added": "mean of those added to a shortcut"}
CLASS = partial(AnalysisCommand, depths=f"{MOST_DEPTHS} of each model")


def command(context: typer.Context) -> None:
    """Measure how strongly each layer of trained nets responds to the test inputs, after its batch norm if it has one.

    Responses are those of He et al. 2015, Fig. 7: outputs before the activation and before the addition of a shortcut.
    Where batch norm precedes the layers, they are the outputs of the layers themselves.
    """
    from resnet_cli.analysis.responses import measure_responses, summarise

    request: AnalysisRequest = context.obj
    results = request.keep_some(request.select(), depths=None if request.depths else MOST_DEPTHS)
    frame = request.measure_nets(results, lambda net: measure_responses(net, results.varying))
    title = "Standard deviation of the layers' responses, median over seeds"
    show_table(title, summarise(frame, results.varying), HEADERS)
    request.write("responses", frame)
