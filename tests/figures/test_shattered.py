import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from resnet_cli.figures.shattered import KINDS, LEAST, draw

FACTOR = {"plain": 0.5, "residual": 0.6, "pre-activation": 0.9}


def made_up() -> Iterator[dict[str, object]]:
    """Correlations are a factor of the kind to the power of the depth, plus a tenth of it for each seed but one."""
    for batch_norm in (False, True):
        for kind, factor in FACTOR.items():
            for depth in (1, 4):
                for seed in range(3):
                    who = {"kind": kind, "batch_norm": batch_norm, "depth": depth, "seed": seed}
                    value = factor**depth * (1 + 0.1 * (seed - 1))
                    yield {**who, "quantity": "correlation", "at": math.nan, "value": value}
                    yield {**who, "quantity": "predicted", "at": math.nan, "value": factor**depth / 2}
                    yield {**who, "quantity": "reach", "at": math.nan, "value": value}
                    for at in (0.01, 0.1):
                        yield {**who, "quantity": "autocorrelation", "at": at, "value": value - at}
                    if (depth, seed) == (4, 0):
                        for at in (-1.0, 0.0, 1.0):
                            yield {**who, "quantity": "gradient", "at": at, "value": 5 * at}


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(made_up())


def line_of(axes: Axes, kind: str, style: str = "-") -> np.ndarray:
    colour = KINDS[kind].colour
    (found,) = [line for line in axes.lines if (line.get_color(), line.get_linestyle()) == (colour, style)]
    return np.asarray(found.get_xydata())


def test_lines_are_means_and_medians_over_seeds(frame: pd.DataFrame) -> None:
    figure = draw(frame)
    assert len(figure.axes) == 8
    for row in (0, 4):
        gradient, by_distance, reached, by_depth = figure.axes[row : row + 4]
        for kind, factor in FACTOR.items():
            np.testing.assert_allclose(line_of(by_distance, kind), [(0.01, factor**4 - 0.01), (0.1, factor**4 - 0.1)])
            np.testing.assert_allclose(line_of(reached, kind), [(1, factor), (4, factor**4)])
            np.testing.assert_allclose(line_of(by_depth, kind), [(1, factor), (4, factor**4)])
            np.testing.assert_allclose(line_of(by_depth, kind, ":"), [(1, factor / 2), (4, factor**4 / 2)])
        heights = [line_of(gradient, kind)[:, 1].tolist() for kind in KINDS]
        assert heights == [[middle - 3.2, middle, middle + 3.2] for middle in (0, -7, -14)]


def test_bands_are_two_standard_errors(frame: pd.DataFrame) -> None:
    band = draw(frame).axes[7].collections[0].get_paths()[0].vertices
    deviation = 0.5 * 0.1  # of 0.9, 1 and 1.1 times the mean 0.5
    ends = [0.5 + sign * 2 * deviation / math.sqrt(3) for sign in (-1, 1)]
    at_first = np.asarray(band)[np.asarray(band)[:, 0] == 1, 1]
    np.testing.assert_allclose([at_first.min(), at_first.max()], ends)


def test_small_and_negative_correlations_stand_at_the_bottom(frame: pd.DataFrame) -> None:
    frame.loc[(frame["quantity"] == "correlation") & (frame["depth"] == 4), "value"] = -0.2
    assert line_of(draw(frame).axes[7], "plain")[1, 1] == LEAST


def test_the_title_names_what_neighbours_have_in_common(frame: pd.DataFrame) -> None:
    title = " ".join(draw(frame).get_suptitle().split())
    assert title == (
        "With batch norm, gradients 0.01 apart correlate by 0.05 in 4 plain layers, 0.12 in residual ones and 0.65 "
        "with pre-activation"
    )
    one = draw(frame[frame["seed"] == 0])
    assert one.get_suptitle() == "Gradients of untrained MLPs with respect to their input"
    assert one.legends[0].get_title().get_text().startswith("One seed")
