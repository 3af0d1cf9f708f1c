import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from resnet_cli.figures.style import BLUE, VERMILLION
from resnet_cli.figures.transfer import draw, ends


@pytest.fixture
def frame() -> pd.DataFrame:
    """Three seeds; errors are the depth (twice that from scratch) times 1 to 3, halved for residual nets."""
    rows = [
        {"run_id": f"{model}{depth}{seed}", "task": "digits", "model": model, "depth": depth, "seed": seed}
        | {"examples": examples, "start": start, "step": step, "train_loss": 0.1, "test_loss": 0.1, "train_error": 0.0}
        | {"test_error": 90.0 if step == 0 else share * factor * depth * (1 + seed) / (1 + examples / 10)}
        for model, share in (("plain-cnn", 1.0), ("resnet", 0.5))
        for depth in (8, 20)
        for seed in range(3)
        for examples in (10, 50)
        for start, factor in (("transferred", 1), ("scratch", 2))
        for step in (0, 100)
    ]
    return pd.DataFrame(rows)


def points(figure: Figure, panel: int, colour: str, line: str) -> np.ndarray:
    (found,) = [one for one in figure.axes[panel].lines if (one.get_color(), one.get_linestyle()) == (colour, line)]
    return np.asarray(found.get_xydata())


def test_panels_show_medians_of_both_starts_by_depth(frame: pd.DataFrame) -> None:
    figure = draw(frame)
    titles = [" ".join(axes.get_title().split()) for axes in figure.axes]
    assert titles == ["10 examples of each class", "50 examples of each class"]
    np.testing.assert_allclose(points(figure, 0, VERMILLION, "-"), [(8, 8), (20, 20)])
    np.testing.assert_allclose(points(figure, 0, BLUE, "--"), [(8, 8), (20, 20)])
    np.testing.assert_allclose(points(figure, 1, BLUE, "-"), [(8, 8 / 6), (20, 20 / 6)])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["plain-cnn", "resnet", "after other classes", "from scratch"]


def test_the_title_names_paired_differences_if_there_are_enough_seeds(frame: pd.DataFrame) -> None:
    title = " ".join(draw(frame).get_suptitle().split())
    assert title == (
        "At depth 20 with 10 examples of a class, starting from other classes changes the test error by -20 points in "
        "plain-cnn and -10 points in resnet"
    )
    assert draw(frame[frame["seed"] < 2]).get_suptitle() == "digits: test error on new classes"


def test_one_depth_and_one_number_of_examples_can_be_drawn(frame: pd.DataFrame) -> None:
    figure = draw(frame[(frame["depth"] == 8) & (frame["examples"] == 10)])
    np.testing.assert_allclose(points(figure, 0, BLUE, "-"), [(8, 4)])
    assert len(figure.axes) == 1


def test_a_diverged_training_ends_with_an_infinite_error(frame: pd.DataFrame) -> None:
    lost = (frame["run_id"] == "resnet81") & (frame["start"] == "scratch") & (frame["step"] == 100)
    frame.loc[lost, "test_loss"] = math.nan
    found = ends(frame, "test_error").set_index(["run_id", "examples"])
    assert found.loc[("resnet81", 10), "scratch"] == math.inf
    assert found.loc[("resnet81", 10), "transferred"] == pytest.approx(4)
    assert found["scratch"].notna().all()
    assert len(found) == 24
    draw(frame)
