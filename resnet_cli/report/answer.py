"""The answer on top of a page: which sweep sets plain beside residual nets best, and what its runs show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from resnet_cli.api import compare, sweep_drawings
from resnet_cli.claims.turning_point import turning_points
from resnet_cli.figures.sweep import Drawing
from resnet_cli.models import twins
from resnet_cli.report.captions import value_text
from resnet_cli.report.figures import Numbers, PageFigure, page_figure
from resnet_cli.report.runs import status_counts
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import PAIRS, columns_of, describe
from resnet_cli.store.reader import Results
from resnet_cli.tasks import chance_losses

MOST_OTHERS = 3
"""So many further sweeps are spoken of in the answer."""
FEW_MODELS = 3
SIZE = (5.6, 4.2)
"""Of the figure on top, in inches: smaller than others, so that its labels are larger on a narrow screen."""
TOLD = columns_of(PAIRS[0])[0]


@dataclass(frozen=True)
class NamedSweep:
    """A results folder and what the page calls it."""

    name: str
    results: Results


@dataclass(frozen=True)
class Answer:
    """What the results say, in brief and by test, and the figure below it with the name of its sweep.

    There is no figure if no sweep compares twins.
    """

    sentences: list[str]
    verdicts: list[str]
    figure: PageFigure | None
    sweep: str


def answer(sweeps: Sequence[NamedSweep], numbers: Numbers) -> Answer:
    """What the results say about depth, from the sweeps that hold plain and residual twins of several depths."""
    extent = _extent(sweeps)
    comparing = sorted((sweep for sweep in sweeps if _pairs(sweep.results)), key=_merit, reverse=True)
    drawn = [(sweep, name, drawing) for sweep in comparing for name, drawing in _main_drawing(sweep.results).items()]
    if not drawn:
        return Answer(["No sweep here sets plain beside residual nets at several depths.", extent], [], None, "")
    main, name, drawing = drawn[0]
    figure = page_figure(numbers, (main.name, name), drawing)
    of = f"{figure.subtitle[:1].lower()}{figure.subtitle[1:]}"
    told = [f"{figure.title} ({of})." if of else f"{figure.title}.", *_twin_sentences(main.results)]
    verdicts = [f"{main.name}, {sentence}" for sentence in _verdicts(main.results)]
    for sweep, *_ in drawn[1 : 1 + MOST_OTHERS]:
        told += _twin_sentences(sweep.results, sweep.name)
        verdicts += [f"{sweep.name}, {sentence}" for sentence in _verdicts(sweep.results)]
    return Answer([*told, extent], verdicts, figure, main.name)


def _main_drawing(results: Results) -> dict[str, Drawing]:
    """Loss against depth by the name of that figure, if all of it fits into one."""
    try:
        drawings = sweep_drawings(
            [results], metrics=PAIRS[:1], kinds=["depth"], size=SIZE if not results.varying else None
        )
    except UserError:
        return {}
    return drawings if len(drawings) == 1 else {}


def _pairs(results: Results) -> dict[tuple[str, str], set[tuple[int, int]]]:
    """The twins that have runs of the same depths and seeds, which these are; of several depths only."""
    done: dict[str, set[tuple[int, int]]] = {}
    for stored in results.runs:
        if stored.status != "failed":
            done.setdefault(stored.run.model, set()).add((stored.run.depth, stored.run.seed))
    shared = {pair: done.get(pair[0], set()) & done.get(pair[1], set()) for pair in twins()}
    return {pair: both for pair, both in shared.items() if len({depth for depth, _ in both}) > 1}


def _merit(sweep: NamedSweep) -> tuple[bool, bool, int]:
    """How well a sweep shows what depth does: nothing else varies, few models, many pairs."""
    models = {stored.run.model for stored in sweep.results.runs}
    pairs = sum(map(len, _pairs(sweep.results).values()))
    return not sweep.results.varying, len(models) <= FEW_MODELS, pairs


def _verdicts(results: Results) -> list[str]:
    """Whether each model gets worse with depth, as the table by depth says after a sweep; nothing if settings vary."""
    if results.varying:
        return []
    chances = chance_losses(stored.run for stored in results.runs)
    summary = results.summary()
    (points,) = turning_points([summary.assign(chance_loss=summary["run_id"].map(chances).astype(float))])
    return [point.sentence() for point in points]


def _twin_sentences(results: Results, name: str = "") -> Iterator[str]:
    """What twins reach at the greatest depth that both have, and how often the residual one is lower."""
    if results.varying:
        return
    for plain, residual in _pairs(results):
        deepest = compare(results, plain, residual, metric=TOLD).iloc[-1]
        depth, pairs, lower = (int(deepest[column]) for column in ("depth", "pairs", "lower"))
        count = f"{'all' if lower == pairs else f'{lower} of'} {pairs} pairs" if pairs > 1 else "the only pair"
        which = "lower" if lower or pairs > 1 else "not lower"
        what = f"{'median ' if pairs > 1 else ''}{describe(TOLD).title}"
        first, second = (value_text(deepest[side], TOLD) for side in ("first", "second"))
        yield (
            f"{f'In {name}, at' if name else 'At'} depth {depth} the {what} is {first} in {plain} and {second} in "
            f"{residual}, {which} in {count} of the same seed."
        )


def _extent(sweeps: Sequence[NamedSweep]) -> str:
    """How many runs there are, and how they ended."""
    counts = status_counts(sweep.results for sweep in sweeps)
    runs = sum(counts.values())
    models = {stored.run.model for sweep in sweeps for stored in sweep.results.runs}
    bad = [f"{counts[status]:,} {status}" for status in ("diverged", "failed") if status in counts]
    ended = "all finished" if not bad else f"of which {' and '.join(bad)}"
    words = [(runs, "run"), (len(models), "model"), (len(sweeps), "sweep")]
    number, kinds, folders = (f"{count:,} {word}{'' if count == 1 else 's'}" for count, word in words)
    return f"This page rests on {number} of {kinds} in {folders}, {ended}."
