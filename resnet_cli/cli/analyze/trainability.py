"""`resnet-exp analyze trainability`: how deep nets can be trained, beside mean-field theory."""

from functools import partial

import typer

from resnet_cli.cli.analyze.common import AnalysisCommand, AnalysisRequest, show_table
from resnet_cli.cli.help_pages import examples
from resnet_cli.models.settings import WIDTH

EPILOG = examples(
    "resnet-exp analyze trainability results/trainability-sine",
    "resnet-exp analyze trainability results/map-sine --models plain",
)
HEADERS = {
    "trained_to": "trained to depth",
    "is_edge": "an edge",
    "theory": "six depth scales",
    "ratio": "in depth scales",
}
CLASS = partial(AnalysisCommand, needs_nets=False, without=["device", "data_dir"])


def command(context: typer.Context) -> None:
    """Compare up to which depth MLPs train with theory's depth scale, by their initial standard deviation.

    The sweep varies init_std. The depth scale is that of Schoenholz et al. 2017 (arXiv 1611.01232), from a numerical
    mean-field recursion; of residual nets, that of their gradients (Yang & Schoenholz 2017, arXiv 1712.08969). The
    figure is a map of the loss with six depth scales as a line; nothing is trained.
    """
    from resnet_cli.analysis.trainability import measure, summarise

    request: AnalysisRequest = context.obj
    frame = measure(request.select(with_diverged=True))
    table = summarise(frame).dropna(axis="columns", how="all").drop(columns=["task", WIDTH.name])
    show_table("Up to which depth the median loss is below half of the constant answer's", table, HEADERS)
    request.write("trainability", frame)
