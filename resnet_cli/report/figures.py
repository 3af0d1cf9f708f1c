"""The figures of a page: each with what it says, what to see in it, and its data."""

import io
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from resnet_cli.api import analysis_figures, plot_analysis, sweep_drawings
from resnet_cli.figures.sweep import Drawing
from resnet_cli.report.captions import caption_of, caption_of_table
from resnet_cli.report.data import MOST_CHARACTERS, as_csv, data_link, figure_data, file_name
from resnet_cli.report.svg import inline_svg
from resnet_cli.settings.errors import UserError, shorten
from resnet_cli.settings.metrics import PAIRS
from resnet_cli.store.reader import Results
from resnet_cli.store.tables import read_table_text

HIGH = 480
"""In pixels on a screen."""
Numbers = Iterator[int]
"""One for each figure of a page: ids in a picture begin with it, and are short, since they are many."""


@dataclass(frozen=True)
class PageFigure:
    """A figure of the page.

    Attributes:
        name: its id in the page.
        title: what it shows, or its finding.
        subtitle: its smaller title.
        notes: the notes of its legend.
        caption: what to see, from the data.
        svg: the `<svg>` element.
        colours: that the picture contains.
        keeps_colours: whether it contains pictures of fixed colours, so that it needs a light ground.
        is_high: whether it has several rows of panels, so that it needs a page of its own on paper.
        data: a link that contains its data as CSV; empty where they are too long.
        data_name: the name of that file.
    """

    name: str
    title: str
    subtitle: str
    notes: str
    caption: str
    svg: str
    colours: frozenset[str]
    keeps_colours: bool
    is_high: bool
    data: str
    data_name: str


@dataclass(frozen=True)
class NotDrawn:
    """A figure that could not be drawn, and why."""

    name: str
    reason: str


def figures_of_sweep(
    numbers: Numbers, results: Results, name: str, kinds: Collection[str], *, shown: str = ""
) -> Iterator[PageFigure | NotDrawn]:
    """The figures that `plot` draws of one sweep, which the page calls `name`, but not the one `shown` already."""
    if all(stored.status == "failed" for stored in results.runs):
        return
    try:
        drawings = sweep_drawings([results], metrics=PAIRS, kinds=list(kinds))
    except UserError as error:
        yield NotDrawn(name, str(error))
        return
    for figure, drawing in drawings.items():
        if file_name("figure", name, figure, ending="") == shown:
            continue
        try:
            yield page_figure(numbers, (name, figure), drawing)
        except UserError as error:  # such as runs that cannot be told apart: the other figures are drawn
            yield NotDrawn(f"{name}, {figure}", str(error))


def figures_of_analyses(numbers: Numbers, folder: Path, name: str) -> Iterator[PageFigure | NotDrawn]:
    """The figures of the analyses whose tables lie in a folder, of a sweep or of something that the page calls `name`.

    Tables of anything else are not looked at.
    """
    for path in sorted(folder.glob("*.csv*")):
        kind, _, ending = path.name.partition(".")
        if kind not in analysis_figures() or ending not in ("csv", "csv.gz"):
            continue
        try:
            text = read_table_text(path)
            table = pd.read_csv(io.StringIO(text))
            caption = caption_of_table(table)
            yield _page_figure(numbers, (name, kind), partial(plot_analysis, kind, table), caption, text)
        except UserError as error:
            yield NotDrawn(f"{name}, {kind}", str(error))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            yield NotDrawn(f"{name}, {kind}", shorten(reason, 200))


def page_figure(numbers: Numbers, names: tuple[str, str], drawing: Drawing) -> PageFigure:
    """A figure of a sweep, drawn, by the names of both. Raises UserError if it cannot be drawn."""
    return _page_figure(numbers, names, drawing, caption_of(drawing), as_csv(figure_data(drawing)))


def _page_figure(
    numbers: Numbers, names: tuple[str, str], draw: Callable[[], Figure], caption: str, text: str
) -> PageFigure:
    name = file_name("figure", *names, ending="")
    drawn = inline_svg(draw(), f"f{next(numbers)}")
    return PageFigure(
        name=name,
        title=drawn.title,
        subtitle=drawn.subtitle,
        notes=drawn.notes,
        caption=caption,
        svg=drawn.markup,
        colours=drawn.colours,
        keeps_colours="<image" in drawn.markup,
        is_high=drawn.height > HIGH,
        data=data_link(text) if len(text) <= MOST_CHARACTERS else "",
        data_name=file_name(*names, ending=".csv"),
    )
