"""Working with results in a notebook: figures of a sweep, two models compared pair by pair, trained nets.

These functions are available from `resnet_cli` itself; see `docs/python.md`.
"""

import pkgutil
from collections.abc import Sequence
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure
from torch import nn

from resnet_cli import figures
from resnet_cli.analysis.counts import IMAGE, count_imagenet_nets, imagenet_net
from resnet_cli.analysis.trained_nets import read_net
from resnet_cli.claims.paired import compare_sides
from resnet_cli.figures import counts, learning_curves, loss_by_depth, net_diagram, panels, survival, winners
from resnet_cli.figures.kinds import OF_RUNS
from resnet_cli.figures.run_table import SWEEP, in_given_order
from resnet_cli.figures.sweep import Drawing, sweep_figures
from resnet_cli.models import describe_net
from resnet_cli.models.base import StochasticDepth
from resnet_cli.models.count import count_multiply_adds
from resnet_cli.models.diagram import trace_net
from resnet_cli.models.imagenet import DRAWN
from resnet_cli.models.settings import SURVIVAL
from resnet_cli.settings import registry
from resnet_cli.settings.errors import UserError, did_you_mean, either, printable, unknown_name
from resnet_cli.settings.metrics import PAIRS, columns_of, describe
from resnet_cli.settings.run import Run
from resnet_cli.store.combine import combine, sweep_names
from resnet_cli.store.reader import Results, load_results
from resnet_cli.store.tables import read_table
from resnet_cli.tasks import constant_answers, get_task

plot_winners = winners.draw


def plot_loss_by_depth(results: Results, *, metric: str = "loss", by: str | None = None, **options: Any) -> Figure:
    """Loss or error after training against depth: a median line over seeds with a band, and a dot for each run.

    Args:
        results: of one task.
        metric: `loss` (mean squared error, or cross-entropy in nats), `error` (percent of examples), or any other
            of the runs, such as `gradient_norm`.
        by: a setting whose values are compared as lines in one panel, instead of a panel for each.
        options: `scale` (`log`, `linear`, or `auto`: log for a loss, linear for an error), `splits` (which of `train`
            and `test`), `title` (instead of the automatic one) and `size` (width and height in inches).

    Raises:
        UserError: there is nothing to draw, the task has no such metric, runs do not differ in `by`, one figure cannot
            show all combinations of settings, or an option has no such value.
    """
    rows, chance = _drawn_rows(results, results.summary(metric), metric, by)
    return loss_by_depth.draw(rows, metric=metric, chance=chance, **options)


def plot_learning_curves(results: Results, *, metric: str = "loss", by: str | None = None, **options: Any) -> Figure:
    """Loss or error during training: medians over seeds, with one line per depth and one panel per model.

    Args:
        results, metric: as for `plot_loss_by_depth`.
        by: a setting whose values are compared as lines, with one panel per depth.
        options: those of `plot_loss_by_depth`, and `x`: `step` (optimiser steps) or `epoch` (passes over the data).
    """
    rows, chance = _drawn_rows(results, results.curves(metric), metric, by)
    lines: Literal["depth", "model"] = "depth" if by is None else "model"
    return learning_curves.draw(rows, metric=metric, lines=lines, chance=chance, **options)


def _drawn_rows(
    results: Results, frame: pd.DataFrame, metric: str, by: str | None
) -> tuple[pd.DataFrame, float | None]:
    """A table of runs as figures take it, and what a net reaches that always gives the same answer."""
    rows = in_given_order(frame, results.given_values())
    chance = constant_answers(stored.run for stored in results.runs).get(metric)
    return rows if by is None else panels.compare(rows, by), chance


