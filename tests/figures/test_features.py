"""Feature maps: a picture for each row of the frame that has one, a column of one scale for each layer."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_cli.figures import features


def rows(part: str, layer: int, name: str, shape: tuple[int, ...], pictures: list[Any]) -> list[dict[str, Any]]:
    layer_of = {"part": part, "layer": layer, "name": name, "height": shape[0], "width": shape[1], "zeros": 0.25}
    return [layer_of | {"map": number, "pixels": picture} for number, picture in enumerate(pictures, 1)]


def net(*, colours: bool = False, highest: float = 9, model: str = "resnet") -> pd.DataFrame:
    """An image, two filters, and maps of three layers: two, five without pictures, four of which three have one."""
    generator = np.random.default_rng(0)
    channels = (3,) if colours else ()
    found = [
        *rows("image", 0, "image", (4, 4), [generator.uniform(0, 0.5, (4, 4, *channels))]),
        *rows("filter", 0, "first convolution", (3, 3), list(generator.normal(size=(2, 3, 3, *channels)))),
        *rows("map", 1, "first convolution", (4, 4), [generator.uniform(0, highest, (4, 4)), np.zeros((4, 4))]),
        *rows("map", 2, "block 1", (4, 4), [None] * 5),
        *rows("map", 3, "block 2", (2, 2), [*generator.normal(size=(3, 2, 2)), None]),
    ]
    frame = pd.DataFrame(found).assign(image=5, target=3, answer=4, examples=60)
    return frame.assign(run_id=model, model=model, depth=8, seed=1, task="digits")


def draw(frame: pd.DataFrame, **options: Any) -> Figure:
    texts = [None if pixels is None else json.dumps(pixels.tolist()) for pixels in frame["pixels"]]
    return features.draw(frame.assign(pixels=pd.Series(texts, frame.index, object)), **options)


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.images]


def drawn(axes: Axes) -> np.ndarray:
    return np.asarray(axes.images[0].get_array())


def test_there_is_a_panel_for_each_picture_in_its_place() -> None:
    frame = net()
    figure = draw(frame)
    shown = panels(figure)
    assert len(shown) == 1 + 2 + 2 + 3
    for axes, pixels in zip(shown, frame["pixels"].dropna(), strict=True):
        np.testing.assert_array_equal(drawn(axes), pixels)
    figure.draw_without_rendering()
    corners = [(axes.get_position().x0, axes.get_position().y0) for axes in shown]
    assert corners[0][0] < corners[1][0] < corners[3][0] < corners[5][0]  # input, filters and layers from left to right
    assert corners[1][0] == pytest.approx(corners[2][0])
    assert corners[2][1] == pytest.approx(corners[4][1])  # a filter beside its map
    assert corners[1][1] > corners[2][1]


def test_a_layer_has_one_scale_with_0_in_the_same_place() -> None:
    frame = net()
    shown = [axes.images[0] for axes in panels(draw(frame))]
    highest = frame["pixels"][3].max()
    for image in shown[3:5]:
        assert image.get_clim() == pytest.approx((0, highest))
        assert image.get_cmap().name == "gray"
    largest = max(np.abs(pixels).max() for pixels in frame["pixels"].dropna()[5:])
    for image in shown[5:]:
        assert image.get_clim() == pytest.approx((-largest, largest))
        assert image.get_cmap().name == "RdBu_r"


def test_dead_maps_are_black() -> None:
    axes = panels(draw(net(highest=0)))[3]
    assert axes.images[0].get_clim() == (0, 1)
    assert not axes.images[0].to_rgba(drawn(axes))[:, :, :3].any()


def test_colours_are_shown_as_they_are_and_those_of_filters_around_grey() -> None:
    frame = net(colours=True)
    shown = panels(draw(frame))
    np.testing.assert_array_equal(drawn(shown[0]), frame["pixels"][0])
    filters = np.stack([frame["pixels"][1], frame["pixels"][2]])
    expected = 0.5 + 0.5 * filters / np.abs(filters).max()
    np.testing.assert_allclose(np.stack([drawn(axes) for axes in shown[1:3]]), expected)
    assert "grey in a filter is 0" in legend_text(draw(frame))
    assert "grey in a filter is 0" not in legend_text(draw(net()))


def legend_text(figure: Figure) -> str:
    (legend,) = figure.legends
    return " ".join([*legend.get_title().get_text().split(), *(text.get_text() for text in legend.get_texts())])


def test_labels_name_the_layers_and_count_all_their_maps() -> None:
    frame = net()
    frame.loc[frame["name"].eq("block 2") & frame["map"].eq(4), "zeros"] = 1.0
    figure = draw(frame)
    titles = [" ".join(axes.get_title().split()) for axes in figure.axes if axes.get_title()]
    assert titles == ["resnet depth 8, seed 1", "filters 3×3", "first conv. 2 × 4×4", "block 2 4 × 2×2"]
    below = [" ".join(axes.get_xlabel().split()) for axes in figure.axes if axes.get_xlabel()]
    assert below == ["input, 4×4 classified as 4 (wrong, it is 3)", "25 % zeros 0 dead", "44 % zeros 1 dead"]
    title = " ".join(figure.get_suptitle().split())
    assert title == "digits, test image 5 (class 3): resnet classifies it as 4"
    assert "first 60 test images" in legend_text(figure)


def test_colours_of_signs_are_explained_where_there_are_any() -> None:
    frame = net(colours=True)
    assert "negative" in legend_text(draw(frame))
    assert "negative" not in legend_text(draw(frame[frame["layer"] < 3]))


def test_a_plain_net_stands_above_a_residual_one() -> None:
    figure = draw(pd.concat([net(), net(model="plain-cnn")], ignore_index=True))
    figure.draw_without_rendering()
    places = {axes.get_title().split()[0]: axes.get_position() for axes in figure.axes if "depth" in axes.get_title()}
    assert places["plain-cnn"].y0 > places["resnet"].y1
    assert len(panels(figure)) == 16
