"""Feature maps of one image, layer by layer, of a plain net above those of a residual one."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecBase
from matplotlib.patches import Patch

from resnet_cli.figures.axes import finish, new_figure
from resnet_cli.figures.style import look, ordered_models

ANALYSIS = "features"
SIGNED_COLOURS = "RdBu_r"
_INPUT_WIDTH = 1.9  # of the column of the input, in widths of a map
_PITCH = 0.82  # inches from one map to the next


@look()
def draw(frame: pd.DataFrame) -> Figure:
    """Draw a band for each net: the image, filters of the first convolution, and a column of maps for each layer.

    A filter stands to the left of the map that it makes. The maps of a layer share a scale: from 0, black, to the
    highest value, white; where there are negative values, blue is negative, white 0 and red positive. Filters for
    colour images are drawn in colours around a grey 0.
    `frame` is what `analysis.features.feature_maps` gives for one net, or for several of one task and image.
    """
    frame = frame.assign(pixels=frame["pixels"].map(lambda text: np.array(json.loads(text), float), na_action="ignore"))
    by_model = [frame[frame["model"] == model] for model in ordered_models(frame["model"])]
    nets = [net for of_model in by_model for _, net in of_model.groupby("run_id", sort=False)]
    columns = max(len(_layers(net)) for net in nets)
    heights = [max(map(len, _layers(net))) for net in nets]
    width = max(_PITCH * (columns + _INPUT_WIDTH) + 0.4, 6.0)
    figure = new_figure((width, _PITCH * sum(heights) + 0.95 * len(nets) + 1.0))
    bands = figure.add_gridspec(len(nets), 1, height_ratios=heights)
    is_signed = False
    for place, (net, height) in enumerate(zip(nets, heights, strict=True)):
        ratios = [_INPUT_WIDTH] + [1.0] * columns
        is_signed |= _draw_net(figure, bands[place].subgridspec(height, 1 + columns, width_ratios=ratios), net)
    entries = [
        Patch(facecolor="black", edgecolor="black", label="0"),
        Patch(facecolor="white", edgecolor="black", label="highest value of the layer"),
    ]
    if is_signed:
        entries += [
            Patch(facecolor="#2166AC", label="negative (then white is 0)"),
            Patch(facecolor="#B2182B", label="positive"),
        ]
    has_colours = any(pixels.ndim == 3 for pixels in frame["pixels"].dropna())
    first = nets[0].iloc[0]
    notes = [
        f"zeros and dead channels (zero for every image): over the first {first['examples']} test images",
        "grey in a filter is 0" if has_colours else "",
    ]
    said = [f"{net['model'].iloc[0]} classifies it as {net['answer'].iloc[0]}" for net in nets]
    finding = f"{first['task']}, test image {first['image']} (class {first['target']}): {', '.join(said)}"
    what = "Feature maps, layer by layer from left to right, of the first channels of each layer"
    return finish(figure, (finding, what), entries, notes)


def _layers(net: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows with pictures of the filters and of each layer, in order."""
    pictured = net[net["pixels"].notna() & (net["part"] != "image")]
    return [rows for _, rows in pictured.groupby(["layer", "part"], sort=False)]


def _draw_net(figure: Figure, grid: GridSpecBase, net: pd.DataFrame) -> bool:
    """One band; returns whether colours stand for signs in it."""
    first = net.iloc[0]
    image = figure.add_subplot(grid[:, 0])
    pixels = net.loc[net["part"] == "image", "pixels"].iloc[0]
    _show(image, pixels, {} if pixels.ndim == 3 else {"cmap": "gray", "vmin": 0, "vmax": pixels.max() or 1.0})
    image.set_title(f"{first['model']}\ndepth {first['depth']}, seed {first['seed']}", fontweight="bold")
    verdict = "correct" if first["answer"] == first["target"] else f"wrong, it is {first['target']}"
    image.set_xlabel(f"input, {_size(first)}\nclassified as {first['answer']}\n({verdict})", fontsize=8)
    is_signed = False
    for column, rows in enumerate(_layers(net), 1):
        of_layer = net[(net["layer"] == rows["layer"].iloc[0]) & (net["part"] == rows["part"].iloc[0])]
        pictures, scale = _scaled(list(rows["pixels"]))
        is_signed |= scale.get("cmap") == SIGNED_COLOURS
        for place, picture in enumerate(pictures):
            axes = figure.add_subplot(grid[place, column])
            _show(axes, picture, scale)
            if place == 0:
                axes.set_title(_heading(of_layer), fontsize=8)
        if rows["part"].iloc[0] == "map":
            dead = int((of_layer["zeros"] == 1).sum())
            axes.set_xlabel(f"{100 * of_layer['zeros'].mean():.0f} % zeros\n{dead} dead", fontsize=7.5)
    return is_signed


def _heading(of_layer: pd.DataFrame) -> str:
    """What a column shows; `of_layer` holds all maps of the layer, drawn or not."""
    first, count = of_layer.iloc[0], len(of_layer)
    if first["part"] == "filter":
        return f"filters\n{_size(first)}"
    name = str(first["name"]).replace("first convolution", "first conv.")
    return f"{name}\n{count} × {_size(first)}"


def _size(row: "pd.Series[Any]") -> str:
    return f"{row['height']}×{row['width']}"


def _show(axes: Axes, picture: np.ndarray, scale: dict[str, Any]) -> None:
    """A picture in a frame, since white ones would be lost on the white page."""
    axes.imshow(picture, interpolation="nearest", **scale)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set(visible=True, color="#BBBBBB", linewidth=0.5)


def _scaled(pictures: Sequence[np.ndarray]) -> tuple[list[np.ndarray], dict[str, Any]]:
    """The pictures of a layer and how to show them."""
    highest = max(float(np.abs(picture).max()) for picture in pictures) or 1.0
    is_signed = any(picture.min() < 0 for picture in pictures)
    if pictures[0].ndim == 3:
        return [0.5 + picture / (2 * highest) if is_signed else picture for picture in pictures], {}
    if is_signed:
        return list(pictures), {"cmap": SIGNED_COLOURS, "vmin": -highest, "vmax": highest}
    return list(pictures), {"cmap": "gray", "vmin": 0, "vmax": highest}
