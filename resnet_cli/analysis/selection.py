"""Choosing among stored runs, of which an analysis would take too long, or draw too much, with all."""

from collections.abc import Sequence
from dataclasses import replace

from resnet_cli.figures.panels import evenly
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.ranges import compact
from resnet_cli.store.reader import Results, find_results
from resnet_cli.store.record import RunRecord
from resnet_cli.store.selection import EVERYTHING, Selection


def select_runs(results: Results, selection: Selection = EVERYTHING, *, with_diverged: bool = False) -> Results:
    """The finished runs of a results folder that a selection keeps.

    Diverged runs are left out unless `with_diverged`, because their nets are useless.

    Raises:
        UserError: there is no such run, or as `Selection.apply`.
    """
    statuses = ("done", "diverged") if with_diverged else ("done",)
    finished = [stored for stored in results.runs if stored.status in statuses]
    if not finished:
        below = [str(place) for place in find_results(results.folder) if place != results.folder]
        hint = f"give one of {', '.join(below)}" if below else "finish a sweep with `--save-models` there first"
        raise UserError(f"{results.folder} holds no finished run of its own; {hint}.")
    return selection.apply(replace(results, runs=finished))


def some_runs(runs: Sequence[RunRecord], *, depths: int | None, seeds: int | None) -> list[RunRecord]:
    """The runs at no more than `depths` depths of each model and with no more than `seeds` seeds; None keeps all.

    Depths are spread evenly over those that all models have, or where these are too few, over each model's own; the
    deepest is always among them. Seeds are the lowest.
    """
    kept_seeds = sorted({stored.run.seed for stored in runs})[:seeds]
    models = {stored.run.model for stored in runs}
    own = {model: {stored.run.depth for stored in runs if stored.run.model == model} for model in models}
    shared = set.intersection(*own.values()) if depths and own else set()
    kept_depths = own
    if depths is not None:
        kept_depths = {m: set(evenly(sorted(shared if len(shared) >= depths else own[m]), depths)) for m in models}
    return [
        stored for stored in runs if stored.run.seed in kept_seeds and stored.run.depth in kept_depths[stored.run.model]
    ]


def selection_text(kept: Sequence[RunRecord], runs: Sequence[RunRecord]) -> str:
    """A sentence that says which runs were kept, or nothing if all were."""
    if len(kept) == len(runs):
        return ""
    named = []
    for name in ("depth", "seed"):
        values = {stored.run.get(name) for stored in kept}
        named.append(f"{name}{'s' if len(values) > 1 else ''} {compact(values)}")
    return f"Using {len(kept)} of {len(runs)} runs, {' and '.join(named)}; choose others with --depths and --seeds."