def sweep_drawings(
    group: Sequence[Results],
    *,
    metrics: Sequence[str] = PAIRS,
    kinds: Sequence[str] = tuple(OF_RUNS),
    by: Sequence[str] = (),
    title: str | None = None,
    size: tuple[float, float] | None = None,
    **options: Any,
) -> dict[str, Drawing]:
    """How to draw the figures of one sweep, or of several as lines of the same figures, by file name.

    Args:
        group: of one task.
        metrics: `loss`, `error` and any other metric of the runs.
        kinds: names of `figures.kinds.OF_RUNS`.
        by, title, size, options: as for `figures.sweep.sweep_figures`; UserErrors too.
    """
    given = {name: values for results in group for name, values in results.given_values().items()}
    chances = constant_answers(stored.run for results in group for stored in results.runs)
    shared: dict[str, Any] = {"kinds": kinds, "by": by, "chances": chances, "title": title, "size": size, **options}
    results, *others = group
    names = given[SWEEP] = sweep_names(group)
    drawings: dict[str, Drawing] = {}
    for metric in metrics:
        tables = combine(group, metric) if others else (results.summary(metric), results.curves(metric))
        drawings |= sweep_figures(*tables, metrics=[metric], given=given, **shared)
    if others:
        held = "-and-".join(map(panels.as_file_name, names)) if len(names) <= 3 else f"{len(names)}-sweeps"
        return {f"{name}-of-{held}": draw for name, draw in drawings.items()}
    if SURVIVAL.name in kinds and SURVIVAL.name in results.varying and not by:
        draw = partial(plot_survival, results, title=title, size=size)
        drawings[SURVIVAL.name] = Drawing(SURVIVAL.name, "", results.curves(), draw)
    return drawings


@cache
def analysis_figures() -> dict[str, ModuleType]:
    """The module in figures/ that draws the table of each analysis, by the name that it has as `ANALYSIS`."""
    modules = [import_module(f"{figures.__name__}.{info.name}") for info in pkgutil.iter_modules(figures.__path__)]
    return {module.ANALYSIS: module for module in modules if hasattr(module, "ANALYSIS")}


def plot_analysis(kind: str, table: pd.DataFrame | str | Path, **options: Any) -> Figure:
    """The figure of an analysis from its table, such as `plot_analysis("paths", "results/mine/analysis/paths.csv")`.

    Args:
        kind: the name of a command of `resnet-exp analyze`.
        table: what `resnet-exp analyze KIND` wrote, or some rows of it.
        options: what the kind's own `draw` takes, such as `unit="epoch"` for convergence.

    Raises:
        UserError: there is no such kind, the table is not one of that kind or cannot be read, or one figure cannot
            show all of it.
    """
    kinds = analysis_figures()
    if kind not in kinds:
        raise unknown_name("kind", kind, kinds)
    if not isinstance(table, pd.DataFrame):
        try:
            table = read_table(Path(table))
        except (OSError, ValueError) as error:
            raise UserError(f"table (={table}) cannot be read: {error}.") from None
    try:
        figure: Figure = kinds[kind].draw(table, **options)
    except KeyError as error:
        raise UserError(f"table: it has no column {error}, so `resnet-exp analyze {kind}` did not write it.") from None
    return figure


def plot_survival(results: Results, *, title: str | None = None, size: tuple[float, float] | None = None) -> Figure:
    """Stochastic depth: the survival probability of each block above the test error or loss during training.

    Runs must differ in `survival`, or UserError is raised. `title` replaces the automatic one; `size` is in inches.
    """
    if SURVIVAL.name not in results.varying:
        raise UserError(f"{printable(results.folder)} holds no runs that differ in survival.")
    blocks = {}
    for stored in results.runs:
        if stored.run.get(SURVIVAL) is not None:
            task = get_task(stored.run.task)
            net = describe_net(stored.run, task.input_shape(stored.run), task.outputs)
            blocks[stored.run.run_id] = sum(isinstance(module, StochasticDepth) for module in net.modules())
    curves = results.curves()
    rows = curves.assign(blocks=curves["run_id"].map(blocks)).dropna(subset="blocks")
    return survival.draw(rows, title=title, size=size)


def plot_counts(*, title: str | None = None, size: tuple[float, float] | None = None) -> Figure:
    """Parameters and multiply-adds of VGG, ResNet and DenseNet, counted, beside the numbers that texts give."""
    return counts.draw(count_imagenet_nets(), title=title, size=size)


def plot_networks(*, title: str | None = None, size: tuple[float, float] | None = None) -> Figure:
    """VGG-19, plain-34 and ResNet-34 layer by layer, as in He et al. 2015, Fig. 3, drawn from the nets themselves."""
    nets = []
    for name, (model, depth) in DRAWN.items():
        net = imagenet_net(model, depth)
        caption = f"{count_multiply_adds(net, IMAGE) / 1e9:.1f} billion multiply-adds"
        nets.append(net_diagram.Net(name, caption, trace_net(net, IMAGE)))
    figure = net_diagram.draw(nets, title=title or either(DRAWN, "and"))
    if size is not None:
        figure.set_size_inches(size)
    return figure


