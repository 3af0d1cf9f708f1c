"""What the expressions of pages (see `tests.pages`) are made of: the committed tables, numbers, and tables of them."""

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from resnet_cli.analysis.convergence import compare_twins, measure
from resnet_cli.analysis.counts import count_imagenet_nets
from resnet_cli.analysis.trainability import summarise
from resnet_cli.claims.statistics import two_sided_p
from resnet_cli.claims.turning_point import TurningPoint, turning_points
from resnet_cli.figures.heat import EDGE
from resnet_cli.figures.style import ordered_models
from resnet_cli.figures.transfer import ends
from resnet_cli.models import all_models, get_model
from resnet_cli.models.base import Model
from resnet_cli.settings import registry
from resnet_cli.settings.configs import bundled_configs
from resnet_cli.settings.metrics import COLUMNS, METRICS, OUTCOMES
from resnet_cli.store.packed import analysis_table, table_in
from resnet_cli.store.reader import Results, load_results
from resnet_cli.tasks import all_tasks, constant_answers
from resnet_cli.tasks.base import Task

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs/results"


@cache
def results_of(sweep: str) -> Results:
    """All results of a committed sweep."""
    results = load_results(REFERENCE / sweep)
    assert results.runs, f"{results.folder} holds no runs"
    assert results.problems == []
    return results


@cache
def _summary(sweep: str) -> pd.DataFrame:
    summary = results_of(sweep).summary()
    summary[OUTCOMES] = summary[OUTCOMES].astype(float).mask(summary["status"] == "diverged", math.inf)
    return summary


@cache
def _table(sweep: str, analysis: str) -> pd.DataFrame:
    folder = REFERENCE / sweep
    return pd.read_csv(analysis_table(folder, analysis) or table_in(folder, analysis) or folder)


def _select(frame: pd.DataFrame, where: dict[str, Any]) -> pd.DataFrame:
    for column, wanted in where.items():
        if wanted is not None:
            frame = frame[frame[column].isin(wanted if isinstance(wanted, list | range) else [wanted])]
    assert not frame.empty, f"no row has {where}"
    return frame


def runs(sweep: str, model: str | None = None, depth: object = None, **settings: object) -> pd.DataFrame:
    """The summary of a committed sweep, one row per run; a list or a range stands for any of its values."""
    return _select(_summary(sweep), {"model": model, "depth": depth, **settings})


def rows(sweep: str, analysis: str, **where: object) -> pd.DataFrame:
    """The table of an analysis of a committed sweep."""
    return _select(_table(sweep, analysis), where)


def medians(sweep: str, model: str, column: str = "train_loss", **settings: object) -> "pd.Series[float]":
    """The median over seeds at each depth."""
    return runs(sweep, model, **settings).groupby("depth")[column].median()


def paired(first: pd.DataFrame, second: pd.DataFrame, column: str = "train_loss") -> "pd.Series[float]":
    """First minus second, run by run with the same depth and seed."""
    keys = ["depth", "seed"]
    return (first.set_index(keys)[column] - second.set_index(keys)[column]).dropna()


def seeds(sweep: str, model: str | None = None, **settings: object) -> int:
    """How many seeds a sweep has, each of which must have as many runs as any other."""
    runs_of_seeds = runs(sweep, model, **settings).groupby("seed").size()
    assert len(set(runs_of_seeds)) == 1, f"{sweep} has seeds without all runs"
    return len(runs_of_seeds)


def grid(sweep: str, setting: str, model: str, **where: object) -> pd.DataFrame:
    """The median training loss over seeds by depth (rows) and a setting (columns)."""
    return runs(sweep, model, **where).pivot_table("train_loss", "depth", setting, aggfunc="median")


def trained(sweep: str, setting: str, model: str, **where: object) -> pd.DataFrame:
    """Where these medians lie below half of the loss of a constant answer."""
    (chance,) = {constant_answers([stored.run for stored in results_of(sweep).runs])["loss"]}
    return grid(sweep, setting, model, **where) < EDGE * chance


def trained_to(sweep: str, setting: str, model: str, value: float, **where: object) -> int:
    """The depth up to which all of them do, with one value of the setting."""
    column = trained(sweep, setting, model, **where)[value]
    return int(max(column.index[column.cummin()]))


