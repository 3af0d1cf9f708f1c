"""What a sweep prints before and after: its product, and its results as tables."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from resnet_cli.claims.statistics import BOOTSTRAP, FALSE_DISCOVERY_RATE, SIGN_FLIP_TEST
from resnet_cli.claims.turning_point import FEWEST_DEPTHS, TurningPoint, turning_points
from resnet_cli.cli.long_table import LongTable, plain_table
from resnet_cli.figures.panels import split_panels, value_text
from resnet_cli.settings import registry
from resnet_cli.settings.errors import shorten
from resnet_cli.settings.metrics import METRICS, OTHER_METRIC, OUTCOMES, columns_of, describe
from resnet_cli.settings.ranges import compact
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import RUN_COLUMNS
from resnet_cli.settings.varying import free_settings
from resnet_cli.store.record import RunRecord

if TYPE_CHECKING:
    from resnet_cli.planning.units import Unit

LISTED_FAILURES = 5
LONGEST_MESSAGE = 300
"""Characters of the reason why a run failed, which may come from a foreign folder."""

HEADERS = {"train_loss": "train", "test_loss": "test", "train_error": "train %", "test_error": "test %"}


def loss_text(loss: float) -> str:
    """A loss with three significant digits, such as 0.000213, 0.520 or 2.30; – if there is none, ∞ if it diverged."""
    if math.isfinite(loss):
        return f"{loss:#.3g}".rstrip(".")
    return "–" if math.isnan(loss) else "∞"


def varying_settings(runs: Sequence[Run]) -> list[str]:
    """The settings in which runs of one model and depth differ, without those that follow from another one."""
    names = registry.names_in_order(runs)
    return free_settings(names, (((run.model, run.depth), [run.get(name) for name in names]) for run in runs))


def product_line(runs: Sequence[Run], already_done: int = 0) -> str:
    """How many runs a sweep has and why, such as `39 depths × 2 models × 5 seeds = 390 runs`.

    Where the lists do not multiply, since models differ in their depths or settings, each model is counted by itself.
    """
    settings = varying_settings(runs)
    total = counted(len(runs), "run")
    factors = _factors(runs, settings)
    if math.prod(number for number, _ in factors) == len(runs):
        line = " × ".join(text for _, text in factors) + f" = {total}"
    else:
        line = f"{total}: " + ", ".join(_model_lines(runs, settings))
    return line + (f"; {already_done} already done" if already_done else "")


def _model_lines(runs: Sequence[Run], settings: Sequence[str]) -> Iterator[str]:
    """The product of each model's lists; models with the same product are counted together."""
    alike: dict[str, list[str]] = {}
    for model in dict.fromkeys(run.model for run in runs):
        of_model = [run for run in runs if run.model == model]
        factors = [(number, text) for number, text in _factors(of_model, settings) if text != "1 model"]
        multiply = math.prod(number for number, _ in factors) == len(of_model)
        product = " × ".join(text for _, text in factors) if multiply else counted(len(of_model), "run")
        alike.setdefault(product, []).append(model)
    for product, models in alike.items():
        yield f"{models[0] if len(models) == 1 else f'{len(models)} models each'} {product}"


def _factors(runs: Sequence[Run], settings: Sequence[str]) -> list[tuple[int, str]]:
    counts = [len({run.get(name) for run in runs}) for name in ("depth", "model", "seed")]
    factors = [(n, counted(n, noun)) for n, noun in zip(counts, ("depth", "model", "seed"), strict=True)]
    combinations = len({tuple(map(run.get, settings)) for run in runs})
    if combinations > 1:
        what = "values" if len(settings) == 1 else "settings"
        factors.insert(2, (combinations, f"{combinations} {what} of {' and '.join(settings)}"))
    return factors


