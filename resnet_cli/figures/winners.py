"""The nets that won ImageNet's classification task from 2010 to 2015: their top-5 error and their number of layers.

After the chart in He et al.'s slides "Deep Residual Learning" (ILSVRC and COCO workshop, ICCV 2015). Errors are those
of the entries on the test set (Russakovsky et al. 2015, "ImageNet Large Scale Visual Recognition Challenge", arXiv
1409.0575, §5); layers are those of Krizhevsky et al. 2012 (AlexNet), Zeiler & Fergus 2013 (ZFNet, arXiv 1311.2901),
Simonyan & Zisserman 2014 (VGG, arXiv 1409.1556, second in 2014), Szegedy et al. 2014 (GoogLeNet, arXiv 1409.4842) and
He et al. 2015 (ResNet, arXiv 1512.03385).
"""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from resnet_cli.figures.axes import finish, new_grid
from resnet_cli.figures.style import BLUE, GREY, VERMILLION, look


class Entry(NamedTuple):
    """One entry of the competition; `layers` is None for methods that are not deep nets."""

    year: int
    name: str
    error: float  # top-5, percent
    layers: int | None


ENTRIES = (
    Entry(2010, "", 28.2, None),
    Entry(2011, "", 25.8, None),
    Entry(2012, "AlexNet", 16.4, 8),
    Entry(2013, "ZFNet", 11.7, 8),
    Entry(2014, "VGG", 7.3, 19),
    Entry(2014, "GoogLeNet", 6.7, 22),
    Entry(2015, "ResNet", 3.57, 152),
)
SECOND = "VGG"
RESIDUAL = "ResNet"
_SHALLOW = "#A0A0A0"


@look()
def draw(*, title: str | None = None, size: tuple[float, float] | None = None) -> Figure:
    """Top-5 error and depth of the ImageNet winners, 2010 to 2015, as published; `title` replaces the finding."""
    figure, ((upper,), (lower,)) = new_grid(size or (6.4, 5.6), 2, 1, sharex=True)
    _draw_bars(upper, [entry.error for entry in ENTRIES], [f"{entry.error:g}" for entry in ENTRIES])
    upper.set_ylabel("top-5 error (% of images)")
    layers = [entry.layers or 0 for entry in ENTRIES]
    _draw_bars(lower, layers, [str(count or "shallow") for count in layers])
    lower.set_ylabel("layers")
    lower.set_xticks(range(len(ENTRIES)), [f"{entry.year}\n{entry.name}" for entry in ENTRIES])
    first, last = ENTRIES[0], ENTRIES[-1]
    finding = (
        f"From {first.year} to {last.year} the top-5 error on ImageNet fell from {first.error:g} to "
        f"{last.error:g} %, with nets of up to {last.layers} layers"
    )
    entries = [
        Patch(facecolor=_SHALLOW, label="shallow methods"),
        Patch(facecolor=VERMILLION, label="nets without skips"),
        Patch(facecolor=BLUE, label="residual net"),
        Patch(facecolor="white", edgecolor=GREY, hatch="////", label="second place"),
    ]
    titles = (title or finding, "" if title else "ImageNet winners: error and depth by year")
    return finish(figure, titles, entries, ["errors are those of the entries, from 2012 on several nets together"])


def _draw_bars(axes: Axes, heights: Sequence[float], texts: Sequence[str]) -> None:
    bars = axes.bar(range(len(ENTRIES)), heights, width=0.62)
    for entry, bar in zip(ENTRIES, bars, strict=True):
        colour = VERMILLION if entry.layers else _SHALLOW
        if entry.name == RESIDUAL:
            colour = BLUE
        bar.set(facecolor="white" if entry.name == SECOND else colour, edgecolor=colour)
        bar.set_hatch("////" if entry.name == SECOND else "")
    axes.bar_label(bars, texts, padding=2, fontsize=8)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.12)
