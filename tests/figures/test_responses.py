"""Layer responses: the order of the layers on top, sorted below, lines by model and depth."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_cli.figures.responses import MAX_LINES, draw
from resnet_cli.figures.style import BLUE, VERMILLION
from resnet_cli.spec.errors import UserError


def net(
    model: str, depth: int, seed: int = 0, *, values: list[float] | None = None, **settings: object
) -> pd.DataFrame:
    """Deviations 1, 3, 2, 1, 3, 2, … and the seed added to each; every third layer of a residual net is added."""
    deviations = np.array(values or [(1, 3, 2)[layer % 3] for layer in range(depth)], dtype=float) + seed
    return pd.DataFrame(
        {
            "run_id": f"{model}_{depth}_{seed}_{settings}",
            "task": "sine",
            "model": model,
            "depth": depth,
            "seed": seed,
            **settings,
            "layer": range(1, len(deviations) + 1),
            "name": "a layer",
            "is_added": [model == "residual-mlp" and layer % 3 == 2 for layer in range(len(deviations))],
            "deviation": deviations,
            "rank": pd.Series(-deviations).rank(method="first").astype(int),
        }
    )


def nets(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


def lines(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if line.get_linestyle() == "-"]


def heights(line: Line2D) -> list[float]:
    return list(np.asarray(line.get_ydata(), dtype=float))


def entries(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_layers_are_in_their_order_on_top_and_sorted_by_size_below() -> None:
    upper, lower = draw(net("plain-mlp", 4)).axes
    assert heights(lines(upper)[0]) == [1, 3, 2, 1]
    assert heights(lines(lower)[0]) == [3, 2, 1, 1]
    assert [list(np.asarray(lines(axes)[0].get_xdata())) for axes in (upper, lower)] == [[1, 2, 3, 4]] * 2
    assert (upper.get_xlabel(), lower.get_xlabel()) == ("layer, from the input", "layers, sorted by size")
    assert upper.get_ylim() == lower.get_ylim()


def test_a_line_is_the_median_of_seeds_and_below_of_ranks() -> None:
    orders = [[9.0, 1.0], [1.0, 5.0], [2.0, 8.0]]
    figure = draw(nets(*(net("plain-mlp", 2, seed, values=order) for seed, order in enumerate(orders))))
    upper, lower = figure.axes
    assert heights(lines(upper)[0]) == [4, 6]  # of 9, 2, 4 and 1, 6, 10
    assert heights(lines(lower)[0]) == [9, 2]  # of 9, 6, 10 and 1, 2, 4
    assert figure.legends[0].get_title().get_text() == "Line: median of 3 seeds; band: minimum to maximum."


def test_models_have_their_colours_and_deeper_nets_are_darker() -> None:
    figure = draw(nets(*(net(model, depth) for model in ("residual-mlp", "plain-mlp") for depth in (12, 3, 6))))
    colours = {tuple(to_rgb(line.get_color())): len(heights(line)) for line in lines(figure.axes[0])}
    assert [colours[to_rgb(colour)] for colour in (VERMILLION, BLUE)] == [12, 12]
    assert list(colours.values()) == [3, 6, 12, 3, 6, 12]
    brightness = [sum(colour) for colour in colours]
    assert brightness[:3] == sorted(brightness[:3], reverse=True)
    assert entries(figure) == [
        *(f"{model}, depth {depth}" for model in ("plain-mlp", "residual-mlp") for depth in (3, 6, 12)),
        "added to a shortcut",
    ]


def test_responses_that_are_added_to_a_shortcut_have_large_markers() -> None:
    upper, lower = draw(net("residual-mlp", 6)).axes
    (large,) = [line for line in upper.lines if line.get_linestyle() == "None"]
    assert list(np.asarray(large.get_xdata())) == [3, 6]
    assert heights(large) == [2, 2]
    assert len(lower.lines) == 1
    plain = draw(net("plain-mlp", 6))
    assert entries(plain) == ["plain-mlp, depth 6"]


@pytest.mark.parametrize(
    ("values", "scale"),
    [([1.0, 90.0], "linear"), ([0.0, 5.0], "linear"), ([1.0, 101.0], "log"), ([0.0, 1.0, 101.0], "symlog")],
)
def test_the_axis_is_logarithmic_where_values_span_decades(values: list[float], scale: str) -> None:
    assert draw(net("plain-mlp", len(values), values=values)).axes[0].get_yscale() == scale


def test_each_setting_has_a_column() -> None:
    figure = draw(nets(*(net("plain-mlp", 4, activation=name) for name in ("tanh", "relu"))))
    assert [axes.get_title() for axes in figure.axes] == ["activation relu", "activation tanh", "", ""]
    assert [len(lines(axes)) for axes in figure.axes] == [1, 1, 1, 1]


def test_too_many_lines_or_columns_are_refused() -> None:
    with pytest.raises(
        UserError, match=f"have {MAX_LINES + 1} combinations of model and depth, .* at most {MAX_LINES}"
    ):
        draw(nets(*(net("plain-mlp", depth) for depth in range(2, MAX_LINES + 3))))
    with pytest.raises(UserError, match="settings width make 5 combinations"):
        draw(nets(*(net("plain-mlp", 4, width=width) for width in range(5))))


def test_nothing_overlaps() -> None:
    parts = [net(m, d, width=w) for m in ("plain-mlp", "residual-mlp") for d in (3, 6, 12) for w in (1, 2)]
    figure = draw(nets(*parts))
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    legend = figure.legends[0].get_window_extent()
    title = figure._suptitle.get_window_extent()  # type: ignore[attr-defined]
    assert all(box is not None and legend.y1 <= box.y0 and box.y1 <= title.y0 for box in boxes)
    assert not any(one.overlaps(two) for i, one in enumerate(boxes) for two in boxes[:i] if one and two)
