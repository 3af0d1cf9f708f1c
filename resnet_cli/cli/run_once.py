"""`resnet-exp run`: train one model at one depth with one seed, and draw its learning curve."""

from pathlib import Path
from typing import Any

import typer

from resnet_cli.cli.console import complain, make_console
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import CheckpointEvery, CudaGraphs, DataDir, LiveMetric, Recompute
from resnet_cli.settings.errors import UserError, printable
from resnet_cli.settings.metrics import check_metric
from resnet_cli.settings.request import parse_out

EPILOG = examples(
    "resnet-exp run --task sine --model residual-mlp --depth 20",
    "resnet-exp run --task digits --model resnet --depth 20 --epochs 5",
)


def command(
    context: typer.Context,
    data_dir: DataDir = None,
    checkpoint_every: CheckpointEvery = 10.0,
    recompute: Recompute = False,
    cuda_graphs: CudaGraphs = True,
    metric: LiveMetric = "loss",
) -> None:
    """Train one net, print its evaluations, and draw its learning curve.

    Results go to results/single/<run-id> unless --out says otherwise.
    """
    import pandas as pd

    from resnet_cli.cli.live import open_view
    from resnet_cli.cli.tables import evaluations_table
    from resnet_cli.execution.sweep import open_sweep
    from resnet_cli.figures import learning_curves
    from resnet_cli.planning.plan import plan_sweep
    from resnet_cli.store.figures import write_figure
    from resnet_cli.store.layout import FIGURES_FOLDER
    from resnet_cli.tasks import constant_answers

    check_metric(metric)
    request: dict[str, Any] = context.obj
    defaults = {"models": "residual", "depths": 20, "seeds": 0}
    plan = plan_sweep({**defaults, **request})
    if len(plan.runs) > 1:
        raise UserError(
            f"run trains one net, and these settings name {len(plan.runs)}; give one model, depth and seed, "
            "or use `resnet-exp sweep`."
        )
    run = plan.runs[0]
    folder = parse_out(request) or Path("results", "single", run.run_id)
    console = make_console()
    with (
        open_sweep(
            plan,
            folder,
            jobs=1,
            data_dir=data_dir,
            checkpoint_seconds=checkpoint_every,
            recompute=recompute,
            cuda_graphs=cuda_graphs,
        ) as sweep,
        open_view(plan.runs, sweep.finished, console, quiet=False, metric=metric) as view,
    ):
        results = sweep.execute(view.handle)
    stored = next(stored for stored in results.runs if stored.run == run)
    console.print(evaluations_table(pd.DataFrame(stored.history)))
    if stored.status == "failed":
        complain(f"the run failed: {stored.message}")
        raise typer.Exit(1)
    curves = results.curves()
    figure = learning_curves.draw(curves[curves["run_id"] == run.run_id], chance=constant_answers([run]).get("loss"))
    name = "loss-curves" if len(results.runs) == 1 else run.run_id
    (path,) = write_figure(figure, folder / FIGURES_FOLDER, name)
    typer.echo(printable(path))