def counted(number: int, noun: str) -> str:
    """Such as `1 run` and `390 runs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def plan_listing(runs: Sequence[Run], units: Sequence["Unit"] = ()) -> RenderableType:
    """The runs that a sweep would train, counted by model, and by engine if there are the units that train them."""
    stacks = [unit for unit in units if unit.stacked]
    number = {run: place for place, unit in enumerate(stacks, 1) for run in unit.runs}
    settings = varying_settings(runs)
    groups: dict[tuple[str, bool], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.model, run in number].append(run)
    rows = []
    for (model, stacked), of_group in groups.items():
        cells = {"model": model}
        cells |= {f"{name}s": compact({run[name] for run in of_group}) for name in ("depth", "seed")}
        if settings:
            combinations = {tuple(map(run.get, settings)) for run in of_group}
            cells["settings"] = f"{len(combinations)} of {' and '.join(settings)}"
        if units:
            cells["engine"] = counted(len({number[run] for run in of_group}), "stack") if stacked else "loop"
        rows.append({**cells, "runs": f"{len(of_group):,}"})
    return listing(list(rows[0]), [list(row.values()) for row in rows], right=["runs"])


def depth_table(summary: pd.DataFrame, chances: Mapping[str, float] | None = None) -> RenderableType:
    """A table of depth by model at the end of a sweep, then a sentence per model about its turning point.

    Models with too few depths for a turning point are compared with each other at each of their depths instead.
    Losses and errors are medians over seeds; a diverged run counts as infinitely bad. Where other settings vary, each
    combination has a block, and a model that does not have these settings stands in every block. The best depth is
    green, those after the turning point are red.

    Args:
        summary: one row per run.
        chances: the loss of a constant answer by run id, from `tasks.chance_losses`; without it there is no verdict.
    """
    if summary.empty:
        return Text("no finished runs")
    chances = chances or {}
    panels = split_panels(summary)
    found = turning_points([panel.rows.assign(chance_loss=panel.rows["run_id"].map(chances)) for panel in panels])
    blocks: list[RenderableType] = []
    for panel, points in zip(panels, found, strict=True):
        title = ", ".join([*summary["task"].unique(), *filter(None, [panel.title])])
        few = {point.model for point in points if len(point.depths) < FEWEST_DEPTHS}
        said: dict[str, list[str]] = defaultdict(list)
        for point in points:
            model, _, rest = point.sentence().partition(": ")
            if model not in few:
                said[rest].append(model)
        subjects = [
            (name, rest)
            for rest, names in said.items()
            for name in (names if len(names) < 3 else [f"{len(names)} models"])
        ]
        sentences = "\n".join([*(f"{name}: {rest}" for name, rest in subjects), *_comparisons(panel.rows, few)])
        blocks += [_DepthTable(title, panel.rows, {point.model: point for point in points}), Text(f"\n{sentences}\n")]
    levels = [chances[run_id] for run_id in summary["run_id"] if run_id in chances]
    return Group(*blocks, *_how_tested([point for points in found for point in points], levels))


def _how_tested(points: Sequence[TurningPoint], levels: Sequence[float]) -> Iterator[Text]:
    """What the sentences about turning points mean by chance and by p."""
    tested = [point for point in points if point.trend.p_value is not None]
    if tested:
        value = f", {loss_text(min(levels))}" if max(levels) <= 1.01 * min(levels) else ""
        several = f", corrected for {len(tested)} models (Benjamini-Hochberg)" if len(tested) > 1 else ""
        yield Text(
            f"Chance: the loss of the best constant answer{value}. p: {SIGN_FLIP_TEST} over seeds{several}.\n", "dim"
        )


def _comparisons(summary: pd.DataFrame, models: Collection[str]) -> Iterator[str]:
    """How the training losses of models compare at each depth, if there are too few depths for a turning point."""
    runs = summary[summary["model"].isin(models) & (summary["status"] != "failed")]
    runs = runs.assign(loss=runs["train_loss"].astype(float).mask(runs["status"] == "diverged", math.inf))
    for depth, of_depth in runs.dropna(subset=["loss"]).groupby("depth"):
        by_model = of_depth.groupby("model")["loss"]
        losses = sorted((loss, str(model)) for model, loss in by_model.median().items())
        sizes = sorted(set(by_model.size()))
        seeds = counted(sizes[0], "seed") if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} seeds"
        what = "training loss" if sizes[-1] == 1 else "median training loss"
        (best, best_model), (worst, worst_model) = losses[0], losses[-1]
        if len(losses) == 1:
            told = f"{best_model}'s {what} is {loss_text(best)}"
        elif best == worst:
            told = f"the {what} of {' and '.join(model for _, model in losses)} is the same, {loss_text(best)}"
        elif len(losses) == 2:
            told = f"{best_model}'s {what} is {loss_text(best)}, {worst_model}'s {loss_text(worst)}"
        else:
            told = (
                f"the {what} of {len(losses)} models is lowest for {best_model}, {loss_text(best)}, "
                f"and highest for {worst_model}, {loss_text(worst)}"
            )
        yield f"At depth {depth} {told} ({seeds})."


class _DepthTable:
    """Models side by side if the console is wide enough, otherwise one below the other, so that no number is lost."""

    def __init__(self, title: str, runs: pd.DataFrame, points: Mapping[str, TurningPoint]) -> None:
        counts = runs.groupby(["model", "depth"]).size()
        self.uneven = counts.min() < counts.max() or bool((runs["status"] != "done").any())
        self.spread = counts.max() > 1
        seeds = "over seeds" if self.uneven else f"of {counted(counts.max(), 'seed')}"
        self.title = f"{title}: loss by depth, median {seeds}"
        self.measures = [name for name in OUTCOMES if runs[name].notna().any()]
        self.columns = {
            str(model): self._columns_of(of_model, points.get(str(model)))
            for model, of_model in runs.groupby("model", sort=False)
        }

    def _columns_of(self, runs: pd.DataFrame, point: TurningPoint | None) -> dict[str, dict[int, Text]]:
        columns: dict[str, dict[int, Text]] = defaultdict(dict)
        for depth in sorted(runs["depth"].unique()):
            of_depth = runs[runs["depth"] == depth]
            status = of_depth["status"]
            for name in self.measures:
                values = of_depth[name].astype(float).mask(status == "diverged", METRICS[name].worst)
                values = values[status != "failed"]
                text = cell_text(name, values.median())
                columns[_header(name)][depth] = Text(text, _mark(depth, point) if name == "train_loss" else "")
                if name == "train_loss" and self.spread:
                    columns["min–max"][depth] = Text(_range_text(values.min(), values.max()), "dim")
            if self.uneven:
                bad = [f"{(status == word).sum()} {word}" for word in ("diverged", "failed") if word in set(status)]
                columns["runs"][depth] = Text(", ".join([str(len(of_depth)), *bad]))
        return columns

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.title, "bold")
        beside = self._table(self.columns)
        if Measurement.get(console, options.update(width=10_000), beside).maximum <= options.max_width:
            yield beside
        else:
            for i, model in enumerate(self.columns):
                yield from [Text()] if i else []
                yield self._table([model])

    def _table(self, models: Iterable[str]) -> Table:
        table = listing(["\ndepth"], right=["\ndepth"])
        cells = []
        for model in models:
            columns = self.columns[model]
            widest = "min–max" if "min–max" in columns else next(iter(columns))
            for header, of_depth in columns.items():
                table.add_column(f"{model if header == widest else ''}\n{header}", justify="right", overflow="fold")
                cells.append(of_depth)
        for depth in sorted({depth for of_depth in cells for depth in of_depth}):
            table.add_row(str(depth), *(of_depth.get(depth, "") for of_depth in cells))
        return table


def _range_text(low: float, high: float) -> str:
    if not low < high:  # also where there is no number at all
        return ""
    return "–".join(dict.fromkeys(f"{end:.3g}".replace("inf", "∞") for end in (low, high)))


def _mark(depth: int, point: TurningPoint | None) -> str:
    if point and depth == point.best_depth:
        return "bold green"
    return "red" if point and point.worse_from and depth >= point.worse_from else ""


def comparison_table(table: pd.DataFrame, title: str, names: tuple[str, str], metric: str) -> RenderableType:
    """Two models or sweeps by depth: medians, the mean difference with its interval, p-values, then what they say.

    Args:
        table: from `api.compare` or `api.compare_sweeps`.
        title: what is compared, before the name of the metric.
        names: of the two sides; in two sweeps folders, which are too long for headers.
        metric: that is compared.
    """
    keys = [str(name) for name in table.columns[: table.columns.get_loc("pairs")]]
    headers = [*(describe(key).title for key in keys), "pairs", "median A", "median B", "mean B − A", "95 % interval"]
    headers += ["p", "adjusted p"]
    rows = []
    for row in table.to_dict("records"):
        numbers = {name: _significant(row[name]) for name in ("first", "second", "mean", "low", "high")}
        interval = f"{numbers['low']} to {numbers['high']}" if math.isfinite(row["low"]) else "–"
        shown = [str(row["pairs"]), numbers["first"], numbers["second"], numbers["mean"], interval]
        p_values = [f"{row[name]:.2g}" for name in ("p_value", "adjusted")]
        rows.append([*(value_text(row[key]) for key in keys), *shown, *p_values])
    clear = table["adjusted"] <= FALSE_DISCOVERY_RATE
    lower, higher = (int((clear & side).sum()) for side in (table["mean"] < 0, table["mean"] > 0))
    said = (
        f"At adjusted p ≤ {FALSE_DISCOVERY_RATE:g}, B is lower at {lower} of "
        f"{counted(len(table), 'depth' if keys == ['depth'] else 'row')} and higher at {higher}; the others are open."
    )
    least = 2 / 2 ** int(table["pairs"].max())
    if least > FALSE_DISCOVERY_RATE:
        said += f" With {counted(int(table['pairs'].max()), 'pair')} no p is below {least:.2g}; it takes 6."
    tests = (
        f"Interval: {BOOTSTRAP} of the mean over pairs. p: two-sided {SIGN_FLIP_TEST}; "
        f"adjusted: for {counted(len(table), 'row')} (Benjamini-Hochberg)."
    )
    title = f"{title}: {describe(metric).title}, A = {names[0]}, B = {names[1]}"
    return Group(Text(title, "bold"), listing(headers, rows, right=headers), Text(f"\n{said}"), Text(tests, "dim"))


def _significant(number: float) -> str:
    """A number of either sign with three significant digits; – if there is none, ∞ if it is infinite."""
    if not math.isfinite(number):
        return "–" if math.isnan(number) else "∞" if number > 0 else "−∞"
    return f"{number:.3g}".replace("-", "−", 1) if number < 0 else f"{number:.3g}"


def results_table(summary: pd.DataFrame, metric: str | None = None) -> RenderableType:
    """One row per run, by model, depth and seed: losses, errors in percent, parameters and the settings that vary.

    Status and steps have columns only where runs differ in them; otherwise the heading says them once. With a `metric`,
    it takes the place of losses and errors.
    """
    if summary.empty:
        return Text("no finished runs")
    alike = [name for name in ("status", "step") if len(summary[name].unique()) == 1]
    told = [cell_text(name, summary[name].iloc[0]) + (" steps" if name == "step" else "") for name in alike]
    measures = [name for name in (columns_of(metric) if metric else OUTCOMES) if summary[name].notna().any()]
    settings = [str(name) for name in summary if name not in RUN_COLUMNS]
    unlike = [name for name in ("status", "step") if name not in alike]
    columns = [*unlike, *measures, "parameters", *settings]
    headers = [
        _header(metric if metric and name == OTHER_METRIC else name) if name in measures else name for name in columns
    ]
    ordered = summary.sort_values(["model", "depth", "seed"])
    texts = [ordered["run_id"], *([cell_text(name, value) for value in _values(ordered, name)] for name in columns)]
    styles = map({"done": "", "diverged": "red", "failed": "bold red"}.__getitem__, ordered["status"])
    rows = list(zip(styles, map(list, zip(*texts, strict=True)), strict=True))
    table = LongTable(["run_id", *headers], [False, *(name != "status" for name in columns)], rows)
    return Group(Text(", ".join([counted(len(summary), "run"), *told]), "bold"), table)


def _values(runs: pd.DataFrame, name: str) -> list[Any]:
    """A column as plain values."""
    return runs[name].astype(object).tolist() if name in runs else [None] * len(runs)


def failures(runs: Iterable[RunRecord]) -> Iterator[str]:
    """A line for each reason why runs failed, with the ids of the first ones."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for stored in runs:
        if stored.status == "failed":
            by_reason[shorten(stored.message, LONGEST_MESSAGE) or "no reason is known"].append(stored.run.run_id)
    for reason, ids in by_reason.items():
        more = f" and {len(ids) - LISTED_FAILURES:,} more" if len(ids) > LISTED_FAILURES else ""
        yield f"{counted(len(ids), 'run')} failed: {reason} ({', '.join(ids[:LISTED_FAILURES])}{more})"


