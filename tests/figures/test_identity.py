import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from resnet_cli.figures.identity import FLOOR, KINDS, draw
from resnet_cli.figures.style import BLUE, VERMILLION

WEIGHTS = [f"weight_{row}{column}" for row in (1, 2, 3) for column in (1, 2, 3)]


@pytest.fixture
def frame() -> pd.DataFrame:
    """Three seeds; errors are a tenth of the depth for plain stacks and a hundredth for residual ones, times 1 to 3."""
    rows = [
        {"experiment": experiment, "kind": kind, "init": init, "depth": depth, "seed": seed, "step": step}
        | {"relative_error": share * depth * (1 + seed) * (11 - step), "constant_error": 0.7}
        for experiment, depths in (("filter", (1,)), ("vectors", (1, 4)), ("images", (1, 4)))
        for kind, share in (("plain", 0.1), ("residual", 0.01))
        for init in ("default", "he")
        for depth in depths
        for seed in range(3)
        for step in (0, 10)
    ]
    whole = pd.DataFrame(rows)
    is_filter = whole["experiment"] == "filter"
    whole.loc[is_filter, "distance"] = whole["relative_error"]
    for column in WEIGHTS:
        whole.loc[is_filter, column] = whole["seed"] + whole["step"]
    return whole


def lines_of(figure: Figure, panel: int, colour: str, style: str = "-") -> np.ndarray:
    """The points of the one line of a panel with this colour and style."""
    axes = figure.axes[panel]
    (found,) = [line for line in axes.lines if (line.get_color(), line.get_linestyle()) == (colour, style)]
    return np.asarray(found.get_xydata())


def test_errors_at_the_end_are_medians_by_number_of_layers(frame: pd.DataFrame) -> None:
    figure = draw(frame)
    for kind, share in (("plain", 0.1), ("residual", 0.01)):
        for panel in (0, 1, 3, 4):
            points = lines_of(figure, panel, KINDS[kind].colour)
            np.testing.assert_allclose(points, [(1, 2 * share), (4, 8 * share)])
    np.testing.assert_allclose(lines_of(figure, 1, "#555555", ":")[:, 1], 0.7)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_the_last_column_shows_the_filter_during_training(frame: pd.DataFrame) -> None:
    figure = draw(frame)
    np.testing.assert_allclose(lines_of(figure, 2, KINDS["plain"].colour), [(0, 2.2), (10, 0.2)])
    assert figure.axes[2].get_title() == "one linear 3×3 filter"
    assert figure.axes[2].get_xlabel() == "step"


def test_each_row_is_one_initialisation(frame: pd.DataFrame) -> None:
    frame.loc[frame["init"] == "he", "relative_error"] *= 2
    figure = draw(frame)
    assert [figure.axes[row].get_ylabel().split()[0] for row in (0, 3)] == ["smaller", "larger"]
    one, two = (lines_of(figure, panel, BLUE)[:, 1] for panel in (0, 3))
    np.testing.assert_allclose(two, 2 * one)


def test_small_errors_stand_at_the_floor_and_infinite_ones_leave_a_gap(frame: pd.DataFrame) -> None:
    is_end = (frame["experiment"] == "images") & (frame["step"] == 10) & (frame["init"] == "he")
    frame.loc[is_end & (frame["kind"] == "residual") & (frame["depth"] == 1), "relative_error"] = 1e-9
    frame.loc[is_end & (frame["kind"] == "plain") & (frame["depth"] == 4), "relative_error"] = math.nan
    figure = draw(frame)
    assert lines_of(figure, 4, BLUE)[0, 1] == FLOOR
    assert math.isnan(lines_of(figure, 4, VERMILLION)[1, 1])


def test_one_number_of_layers_is_a_dot_for_each_seed(frame: pd.DataFrame) -> None:
    figure = draw(frame[frame["depth"] == 1])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["plain", "residual"]
    dots = [np.asarray(line.get_ydata()) for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    np.testing.assert_allclose(dots, [[0.1, 0.2, 0.3], [0.01, 0.02, 0.03]])


def test_the_title_names_the_errors_of_the_deepest_stacks(frame: pd.DataFrame) -> None:
    title = " ".join(draw(frame).get_suptitle().split())
    assert title == "Residual stacks of 4 layers learn the identity to a relative error of 0.08, plain ones to 0.8"
    neutral = " ".join(draw(frame[frame["seed"] < 2]).get_suptitle().split())
    assert neutral == "Learning the identity with plain and with residual stacks"


@pytest.mark.parametrize(("seeds", "words"), [(3, "median of 3 seeds"), (1, "One seed")])
def test_the_legend_gives_the_number_of_seeds(frame: pd.DataFrame, seeds: int, words: str) -> None:
    (legend,) = draw(frame[frame["seed"] < seeds]).legends
    assert words in legend.get_title().get_text()
    assert [text.get_text() for text in legend.get_texts()] == ["plain", "residual", "best constant answer"]
