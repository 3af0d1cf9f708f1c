"""The look all figures share (colours, lines, markers, fonts), and figures as bytes."""

import io
import itertools
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from resnet_cli.figures.kinds import FORMATS
from resnet_cli.figures.run_table import Split
from resnet_cli.settings.errors import UserError, either, printable

VERMILLION = "#D55E00"
BLUE = "#0072B2"
GREY = "#555555"
PALE_GREY = "#999999"
PALETTE = (VERMILLION, BLUE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours (jfly.uni-koeln.de/color), told apart by colour-blind people; its yellow is too pale here."""
SHADES = ("#7A3300", "#003B66", "#00503A", "#80436A", "#8F6200", "#2F6F94", "#9A9A9A")
"""The same hues darker, and a grey, for figures with more lines than `PALETTE` has colours."""
MARKERS = ("o", "s", "^", "D", "v", "P", "*", "p")

ROLES = ("plain", "residual")
"""The first model of a role takes the colour and the marker that stand in its place."""

MAX_SHADES = 4
"""More values of a setting than this are told apart by hue where there is but one model."""

_LOOK = {
    "figure.dpi": 100,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so a figure looks the same on every machine
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "lines.dashed_pattern": (3.0, 1.3),
    "legend.columnspacing": 1.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "resnet-exp",
    "pdf.fonttype": 42,
}


@contextmanager
def look() -> Iterator[None]:
    """The shared rcParams in a `with` block or a function that it decorates, whatever the user's matplotlibrc says."""
    with matplotlib.style.context(["default", _LOOK]):
        yield


@dataclass(frozen=True)
class ModelStyle:
    """How a model is drawn: colour, and a marker that tells it apart without colour."""

    colour: str
    marker: str


def ordered_models(models: Iterable[str]) -> list[str]:
    """Plain models first, then residual ones, then all others by name.

    A name may continue after a comma, as in `resnet, block size 2`; such names take the place of the model, in the
    given order.
    """
    from resnet_cli.models import all_models, role_of

    known = [name for role in ROLES for name in all_models() if role_of(name) == role]

    def place(name: str) -> tuple[int, str, bool]:
        model, comma, _ = name.partition(", ")
        return (known.index(model) if model in known else len(known), model, bool(comma))

    return sorted(dict.fromkeys(models), key=place)


def by_numbers(text: str) -> list[float | str]:
    """Sorts texts by the numbers in them: 2 before 10, and 1e-05 before 0.1."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)", text)
    return [float(part) if index % 2 else part for index, part in enumerate(parts)]


def model_styles(models: Iterable[str]) -> dict[str, ModelStyle]:
    """A style for each model of one figure.

    The first plain model is vermillion with circles, the first residual one blue with squares; every further model
    takes the next free colour and marker, in the order of `ordered_models`. Names that go on after a comma are shades
    of their model's colour, from dark to light, with a marker for each ending; more than four of a single model are
    styled like models.
    """
    names = ordered_models(models)
    endings: dict[str, list[str]] = {}
    for name in names:
        model, _, ending = name.partition(", ")
        endings.setdefault(model, []).append(ending)
    if len(endings) == len(names) or (len(endings) == 1 and len(names) > MAX_SHADES):
        return _styles_by_family(names)
    markers = dict(zip(dict.fromkeys(itertools.chain(*endings.values())), itertools.cycle(MARKERS)))
    styles = {}
    for model, base in _styles_by_family(endings).items():
        for ending, colour in zip(endings[model], _shades(base.colour, len(endings[model])), strict=True):
            styles[f"{model}, {ending}" if ending else model] = ModelStyle(colour, markers[ending])
    return styles


def _styles_by_family(names: Iterable[str]) -> dict[str, ModelStyle]:
    from resnet_cli.models import role_of

    styles: dict[str, ModelStyle] = {}
    colours = PALETTE + SHADES
    spare = len(ROLES)
    for name in names:
        place = next((place for place, role in enumerate(ROLES) if role_of(name.partition(", ")[0]) == role), spare)
        if place == spare or any(style.colour == PALETTE[place] for style in styles.values()):
            place, spare = spare, spare + 1
        styles[name] = ModelStyle(colours[place % len(colours)], MARKERS[place % len(MARKERS)])
    return styles


def _shades(colour: str, count: int) -> list[str]:
    """`count` shades of `colour` from dark to light; a single one is the colour itself."""
    base = np.array(to_rgb(colour))
    if count == 1:
        return [colour]
    shares = np.linspace(-0.55, 0.45, count)
    return [to_hex(base + share * (1 - base) if share > 0 else base * (1 + share)) for share in shares]


def split_line(colour: str, split: Split) -> dict[str, Any]:
    """Properties of a line: training solid with full markers, test dashed with hollow ones."""
    if split == "train":
        return {"color": colour, "linestyle": "-", "markerfacecolor": colour}
    return {"color": colour, "linestyle": "--", "markerfacecolor": "white"}


def as_text(words: str) -> str:
    """Words of a person or of a file system as a figure shows them: nothing in them is a formula or a control code."""
    shown = "\n".join(map(printable, words.split("\n")))
    return shown.replace("$", r"\$") if shown.count("$") > 1 else shown


def render(figure: Figure, suffix: str, *, dpi: float = 150) -> bytes:
    """The content of a file with a `suffix` such as `.png`; the same figure gives the same bytes.

    An SVG says in words what it shows, for people who cannot see it. `dpi` counts pixels per inch of a PNG.

    Raises:
        UserError: the suffix is not of one of the `FORMATS`, or `dpi` is not positive.
    """
    if suffix[1:] not in FORMATS:
        raise UserError(f"suffix (={suffix}) must be {either([f'.{extension}' for extension in FORMATS])}.")
    if not dpi > 0:
        raise UserError(f"dpi (={dpi}) must be greater than 0.")
    metadata: dict[str, dict[str, Any]] = {
        ".png": {"Software": None},
        ".svg": {"Date": None, "Creator": "resnet-exp"},
        ".pdf": {"CreationDate": None, "Creator": "resnet-exp", "Producer": None},
    }
    content = io.BytesIO()
    with look():
        figure.savefig(content, format=suffix[1:], dpi=dpi, metadata=metadata[suffix])
    return _with_alternative_text(content.getvalue(), figure) if suffix == ".svg" else content.getvalue()


def _with_alternative_text(svg: bytes, figure: Figure) -> bytes:
    head, start, rest = svg.partition(b"<svg ")
    attributes, end, body = rest.partition(b">")
    title, description = (escape(text).encode() for text in alternative_text(figure))
    words = b"\n <title>" + title + b"</title>\n <desc>" + description + b"</desc>"
    return head + start + attributes + b' role="img"' + end + words + body


def alternative_text(figure: Figure) -> tuple[str, str]:
    """The title of a figure, and what it shows: its axes, its panels and its legend in words."""
    shown = [axes for axes in figure.axes if axes.get_visible()]
    x_labels = dict.fromkeys(label for axes in shown if (label := axes.get_xlabel()))
    y_labels = dict.fromkeys(label for axes in shown if (label := axes.get_ylabel()))
    panels = dict.fromkeys(title for axes in shown if (title := axes.get_title()))
    labels = dict.fromkeys(text.get_text() for axes in shown for text in axes.texts if not text.get_text().isdigit())
    entries = dict.fromkeys(text.get_text() for legend in figure.legends for text in legend.get_texts())
    parts = [
        *(text.get_text() for text in figure.texts),
        f"{', '.join(y_labels)} against {', '.join(x_labels)}" if x_labels and y_labels else "",
        f"Panels: {', '.join(panels)}" if panels else "",
        f"Labels: {', '.join(labels)}" if labels else "",
        f"Legend: {', '.join(entries)}" if entries else "",
        *(legend.get_title().get_text() for legend in figure.legends),
    ]
    words = [" ".join(part.split()) for part in parts]
    return " ".join(figure.get_suptitle().split()), " ".join(f"{part.rstrip('.')}." for part in words if part)