def evaluations_table(metrics: pd.DataFrame) -> RenderableType:
    """One row per evaluation of a single run, with the columns of metrics.csv that have values."""
    columns = [name for name in metrics.columns if metrics[name].notna().any()]
    headers = [_header(name) for name in columns]
    rows = [[cell_text(name, row[name]) for name in columns] for row in metrics.to_dict("records")]
    return listing(headers, rows, right=headers)


def listing(headers: Sequence[str], rows: Iterable[Sequence[str]] = (), *, right: Sequence[str] = ()) -> Table:
    """Rows of words under headers, those in the columns `right` at their right edge; long cells fold."""
    table = plain_table(headers, right=right)
    for row in rows:
        table.add_row(*row)
    return table


def _header(name: str) -> str:
    return HEADERS.get(name) or describe(name).title


def cell_text(name: str, value: Any) -> str:
    """A value of a setting or a metric; – where there is none."""
    if math.isnan(value) if type(value) is float else pd.isna(value):
        return "–"
    if name in ("step", "parameters"):
        return f"{value:,.0f}"
    if name == "epoch":
        return f"{value:.2f}"
    if name not in (*METRICS, OTHER_METRIC) or name.startswith("scheduled_"):
        return value_text(value)
    if not describe(name).sign:
        return loss_text(value)
    return f"{value:.2f}" if math.isfinite(value) else "–"
