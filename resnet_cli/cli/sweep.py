"""`resnet-exp sweep`: train every combination of models, depths, seeds and settings."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resnet_cli.cli.console import complain, make_console, say
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import CheckpointEvery, CudaGraphs, DataDir, LiveMetric, Recompute
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import check_metric
from resnet_cli.settings.request import parse_out

if TYPE_CHECKING:
    from resnet_cli.planning.conditions import Conditions
    from resnet_cli.planning.plan import Plan

EPILOG = examples(
    "resnet-exp sweep --task sine --depths 2..40",
    "resnet-exp sweep --task digits --depths 8,20,32 --seeds 0..2",
    "resnet-exp sweep --config configs/digits.toml --set epochs=5 --set init=default,he",
    note="A list anywhere multiplies the sweep.\n"
    "Exit codes: 0 all runs done, 1 some failed, 2 wrong usage, 75 stopped by --max-hours, 130 interrupted.",
)


def command(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the runs and their estimated cost without training them.")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Shrink the sweep to a few seconds, in <folder>-smoke.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Discard the runs in the results folder and train all.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", min=1, max=1024, help="Number of processes. (default: one per core; on CUDA one per GPU)"
        ),
    ] = None,
    runs_per_gpu: Annotated[
        int | None,
        typer.Option("--runs-per-gpu", min=1, max=64, help="Processes that share a GPU, for small nets. (default: 1)"),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            "--executor",
            metavar="NAME",
            help="Where runs are trained: local (processes on this machine), ray (a Ray cluster), or another one.",
        ),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="ADDRESS",
            help="Of the Ray cluster: auto, HOST:PORT or ray://HOST:PORT. (default: Ray is started on this machine)",
        ),
    ] = None,
    metric: LiveMetric = "loss",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print failures only.")] = False,
    data_dir: DataDir = None,
    checkpoint_every: CheckpointEvery = 10.0,
    recompute: Recompute = False,
    cuda_graphs: CudaGraphs = True,
    save_models: Annotated[
        bool,
        typer.Option(
            "--save-models",
            help="Keep final weights, for `resnet-exp analyze`; finished runs without them are trained again.",
        ),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Train the I-th of N shares of the runs, of about equal cost, such as 3/16; several machines may "
            "do so in one folder at the same time, or in folders that `resnet-exp merge` joins.",
        ),
    ] = None,
    max_hours: Annotated[
        float | None,
        typer.Option(
            "--max-hours",
            metavar="HOURS",
            help="Stop after this time with exit code 75, unless all is done; the same command resumes.",
        ),
    ] = None,
) -> None:
    """Train plain and residual nets over a range of depths; one CSV per run, a table and a turning point at the end.

    Finished runs are kept: the same command again, or a wider one, trains only what is missing.
    """
    from resnet_cli.cli.budget import Budget
    from resnet_cli.execution.executors import conditions_of
    from resnet_cli.planning.plan import plan_sweep, requested_tasks
    from resnet_cli.planning.shards import parse_shard, take_shard

    check_metric(metric)
    budget = Budget(max_hours)
    request: dict[str, Any] = context.obj
    out = parse_out(request)
    names = requested_tasks(request)
    share = None if shard is None else parse_shard(shard)
    plans = [plan_sweep({**request, "task": name}, smoke=smoke) for name in names]
    failed = False
    for plan in plans if share is None else [take_shard(plan, share) for plan in plans]:
        folder = _results_folder(out, plan.task.name, several=len(names) > 1, smoke=smoke)
        options: dict[str, Any] = {
            "jobs": jobs,
            "runs_per_gpu": runs_per_gpu,
            "executor": executor,
            "address": address,
            "data_dir": data_dir,
            "checkpoint_seconds": checkpoint_every,
            "recompute": recompute,
            "cuda_graphs": cuda_graphs,
            "save_models": save_models,
        }
        if not plan.runs:
            if not quiet:
                say(make_console(), f"{plan.task.name}: {_share_line(plan)}; there is nothing to do.")
        elif dry_run:
            _print_plan(plan, conditions_of(plan, folder, **options), fresh)
        else:
            with budget:
                failed |= _execute(plan, folder, quiet, metric, fresh=fresh, **options)
    if failed:
        raise typer.Exit(1)


def _results_folder(out: Path | None, task: str, *, several: bool, smoke: bool) -> Path:
    """`out`, or results/<task>; one folder per task if there are several; smoke runs are kept apart.

    Raises:
        UserError: smoke runs cannot be beside the root of the file system.
    """
    folder = out or Path("results")
    if several or out is None:
        folder /= task
    if not smoke:
        return folder
    if folder.name in ("", ".."):
        folder = folder.resolve()
    if not folder.name:
        raise UserError(
            f"out (={out}) has no folder beside it, where the runs of --smoke would go; choose another with --out."
        )
    return folder.with_name(f"{folder.name}-smoke")


def _print_plan(plan: "Plan", conditions: "Conditions", fresh: bool) -> None:
    """Print the runs of a sweep that are left, and what they would cost."""
    from resnet_cli.cli.tables import plan_listing, product_line
    from resnet_cli.execution.executors import get_executor
    from resnet_cli.execution.executors.base import check_machine
    from resnet_cli.planning.disk import disk_of
    from resnet_cli.planning.estimate import estimate
    from resnet_cli.planning.memory import memory_of
    from resnet_cli.planning.units import make_units, what_is_left
    from resnet_cli.settings.run import Run

    console = make_console()
    say(console, f"{plan.task.name}: {product_line([*plan.runs, *plan.others])}, into {conditions.folder}")
    if plan.shard:
        say(console, f"{_share_line(plan)}.")
    for note in plan.notes:
        say(console, note)
    units = make_units(plan, conditions)

    def show_progress(run: Run) -> None:
        status.update(f"Measuring {run.model} at depth {run.depth} …")

    left, finished = what_is_left(units, conditions, fresh=fresh)
    if left:
        console.print(plan_listing([run for unit in left for run in unit.unfinished], left))
    if finished:
        say(console, f"Finished already: {len(finished):,} of {len(plan.runs):,} runs.")
    if not left:
        say(console, "Nothing is left to train.")
        return
    try:
        get_executor(conditions.executor).check(plan.runs, conditions)
        check_machine(plan.runs, conditions)  # steps are timed here, wherever the runs are trained
        with console.status("Measuring …") as status:
            cost = estimate(left, conditions, on_timing=show_progress)
        for problem in cost.problems:
            say(console, problem)
        say(console, f"Estimated cost: {cost}.")
    except UserError as error:  # the plan can be looked at before its data set is there, or where it is not trained
        say(console, f"Estimated cost: unknown, because {error}")
    memory = memory_of(left, conditions)
    say(console, f"Memory: {memory}." if memory else "Memory: unknown, because a net cannot be run without numbers.")
    say(console, f"Disk: {disk_of(left, conditions)}.")


def _execute(plan: "Plan", folder: Path, quiet: bool, metric: str, **options: Any) -> bool:
    """Execute a sweep and show its progress. Returns whether a run failed."""
    from resnet_cli.cli.live import open_view
    from resnet_cli.cli.tables import depth_table, plan_listing, product_line
    from resnet_cli.execution.sweep import open_sweep
    from resnet_cli.figures.run_table import in_given_order
    from resnet_cli.tasks import chance_losses

    console = make_console()
    with open_sweep(plan, folder, **options) as sweep:
        for problem in sweep.problems:
            complain(problem)
        if not quiet:
            if plan.shard:
                say(console, f"{plan.task.name}: {product_line([*plan.runs, *plan.others])}")
                say(console, f"{_share_line(plan)}; {len(sweep.finished):,} already done.")
            else:
                say(console, f"{plan.task.name}: {product_line(plan.runs, len(sweep.finished))}")
            for note in plan.notes:
                say(console, note)
        with open_view(plan.runs, sweep.finished, console, quiet=quiet, metric=metric) as view:
            results = sweep.execute(view.handle)
    everything = [*plan.runs, *plan.others]
    summary = results.summary()
    summary = summary[summary["run_id"].isin([run.run_id for run in everything])]
    stored = {*summary["run_id"]}
    if not quiet:
        console.print()
        console.print(depth_table(in_given_order(summary, results.given_values()), chance_losses(everything)))
        if missing := [run for run in plan.others if run.run_id not in stored]:
            console.print()
            say(console, f"Other shards have still to do {len(missing):,} of {len(everything):,} runs:")
            console.print(plan_listing(missing))
        shown = shlex.quote(str(folder))
        console.print(f"Results: {folder}", soft_wrap=True)
        console.print(f"Figures: resnet-exp plot {shown}", soft_wrap=True)
        console.print(f"Each run: resnet-exp show {shown}", soft_wrap=True)
    own = summary[summary["run_id"].isin([run.run_id for run in plan.runs])]
    failures = int((own["status"] == "failed").sum())
    if failures:
        complain(f"{failures} of {len(plan.runs)} runs failed; `resnet-exp show {folder}` says which and why.")
    return failures > 0


def _share_line(plan: "Plan") -> str:
    """What a share holds, such as `Shard 3/16 has 25 of 390 runs`."""
    return f"Shard {plan.shard} has {len(plan.runs):,} of {len(plan.runs) + len(plan.others):,} runs"
