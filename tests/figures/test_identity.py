import math

import numpy as np
import pandas as pd
import pytest

from resnet_cli.figures.identity import FLOOR, KINDS, draw
from resnet_cli.figures.style import render

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


def lines_of(figure: object, panel: int, colour: str, style: str) -> np.ndarray:
    """The points of the one line of a panel with this colour and style."""
    axes = figure.axes[panel]  # type: ignore[attr-defined]
    (found,) = [line for line in axes.lines if (line.get_color(), line.get_linestyle()) == (colour, style)]
    return np.asarray(found.get_xydata())


def test_errors_at_the_end_are_medians_against_depth(frame: pd.DataFrame) -> None:
    figure = draw(frame)
    for kind, share in (("plain", 0.1), ("residual", 0.01)):
        for style in ("-", "--"):
            points = lines_of(figure, 1, KINDS[kind][0], style)
            np.testing.assert_allclose(points, [(1, 2 * share), (4, 8 * share)])
    np.testing.assert_allclose(lines_of(figure, 1, "#555555", ":")[:, 1], 0.7)


def test_the_lower_row_shows_the_deepest_stacks_and_the_filters_distance_during_training(frame: pd.DataFrame) -> None:
    figure = draw(frame)
    plain = KINDS["plain"][0]
    np.testing.assert_allclose(lines_of(figure, 4, plain, "-"), [(0, 8.8), (10, 0.8)])
    np.testing.assert_allclose(lines_of(figure, 3, plain, "-"), [(0, 2.2), (10, 0.2)])
    assert figure.axes[4].get_title() == "vectors at depth 4: during training"


def test_the_filters_weights_are_shown_for_every_seed_before_and_after(frame: pd.DataFrame) -> None:
    axes = draw(frame).axes[0]
    heights = sorted(np.asarray(line.get_ydata())[0] for line in axes.lines)
    assert heights == [0, 1, 2, 10, 10, 11, 11, 12, 12]
    assert all(len(np.asarray(line.get_ydata())) == 9 for line in axes.lines)


def test_small_errors_stand_at_the_floor_and_those_that_are_not_finite_leave_a_gap(frame: pd.DataFrame) -> None:
    frame = frame.copy()
    is_end = (frame["experiment"] == "images") & (frame["step"] == 10) & (frame["init"] == "he")
    frame.loc[is_end & (frame["kind"] == "residual") & (frame["depth"] == 1), "relative_error"] = 1e-9
    frame.loc[is_end & (frame["kind"] == "plain") & (frame["depth"] == 4), "relative_error"] = math.nan
    figure = draw(frame)
    assert lines_of(figure, 2, KINDS["residual"][0], "--")[0, 1] == FLOOR
    assert math.isnan(lines_of(figure, 2, KINDS["plain"][0], "--")[1, 1])
    assert render(figure, ".svg") == render(draw(frame), ".svg")


@pytest.mark.parametrize(("seeds", "words"), [(3, "median of 3 seeds"), (1, "One seed")])
def test_the_legend_tells_how_many_seeds_there_are(frame: pd.DataFrame, seeds: int, words: str) -> None:
    (legend,) = draw(frame[frame["seed"] < seeds]).legends
    assert words in legend.get_title().get_text()
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[:2] == ["plain", "residual"]
