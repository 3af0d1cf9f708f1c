"""`resnet-exp analyze gradients`: gradient norms by layer, at initialisation and during training."""

from functools import partial

import typer

from resnet_cli.cli.analyze.common import AnalysisCommand, AnalysisRequest, show_table
from resnet_cli.cli.help_pages import examples

EPILOG = examples(
    "resnet-exp sweep --config configs/gradients-sine.toml",
    "resnet-exp analyze gradients results/gradients-sine",
    "resnet-exp analyze gradients results/digits --depths 8,20,56 --seeds 0",
)
HEADERS = {
    "first_initial": "first, initial",
    "last_initial": "last, initial",
    "first_trained": "first, trained",
    "last_trained": "last, trained",
    "train_loss": "training loss",
}
MOST_DEPTHS = 3
MOST_SEEDS = 3
CLASS = partial(
    AnalysisCommand, depths=f"{MOST_DEPTHS}, or the deepest if other settings vary", seeds=f"the first {MOST_SEEDS}"
)


def command(context: typer.Context) -> None:
    """Train stored runs again, and measure the gradient of every weight layer on one batch at each evaluation.

    The batch is the first training batch. This takes about as long as training the runs one after another.
    """
    from resnet_cli.analysis.gradients import replay, replay_text, summarise
    from resnet_cli.figures.cells import split_cells
    from resnet_cli.training.data import load_data
    from resnet_cli.training.device import prepare_device, resolve_device

    request: AnalysisRequest = context.obj
    found = request.select(with_diverged=True)
    depths = None
    if request.depths is None:
        depths = 1 if found.varying else MOST_DEPTHS
    results = request.keep_some(found, depths=depths, seeds=MOST_SEEDS)
    split_cells(results.summary())  # rejects too many before anything is trained
    prepare_device(resolve_device(request.device), threads=1)  # as sweeps of several runs do, for the same bits
    frame = request.measure(
        results,
        lambda stored: replay(stored, load_data(stored.run, request.data_dir, request.device), results.varying),
    )
    title = "Gradient norms of the first and the last layer, and training loss after training, median over seeds"
    show_table(title, summarise(frame, results.varying), HEADERS)
    typer.echo(replay_text(frame))
    request.write("gradients", frame)
