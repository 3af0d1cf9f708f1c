"""Lines of many models, named at their ends."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from resnet_cli.figures.axes import new_grid, set_size_axis, spread
from resnet_cli.figures.loss_by_depth import draw
from resnet_cli.figures.style import PALE_GREY


def points(line: Line2D) -> dict[float, float]:
    return dict(zip(np.asarray(line.get_xdata()), np.asarray(line.get_ydata(), dtype=float), strict=True))


def note(figure: Figure) -> str:
    return figure.legends[0].get_title().get_text().replace("\n", " ")


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def many_models(summary: pd.DataFrame, count: int) -> pd.DataFrame:
    """The runs of `resnet` under several names, each a little worse than the one before."""
    one = summary[summary["model"] == "resnet"]
    parts = []
    for index in range(count):
        name = f"model-{index:02d}"
        part = one.assign(model=name, run_id=one["run_id"] + name)
        part[["train_loss", "test_loss"]] *= 1.03**index
        parts.append(part)
    return pd.concat(parts)


def end_labels(axes: Axes) -> list[str]:
    """Names at the lines' ends, from the top down."""
    texts = sorted(axes.texts, key=lambda text: -text.xyann[1])  # type: ignore[attr-defined]
    return [text.get_text() for text in texts]


def test_many_models_are_named_at_their_lines_ends(summary: pd.DataFrame) -> None:
    figure = draw(many_models(summary, 10))
    assert [axes.get_title() for axes in figure.axes] == ["training", "test"]
    for axes, split, linestyle in zip(figure.axes, ("train", "test"), ("-", "--"), strict=True):
        drawn = [line for line in axes.lines if line.get_linestyle() == linestyle and line.get_color() != PALE_GREY]
        assert len(drawn) == 10
        assert end_labels(axes) == [f"model-{index:02d}" for index in reversed(range(10))]
        expected = summary[(summary["model"] == "resnet") & (summary["depth"] == 20)][f"{split}_loss"].median()
        assert points(drawn[0])[20] == pytest.approx(expected)
        assert not axes.collections, "no bands"
    assert legend_texts(figure) == ["training", "test"]
    assert note(figure) == "Line: median of 5 seeds; dots: single runs."


def test_leaders_stay_outside_the_axes(summary: pd.DataFrame) -> None:
    runs = many_models(summary, 10)
    short = (runs["model"] == "model-03") & (runs["depth"] > 8)
    (axes,) = draw(runs[~short], splits=["test"]).axes
    leaders = [line for line in axes.lines if line.get_color() == PALE_GREY]
    assert len(leaders) == 9
    assert all(np.asarray(line.get_xdata()).min() > 1 for line in leaders)
    assert all(line.get_transform() == axes.transAxes for line in leaders)


def test_names_at_lines_ends_do_not_overlap(summary: pd.DataFrame) -> None:
    figure = draw(many_models(summary, 16), splits=["test"])
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = sorted(
        (Text.get_window_extent(text) for text in axes.texts), key=lambda box: box.y0
    )  # an annotation's own extent includes the thread to its line
    assert len(boxes) == 16
    assert all(below.y1 <= above.y0 for below, above in pairwise(boxes))
    assert all(axes.bbox.x1 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert axes.bbox.y0 <= (boxes[0].y0 + boxes[0].y1) / 2
    assert (boxes[-1].y0 + boxes[-1].y1) / 2 <= axes.bbox.y1


def test_lines_that_end_above_the_axes_are_named_at_their_edge(summary: pd.DataFrame) -> None:
    runs = many_models(summary, 8)
    worst = (runs["model"] == "model-02") & (runs["depth"] == runs["depth"].max())
    runs.loc[worst, "train_loss"] = 1e9
    (axes,) = draw(runs, splits=["train"], chance=2.0).axes
    assert next(name for name in end_labels(axes) if name.startswith("model")) == "model-02"
    assert all(text.xyann[1] <= 1 for text in axes.texts if text.get_text() == "model-02")  # type: ignore[attr-defined]


def test_a_model_that_diverged_everywhere_is_named_too(summary: pd.DataFrame) -> None:
    runs = many_models(summary, 7)
    bad = runs["model"] == "model-03"
    runs.loc[bad, "status"] = "diverged"
    runs.loc[bad, ["train_loss", "test_loss"]] = np.nan
    names = [text for text in end_labels(draw(runs, splits=["train"]).axes[0]) if text.startswith("model")]
    assert names[0] == "model-03"
    assert len(names) == 7


def test_many_models_get_a_row_per_setting_value(summary: pd.DataFrame) -> None:
    runs = many_models(summary, 7)
    figure = draw(pd.concat([runs.assign(init=init, run_id=runs["run_id"] + init) for init in ("he", "default")]))
    assert [axes.get_title() for axes in figure.axes] == [
        f"init {init}, {split}" for init in ("default", "he") for split in ("training", "test")
    ]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([0.2, 0.5, 0.9], [0.2, 0.5, 0.9]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.0, 0.0, 0.7], [0.0, 0.1, 0.7]),
        ([0.3, 0.95, 1.0], [0.3, 0.9, 1.0]),
        ([0.4, 0.45, 0.5], [0.35, 0.45, 0.55]),
    ],
)
def test_names_are_moved_as_little_as_possible(wanted: list[float], expected: list[float]) -> None:
    assert list(spread(np.array(wanted), 0.1)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([9811, 151_966], ["10 k", "20 k", "50 k", "100 k"]),
        ([900, 2_000_000], ["1 k", "10 k", "100 k", "1 M"]),
    ],
)
def test_numbers_of_parameters_have_a_log_axis_with_few_round_ticks(sizes: list[int], expected: list[str]) -> None:
    _, grid = new_grid((7, 4), 1, 1)
    axes = grid[0, 0]
    set_size_axis(axes, sizes)
    low, high = axes.get_xlim()
    assert low < sizes[0] <= sizes[1] < high
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert axes.xaxis.get_major_formatter().format_ticks(shown) == expected


def test_a_single_number_of_parameters_stands_in_the_middle_of_its_axis() -> None:
    _, grid = new_grid((7, 4), 1, 1)
    set_size_axis(grid[0, 0], [5000])
    low, high = grid[0, 0].get_xlim()
    assert low < 5000 < high
    assert low * high == pytest.approx(5000**2)
