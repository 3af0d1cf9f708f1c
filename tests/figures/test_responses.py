"""Layer responses: the order of the layers above, sorted below, a column for each depth, a line for each model."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_cli.figures.cells import MAX_CELLS
from resnet_cli.figures.responses import draw
from resnet_cli.figures.style import BLUE, VERMILLION
from resnet_cli.settings.errors import UserError


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


def test_layers_are_in_their_order_on_top_and_sorted_by_magnitude_below() -> None:
    upper, lower = draw(net("plain-mlp", 4)).axes
    assert heights(lines(upper)[0]) == [1, 3, 2, 1]
    assert heights(lines(lower)[0]) == [3, 2, 1, 1]
    assert [list(np.asarray(lines(axes)[0].get_xdata())) for axes in (upper, lower)] == [[1, 2, 3, 4]] * 2
    assert (upper.get_xlabel(), lower.get_xlabel()) == ("layer, from the input", "layers, sorted by magnitude")
    assert upper.get_ylim() == lower.get_ylim()


def test_a_line_is_the_median_of_seeds_and_below_of_ranks() -> None:
    orders = [[9.0, 1.0], [1.0, 5.0], [2.0, 8.0]]
    figure = draw(nets(*(net("plain-mlp", 2, seed, values=order) for seed, order in enumerate(orders))))
    upper, lower = figure.axes
    assert heights(lines(upper)[0]) == [4, 6]  # of 9, 2, 4 and 1, 6, 10
    assert heights(lines(lower)[0]) == [9, 2]  # of 9, 6, 10 and 1, 2, 4
    assert figure.legends[0].get_title().get_text() == "Line: median of 3 seeds; band: minimum to maximum."


def test_each_depth_has_a_column_with_a_line_for_each_model() -> None:
    figure = draw(nets(*(net(model, depth) for model in ("residual-mlp", "plain-mlp") for depth in (12, 3, 6))))
    assert [axes.get_title() for axes in figure.axes] == ["depth 3", "depth 6", "depth 12", "", "", ""]
    for axes, depth in zip(figure.axes, (3, 6, 12) * 2, strict=True):
        assert [line.get_color() for line in lines(axes)] == [VERMILLION, BLUE]
        assert [len(heights(line)) for line in lines(axes)] == [depth, depth]
    assert entries(figure) == ["plain-mlp", "residual-mlp", "added to a shortcut"]


def test_responses_that_are_added_to_a_shortcut_have_markers() -> None:
    upper, lower = draw(net("residual-mlp", 6)).axes
    (marks,) = [line for line in upper.lines if line.get_linestyle() == "None"]
    assert list(np.asarray(marks.get_xdata())) == [3, 6]
    assert heights(marks) == [2, 2]
    assert len(lower.lines) == 1
    plain = draw(net("plain-mlp", 6))
    assert entries(plain) == ["plain-mlp"]


@pytest.mark.parametrize(
    ("values", "scale"),
    [([1.0, 29.0], "linear"), ([0.0, 5.0], "linear"), ([1.0, 31.0], "log"), ([0.0, 1.0, 31.0], "symlog")],
)
def test_the_axis_is_logarithmic_where_values_span_decades(values: list[float], scale: str) -> None:
    assert draw(net("plain-mlp", len(values), values=values)).axes[0].get_yscale() == scale


def test_an_outlying_seed_does_not_stretch_the_axis() -> None:
    figure = draw(
        nets(
            *(net("plain-mlp", 3, seed, values=[value, 2 * value, value]) for seed, value in enumerate((1.0, 0.1, 50)))
        )
    )
    assert figure.axes[0].get_ylim()[1] < 3


def test_nets_of_one_layer_are_dots_by_model() -> None:
    figure = draw(nets(*(net(m, 1, seed) for m in ("plain-mlp", "residual-mlp") for seed in range(3))))
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["plain-mlp", "residual-mlp"]
    assert [heights(line) for line in figure.axes[0].lines] == [[1, 2, 3], [1, 2, 3]]
    assert not lines(figure.axes[0])


@pytest.mark.parametrize(("seeds", "is_found"), [(3, True), (2, False)])
def test_the_title_names_the_medians_of_the_deepest_nets(seeds: int, is_found: bool) -> None:
    parts = [
        net(model, depth, seed, values=[value] * depth)
        for model, value in (("plain-mlp", 4.0), ("residual-mlp", 0.5))
        for depth in (3, 6)
        for seed in range(seeds)
    ]
    title = draw(nets(*parts)).get_suptitle()
    finding = "At depth 6 the layers' responses average 1.50 in residual-mlp and 5.00 in plain-mlp"
    assert (" ".join(title.split()) == finding) == is_found


def test_each_setting_has_a_column() -> None:
    figure = draw(nets(*(net("plain-mlp", 4, activation=name) for name in ("tanh", "relu"))))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["depth 4\nactivation relu", "depth 4\nactivation tanh", "", ""]
    assert [len(lines(axes)) for axes in figure.axes] == [1, 1, 1, 1]


def test_too_many_columns_are_refused() -> None:
    with pytest.raises(UserError, match=f"make {MAX_CELLS + 1} combinations, but one figure shows at most {MAX_CELLS}"):
        draw(nets(*(net("plain-mlp", depth) for depth in range(2, MAX_CELLS + 3))))


@pytest.mark.slow
def test_nothing_overlaps() -> None:
    parts = [net(m, d, width=w) for m in ("plain-mlp", "residual-mlp") for d in (3, 6, 12) for w in (1, 2)]
    figure = draw(nets(*parts))
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes if axes.get_visible()]
    legend = figure.legends[0].get_window_extent()
    title = figure._suptitle.get_window_extent()  # type: ignore[attr-defined]
    assert all(box is not None and legend.y1 <= box.y0 and box.y1 <= title.y0 for box in boxes)
    assert not any(one.overlaps(two) for i, one in enumerate(boxes) for two in boxes[:i] if one and two)