def compare(results: Results, first: str, second: str, *, metric: str = "train_loss") -> pd.DataFrame:
    """How much lower or higher the second model ends than the first, pair by pair.

    The runs of a pair have the same depth and seed, and the same values of all settings that both models have. A
    diverged run counts as infinitely bad. Failed runs are left out.

    Args:
        results: with runs of both models.
        first: a model, such as `plain-mlp`.
        second: another, such as `residual-mlp`.
        metric: what to compare after training, such as `test_error` (percent); `loss` is the training loss.

    Returns:
        One row per depth, and per combination of the settings that vary, which have columns of their own; the other
        columns are those of `claims.paired.compare_sides`: `pairs`, the medians `first` and `second`, the median
        `difference` with `least` and `greatest`, `lower`, the `mean` difference with a 95 % interval from `low` to
        `high`, and `p_value`, also `adjusted` for the number of rows.

    Raises:
        UserError: a model or the metric is not there, or the models share no depth and seed.
    """
    runs = _measured(results, results.varying, metric)
    for model in (first, second):
        if model not in set(runs["model"]):
            raise unknown_name("model", model, sorted(set(runs["model"])))
    sides = [runs[runs["model"] == model].drop(columns="model") for model in (first, second)]
    return _compared(sides[0], sides[1], ["depth", *results.varying], f"{first} and {second}")


def compare_sweeps(first: Results, second: Results, *, metric: str = "train_loss") -> pd.DataFrame:
    """How much lower or higher the runs of the second sweep end than those of the first, pair by pair.

    The runs of a pair have the same model, depth and seed, and the same values of all settings that vary in either
    sweep; other settings, which each sweep holds fixed, are what is compared.

    Returns:
        As `compare`, with a row for each model.

    Raises:
        UserError: the metric is not there, or the sweeps share no model, depth and seed.
    """
    varying = list(dict.fromkeys([*first.varying, *second.varying]))
    sides = [_measured(results, varying, metric) for results in (first, second)]
    names = " and ".join(printable(results.folder) for results in (first, second))
    return _compared(sides[0], sides[1], ["model", "depth", *varying], names)


def differing_settings(first: Results, second: Results) -> dict[str, tuple[str, str]]:
    """The settings that each of two sweeps holds fixed, at different values, as text."""
    runs = [[stored.run for stored in results.runs] for results in (first, second)]
    names = registry.names_in_order(run for side in runs for run in side)
    found = {name: tuple({run.get(name) for run in side} - {None} for side in runs) for name in names}
    return {
        name: (str(*one), str(*other))
        for name, (one, other) in found.items()
        if len(one) == len(other) == 1 and one != other
    }


def _measured(results: Results, settings: Sequence[str], metric: str) -> pd.DataFrame:
    """The `value` of a metric after training for each run that did not fail, with its settings."""
    summary, column = results.summary(metric), columns_of(metric)[0]
    summary = summary.assign(**{name: [stored.run.get(name) for stored in results.runs] for name in settings})
    summary = summary[summary["status"] != "failed"]
    diverged = summary["status"] == "diverged"
    if (measured := summary.loc[~diverged, column]).size and measured.isna().all():
        raise UserError(f"metric (={metric}): these runs have none; errors are recorded for classification tasks only.")
    values = summary[column].astype(float).mask(diverged, describe(metric).worst)
    return summary[["model", "depth", "seed", *settings]].assign(value=values)


def _compared(first: pd.DataFrame, second: pd.DataFrame, by: Sequence[str], names: str) -> pd.DataFrame:
    """`compare_sides` without settings that no run of a side has."""
    table = compare_sides(first.dropna(axis="columns", how="all"), second.dropna(axis="columns", how="all"), by)
    if table.empty:
        raise UserError(f"{names} have no depth and seed in common, so no pairs can be compared.")
    return table


def load_net(folder: str | Path, run: Run | str) -> nn.Module:
    """The trained net of a run that was saved with `save_models`, on the CPU in evaluation mode.

    `run` may be its id. If the folder has no such run, or no usable net of it, UserError is raised.
    """
    folder = Path(folder)
    if isinstance(run, str):
        runs = {stored.run.run_id: stored.run for stored in load_results(folder).runs}
        if run not in runs:
            raise UserError(f"run (={run}) is not among the {len(runs)} runs of {folder}{did_you_mean(run, runs)}.")
        run = runs[run]
    task = get_task(run.task)
    return read_net(folder, run, task.input_shape(run), task.outputs).eval()