def in_depth_scales(sweep: str, model: str, *, chaotic: bool, **where: object) -> "pd.Series[float]":
    """How many depth scales deep nets train, one value for each `init_std` at which deeper ones do not."""
    edges = summarise(rows(sweep, "trainability", model=model, **where))
    critical = rows(sweep, "trainability", model=model, **where).groupby("init_std")["chi"].first()
    is_chaotic = edges["init_std"].map(critical > 1)
    return edges.loc[edges["is_edge"] & (edges["trained_to"] > 0) & (is_chaotic == chaotic), "ratio"]


def turning_by(sweep: str, model: str, setting: str) -> dict[Any, TurningPoint]:
    """The turning point of a model for each value of a setting; all are tested together."""
    frame = runs(sweep, model)
    (chance,) = {constant_answers([stored.run for stored in results_of(sweep).runs])["loss"]}
    parts = {value: part.assign(chance_loss=chance) for value, part in frame.groupby(setting)}
    return {value: point for value, (point,) in zip(parts, turning_points(list(parts.values())), strict=True)}


def turning_table(sweep: str, model: str, setting: str) -> str:
    """The turning point for each value of a setting, with the p-value of its test, and the depth of the lowest loss."""
    lines = [f"| {setting} | gets worse from | p | lowest median | loss at the deepest |", "|---|---|---|---|---|"]
    for value, point in turning_by(sweep, model, setting).items():
        turn = f"{point.worse_from} layers on" if point.worse_from else str(point.course)
        p_value = "–" if point.trend.p_value is None else show(point.trend.p_value)
        best = f"{show(point.best_loss)} at {point.best_depth} layers"
        lines.append(f"| {value} | {turn} | {p_value} | {best} | {show(point.deepest_loss)} |")
    return "\n".join(lines)


def lower(first: pd.DataFrame, second: pd.DataFrame, column: str = "train_loss") -> str:
    """In how many pairs of the same depth and seed the first is below the second, such as `7 of 8`."""
    differences = paired(first, second, column)
    return f"{(differences < 0).sum()} of {len(differences)}"


def p_value(differences: "pd.Series[float]") -> float:
    """The two-sided sign-flip test of paired differences; with ten of them it is never below 0.002."""
    return two_sided_p(differences.tolist())


def span(values: "pd.Series[float]") -> str:
    """The least and the greatest, such as `0.12 to 0.5`."""
    return f"{show(values.min())} to {show(values.max())}"


