"""Feature maps of one image, layer by layer, and the filters of the first convolution."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from resnet_cli.figures.axes import add_legend, add_title, new_figure
from resnet_cli.figures.style import look

LABEL_WIDTH = 2.4
"""Of the column of labels, in widths of a picture."""
SIGNED_COLOURS = "RdBu_r"


def draw(frame: pd.DataFrame, *, title: str | None = None, size: tuple[float, float] | None = None) -> Figure:
    """Draw the image, the filters of the first convolution, and a row of maps for each layer that has pictures.

    A filter stands above the map that it makes. The pictures of a row have one scale: from 0, black, to the highest
    value, white; where there are negative values, blue is negative, white 0 and red positive. Filters that read colours
    are drawn in colours around a grey 0.

    Args:
        frame: what `analysis.features.feature_maps` gives for one net.
        title: instead of one like "resnet, depth 32, seed 0: digits test image 0, class 4, taken for 4".
        size: width and height in inches.
    """
    pictured = frame[frame["pixels"].notna()]
    rows = [of_row for _, of_row in pictured.groupby(["layer", "part"], sort=False)]
    columns = max(map(len, rows))
    net = frame.iloc[0]
    with look():
        figure = new_figure(size or (max(0.75 * (columns + LABEL_WIDTH) + 0.3, 6.0), 0.75 * len(rows) + 1.3))
        grid = figure.subplots(len(rows), 1 + columns, squeeze=False, width_ratios=[LABEL_WIDTH] + [1.0] * columns)
        for axes in grid.flat:
            axes.set_axis_off()
        is_signed = False
        for (label, *places), of_row in zip(grid, rows, strict=True):
            of_layer = frame[(frame["layer"] == of_row["layer"].iloc[0]) & (frame["part"] == of_row["part"].iloc[0])]
            label.text(0, 0.5, _label(of_layer), va="center", fontsize=8, linespacing=1.4)
            pictures, scale = _scaled(list(of_row["pixels"]))
            is_signed |= scale.get("cmap") == SIGNED_COLOURS
            for axes, picture in zip(places, pictures, strict=False):
                _show(axes, picture, scale)
        subject = f"{net['task']} test image {net['image']}, class {net['target']}, taken for {net['answer']}"
        add_title(figure, title or f"{net['model']}, depth {net['depth']}, seed {net['seed']}: {subject}")
        entries = [
            Patch(facecolor="black", edgecolor="black", label="0"),
            Patch(facecolor="white", edgecolor="black", label="highest value of the row"),
        ]
        if is_signed:
            entries += [
                Patch(facecolor="#2166AC", label="negative (then white is 0)"),
                Patch(facecolor="#B2182B", label="positive"),
            ]
        has_colours = any(pixels.ndim == 3 for pixels in pictured["pixels"])
        notes = [
            f"zeros and dead maps (all zero) are of the first {net['examples']} test images",
            "grey in a filter is 0" if has_colours else "",
        ]
        add_legend(figure, entries, notes)
    return figure


def _label(of_layer: pd.DataFrame) -> str:
    """What a row shows; `of_layer` holds all maps of the layer, drawn or not."""
    first, count = of_layer.iloc[0], len(of_layer)
    size = f"{first['height']} × {first['width']}"
    if first["part"] == "image":
        return f"test image\n{size} pixels"
    if first["part"] == "filter":
        return f"{first['name']}:\n{count} filters, {size}"
    dead = int((of_layer["zeros"] == 1).sum())
    return f"{first['name']}: {count} maps,\n{size}, {100 * of_layer['zeros'].mean():.0f} % zeros, {dead} dead"


def _show(axes: Axes, picture: np.ndarray, scale: dict[str, Any]) -> None:
    """A picture in a frame, since white ones would be lost on the white page."""
    axes.imshow(picture, interpolation="nearest", **scale)
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color="#BBBBBB", linewidth=0.5)


def _scaled(pictures: Sequence[np.ndarray]) -> tuple[list[np.ndarray], dict[str, Any]]:
    """The pictures of a row and how to show them."""
    highest = max(float(np.abs(picture).max()) for picture in pictures) or 1.0
    is_signed = any(picture.min() < 0 for picture in pictures)
    if pictures[0].ndim == 3:
        return [0.5 + picture / (2 * highest) if is_signed else picture for picture in pictures], {}
    if is_signed:
        return list(pictures), {"cmap": SIGNED_COLOURS, "vmin": -highest, "vmax": highest}
    return list(pictures), {"cmap": "gray", "vmin": 0, "vmax": highest}
