"""What a sweep shows in one sentence, where its numbers allow one: which models' loss rises with depth for good."""

from dataclasses import dataclass

import pandas as pd
from humanize import natural_list

from resnet_cli.claims.claim import LOSS
from resnet_cli.claims.statistics import SIGN_FLIP_TEST
from resnet_cli.claims.turning_point import FEWEST_DEPTHS, Course, TurningPoint, turning_points
from resnet_cli.figures.run_table import range_text
from resnet_cli.figures.style import ordered_models

FEWEST_SEEDS = 5
MOST_MODELS = 3


@dataclass(frozen=True)
class Finding:
    """A verdict in a sentence, the test behind it with its seeds, and what counts as worse."""

    sentence: str
    statistic: str
    rule: str


def finding(summary: pd.DataFrame, chance: float | None) -> Finding | None:
    """Which models' training loss rises with depth for good, and from where, by `turning_points`.

    None where a sentence would claim too much: no model has a verdict, fewer than five seeds at some depth, fewer than
    three depths, several tasks, more than three models, values of a setting as models, or models that end at different
    depths. Runs that differ in another setting are told apart before.

    Args:
        summary: one row per run.
        chance: the loss of a net with constant output; without it there is no verdict.
    """
    runs = summary[summary["status"] != "failed"]
    seeds = runs.groupby(["model", "depth"])["seed"].nunique()
    models = runs["model"].nunique()
    if not 1 <= models <= MOST_MODELS or len(runs["task"].unique()) > 1 or seeds.min() < FEWEST_SEEDS:
        return None
    if runs["model"].str.contains(", ").any():
        return None
    order = ordered_models(runs["model"])
    (points,) = turning_points([summary.assign(chance_loss=chance)])
    points.sort(key=lambda point: order.index(point.model))
    decided = [point for point in points if point.course in (Course.WORSE, Course.STEADY)]
    if not decided or len({_name(point) for point in points}) < models:
        return None
    if len({point.deepest_depth for point in points}) > 1 or min(len(point.depths) for point in points) < FEWEST_DEPTHS:
        return None
    worse, steady, unclear = (
        [point for point in points if point.course in courses]
        for courses in ([Course.WORSE], [Course.STEADY], [Course.UNCLEAR, Course.NO_VERDICT])
    )
    parts = [
        f"{_name(point)} {'from' if number else 'get worse from'} {point.worse_from} {'on' if number else 'layers on'}"
        for number, point in enumerate(worse)
    ]
    sentence = ", ".join(parts)
    if steady:
        sentence += f"{'; ' if worse else ''}{_names(steady)} do not{'' if worse else ' get worse with depth'}"
    if unclear:
        sentence += f"; it is unclear for {_names(unclear)}"
    tested = f"{SIGN_FLIP_TEST} over {range_text(seeds)} seeds"
    margin = f"{100 * LOSS.margin:g} %"
    p_value = max(point.trend.p_value or 0.0 for point in decided)
    return Finding(
        sentence=sentence[0].upper() + sentence[1:],
        statistic=f"{tested}, p ≤ {p_value:.2g}, up to {points[0].deepest_depth} layers",
        rule=f"worse: training loss higher than at the best depth by over {margin} of the constant answer's",
    )


def _names(points: list[TurningPoint]) -> str:
    return natural_list([_name(point) for point in points])


def _name(point: TurningPoint) -> str:
    from resnet_cli.models import role_of

    role = role_of(point.model)
    return f"{point.model if role == 'other' else role} nets"