def show(value: float) -> str:
    """Two significant digits, as people write them: 0.0012, 1.6e-4, 96, 1,800, 6.5e13."""
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if not math.isfinite(value):
        return "diverged"
    if value == 0:
        return "0"
    rounded = float(f"{value:.1e}")
    if not 0.001 <= abs(rounded) < 1e7:
        digits, exponent = f"{rounded:.1e}".split("e")
        return f"{digits}e{int(exponent)}"
    decimals = max(0, 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"


def settings_table() -> str:
    """The settings as Markdown, from their own descriptions; those of few models or tasks begin with whose they are."""
    lines, common = [], [setting for setting in registry.declared() if not setting.came_later]
    for setting in [*common, *(one for one in registry.all_settings() if one not in common)]:
        parts: list[Model | Task] = [*all_models().values(), *all_tasks().values()] if setting not in common else []
        owners = sorted(part.name for part in parts if setting in part.settings)
        if set(owners) >= all_models().keys():
            owners = []
        lines.append(f"| `{setting.name}` | {', '.join(owners)}{': ' if owners else ''}{setting.description} |")
    return "\n".join(["| setting | meaning |", "|---|---|", *lines])


def metrics_table() -> str:
    """The columns of metrics.csv as Markdown, from the declarations of the metrics."""
    lines = []
    for column, name in COLUMNS.items():
        metric = METRICS[name]
        unit = f" ({metric.unit})" if metric.unit else ""
        when = f"; recorded {metric.when}" if metric.when else ""
        lines.append(f"| `{column}` | {metric.meaning}{unit}{when} |")
    return "\n".join(["| column | meaning |", "|---|---|", *lines])


def architectures_table() -> str:
    """The CNNs on the digits at their three depths: size, and median, minimum and maximum of what they reached."""
    lines = ["| model | paper | depths | parameters | training loss | test error (%) |", "|---|---|---|---|---|---|"]
    for model in ordered_models(runs("architectures-digits")["model"]):
        frame = runs("architectures-digits", model)
        sizes = frame.groupby("depth")["parameters"].first()
        cells = [
            f"`{model}`",
            get_model(model).paper,
            ", ".join(map(str, sizes.index)),
            f"{sizes.iloc[0] / 1000:.0f} k to {sizes.iloc[-1] / 1000:.0f} k",
            "<br>".join(spreads(frame, "train_loss")),
            "<br>".join(spreads(frame, "test_error")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def spreads(frame: pd.DataFrame, column: str) -> list[str]:
    """Median, minimum and maximum over seeds at each depth."""
    return [spread(values) for _, values in frame.groupby("depth")[column]]


def spread(values: "pd.Series[float]") -> str:
    """Median, minimum and maximum, such as `0.0024 (0.0018 to 0.0031)`; of one: no range; of none: a dash."""
    if values.empty:
        return "–"
    return show(values.median()) + (f" ({span(values)})" if len(values) > 1 else "")


def by_depth(sweep: str, *by: str, column: str = "train_loss", **where: Any) -> str:
    """A table of a sweep: a line for each model and combination of settings, a column for each depth."""
    frame = runs(sweep, **where)
    depths = sorted(frame["depth"].unique())
    heading = ["model", *(name.replace("_", " ") for name in by), *(f"depth {depth}" for depth in depths)]
    lines = [f"| {' | '.join(heading)} |", "|" + "---|" * len(heading)]
    for model in ordered_models(frame["model"]):
        for values, group in frame[frame["model"] == model].groupby(["model", *by], dropna=False):
            named = (f"{value:g}" if isinstance(value, float) else str(value) for value in values[1:])
            cells = [f"`{model}`", *("any" if name in ("nan", "<NA>") else name for name in named)]
            cells += [spread(group.loc[group["depth"] == depth, column]) for depth in depths]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def identity(experiment: str, kind: str, depth: int, init: str) -> "pd.Series[float]":
    """The relative error of stacks that learned to copy their input, one a seed, at the end of training."""
    frame = rows("identity", "identity", experiment=experiment, kind=kind, depth=depth, init=init)
    return frame.sort_values("step").groupby("seed")["relative_error"].last()


def after_appending(sweep: str, model: str, net: str) -> "pd.Series[float]":
    """The training loss at the end of `analyze append`, one a seed."""
    return rows(sweep, "append", model=model, net=net).sort_values("step").groupby("seed")["train_loss"].last()


def gradients_table() -> str:
    """Gradient norms at the start of training, by layer."""
    start = rows("gradients-sine", "gradients", step=0)
    layers = [1, 2, 10, 20, 30]
    lines = [
        "| model | activation | batch norm | " + " | ".join(f"layer {layer}" for layer in layers) + " |",
        "|" + "---|" * (3 + len(layers)),
    ]
    for key, group in start.groupby(["model", "activation", "batch_norm"]):
        norms = group.groupby("layer")["gradient_norm"].median()
        model, activation, batch_norm = map(str, key)
        names = [f"`{model}`", activation, "yes" if batch_norm == "True" else "no"]
        cells = [*names, *(show(norms[layer]) for layer in layers)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def gradients_by_layer(sweep: str) -> str:
    """Gradient norms of some layers before and after training: medians over seeds, with the least and the greatest."""
    frame = rows(sweep, "gradients")
    lines = ["| model | depth | training | first layer | second | in the middle | last |", "|" + "---|" * 7]
    for (_, model), nets in frame.groupby(["depth", "model"]):
        depth = int(nets["depth"].iloc[0])
        layers = {1: "first", 2: "second", depth // 2: "in the middle", depth: "last"}
        for words, step in (("before", 0), ("after", nets["step"].max())):
            found = nets[(nets["step"] == step) & nets["layer"].isin(layers)].rename(columns={"depth": "_"})
            cells = spreads(found.rename(columns={"layer": "depth"}), "gradient_norm")
            lines.append(f"| `{model}` | {depth} | {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def gradient_ratio(sweep: str, model: str, depth: int, step: int = 0) -> "pd.Series[float]":
    """The first layer's gradient norm as a share of the last layer's at a step of the training, one a seed."""
    frame = rows(sweep, "gradients", model=model, depth=depth, step=step, layer=[1, depth])
    norms = frame.pivot_table("gradient_norm", "seed", "layer")
    return norms[1] / norms[depth]


def responses_table(sweep: str) -> str:
    """The standard deviation of responses, averaged over a net's layers: medians over seeds, least and greatest."""
    frame = rows(sweep, "responses")
    depths = sorted(frame["depth"].unique())
    lines = ["| layers | " + " | ".join(f"depth {depth}" for depth in depths) + " |", "|" + "---|" * (1 + len(depths))]
    added = frame[frame["is_added"]]
    parts = {f"all of `{model}`": frame[frame["model"] == model] for model in ordered_models(frame["model"])}
    parts |= {
        f"added to a shortcut in `{model}`": added[added["model"] == model] for model in sorted(set(added["model"]))
    }
    for words, part in parts.items():
        nets = part.groupby(["depth", "seed"])["deviation"].mean().reset_index()
        lines.append(f"| {words} | {' | '.join(spreads(nets, 'deviation'))} |")
    return "\n".join(lines)


def by_size(sweep: str, column: str = "test_error") -> str:
    """A table of a sweep over sizes: a line for each model, a column for each place in the order of sizes."""
    lines, sizes = [], 0
    for model in ordered_models(runs(sweep)["model"]):
        of_size = [group for _, group in runs(sweep, model).groupby("parameters")]
        sizes = max(sizes, len(of_size))
        cells = [f"{spreads(group, column)[0]}<br>{int(group['parameters'].iloc[0]):,} parameters" for group in of_size]
        lines.append(f"| `{model}` | {' | '.join(cells)} |")
    heading = ["model", *(f"size {place}" for place in range(1, sizes + 1))]
    return "\n".join([f"| {' | '.join(heading)} |", "|" + "---|" * len(heading), *lines])


def transfer_table(sweep: str) -> str:
    """Test errors (%) on new classes by number of examples, depth and model: medians over seeds, least and greatest."""
    lines = [
        "| examples of a class | model | depth | after other classes | from scratch | difference | lower |",
        "|" + "---|" * 7,
    ]
    found = ends(rows(sweep, "transfer"), "test_error")
    found["difference"] = found["transferred"] - found["scratch"]
    for (examples, depth, model), pairs in found.groupby(["examples", "depth", "model"]):
        cells = [spreads(pairs, column)[0] for column in ("transferred", "scratch", "difference")]
        lower = f"{(pairs['difference'] < 0).sum()} of {len(pairs)}"
        lines.append(f"| {examples} | `{model}` | {depth} | {' | '.join(cells)} | {lower} |")
    return "\n".join(lines)


def counts_table() -> str:
    """Layers, parameters and multiply-adds of the ImageNet nets, counted."""
    lines = [
        f"| {net} | {layers} | {parameters:,} | {multiply_adds / 1e9:.2f} billion |"
        for net, layers, parameters, multiply_adds in count_imagenet_nets().to_numpy()
    ]
    return "\n".join(["| net | layers | parameters | multiply-adds at 224×224 |", "|---|---|---|---|", *lines])


def configurations_table() -> str:
    """The ready configurations, as the comments on top of their files describe them."""
    lines = [f"| `{name}` | {one.shows}. | {one.runs} | {one.cost} |" for name, one in bundled_configs().items()]
    return "\n".join(["| name | shows | runs | time |", "|---|---|---|---|", *lines])


def race(sweep: str, level: float, depths: range | None = None) -> Any:
    """How often a residual net reaches a training loss before its plain twin of the same depth and seed."""
    stored = [one for one in results_of(sweep).runs if depths is None or one.run.depth in depths]
    plain, residual = (one.run.model for one in (stored[0], stored[-1]))
    return compare_twins(measure(stored, [level], split="train"), [plain, residual]).iloc[1]
