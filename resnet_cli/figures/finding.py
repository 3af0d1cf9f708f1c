"""What a sweep shows in one sentence, where its numbers allow one: which models' loss rises with depth for good."""

from dataclasses import dataclass

import pandas as pd
from humanize import natural_list

from resnet_cli.claims.turning_point import FEWEST_DEPTHS, TurningPoint, turning_points
from resnet_cli.figures.run_table import range_text
from resnet_cli.figures.style import ordered_models

FEWEST_SEEDS = 5
MOST_MODELS = 3


@dataclass(frozen=True)
class Finding:
    """A sentence about medians, the statistic and its seeds, and the rule by which models get worse, if any do."""

    sentence: str
    statistic: str
    rule: str


def finding(summary: pd.DataFrame) -> Finding | None:
    """From which depth on the models' median training loss has risen for good, by `turning_points`.

    None where a sentence would claim too much: fewer than five seeds at some depth, fewer than three depths, several
    tasks, more than three models, values of a setting as models, models that end at different depths, or a model that
    diverged everywhere. Runs that differ in another setting are told apart before.
    """
    runs = summary[summary["status"] != "failed"]
    seeds = runs.groupby(["model", "depth"])["seed"].nunique()
    models = runs["model"].nunique()
    if not 1 <= models <= MOST_MODELS or len(runs["task"].unique()) > 1 or seeds.min() < FEWEST_SEEDS:
        return None
    if runs["model"].str.contains(", ").any():
        return None
    order = ordered_models(runs["model"])
    points = sorted(turning_points(summary), key=lambda point: order.index(point.model))
    named = len({_name(point) for point in points})
    if named < models or min(point.depths for point in points) < FEWEST_DEPTHS:
        return None
    if len({point.deepest_depth for point in points}) > 1 or any(point.best_loss == float("inf") for point in points):
        return None
    worse = [point for point in points if point.worse_from is not None]
    same = [_name(point) for point in points if point.worse_from is None]
    if worse:
        first, *others = worse
        parts = [f"{_name(first)} get worse from {first.worse_from} layers on"]
        parts += [f"{_name(point)} from {point.worse_from} on" for point in others]
        sentence = ", ".join(parts) + (f"; {natural_list(same)} do not" if same else "")
    else:
        sentence = f"{natural_list(same)} do not get worse with depth"
    of_margin: dict[str, list[str]] = {}
    for point in worse:
        of_margin.setdefault(f"{point.margin:.2g} times its best level", []).append(point.model)
    margins = [f"{level} ({', '.join(models)})" for level, models in of_margin.items()]
    return Finding(
        sentence=f"By the median, {sentence}",
        statistic=f"medians of {range_text(seeds)} seeds, up to {points[0].deepest_depth} layers",
        rule=f"worse: its training loss stays above {' and '.join(margins)}" if worse else "",
    )


def _name(point: TurningPoint) -> str:
    from resnet_cli.models import role_of

    role = role_of(point.model)
    return f"{point.model if role == 'other' else role} nets"
