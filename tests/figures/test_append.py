import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from resnet_cli.figures.append import LOOKS, MAX_PANELS, draw
from resnet_cli.settings.errors import UserError


@pytest.fixture
def frame() -> pd.DataFrame:
    """Two models, three seeds, 100 steps and 100 more; losses are 1, 2 and 4 times those of the appended net."""
    rows = [
        {"task": "sine", "model": model, "depth": 7, "deeper": 25, "seed": seed, "net": net, "step": step}
        | {"train_loss": factor * (1 + seed), "test_loss": 1.0, "train_error": math.nan, "test_error": math.nan}
        for model, factor in (("plain-mlp", 1.0), ("residual-mlp", 0.1))
        for net, begin in (("shallow", 0), ("appended", 100), ("scratch", 0))
        for seed, step in ((seed, step) for seed in range(3) for step in range(begin, 201, 50))
    ]
    return pd.DataFrame(rows)


def points(figure: Figure, panel: int, net: str) -> np.ndarray:
    (found,) = [line for line in figure.axes[panel].lines if line.get_color() == LOOKS[net]["color"]]
    return np.asarray(found.get_xydata())


def test_panels_show_medians_and_where_layers_were_appended(frame: pd.DataFrame) -> None:
    figure = draw(frame)
    assert [axes.get_title() for axes in figure.axes] == ["plain-mlp", "residual-mlp"]
    np.testing.assert_allclose(points(figure, 1, "appended"), [(100, 0.2), (150, 0.2), (200, 0.2)])
    np.testing.assert_allclose(points(figure, 0, "shallow")[:, 0], [0, 50, 100, 150, 200])
    np.testing.assert_allclose(points(figure, 0, "scratch")[:, 1], 2.0)
    (line,) = [line for line in figure.axes[0].lines if line.get_color() == "#555555"]
    assert set(np.asarray(line.get_xdata())) == {100}
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["depth 7", "the same net and 18 identity layers", "depth 25 from scratch"]


def test_a_line_ends_where_half_of_the_seeds_diverged(frame: pd.DataFrame) -> None:
    is_scratch = (frame["net"] == "scratch") & (frame["model"] == "plain-mlp")
    lost = is_scratch & (frame["seed"] > 0) & (frame["step"] > 50)
    frame.loc[lost & (frame["step"] == 100), "train_loss"] = math.nan
    frame = frame[~(lost & (frame["step"] > 100))]
    figure = draw(frame)
    np.testing.assert_allclose(points(figure, 0, "scratch")[:, 1], [2, 2, math.nan, math.nan, math.nan])


def test_settings_that_vary_have_panels_of_their_own(frame: pd.DataFrame) -> None:
    frame = pd.concat([frame.assign(init=init) for init in ("he", "default")], ignore_index=True)
    titles = [axes.get_title() for axes in draw(frame).axes if axes.get_visible()]
    assert titles == [f"{model}, init {init}" for init in ("default", "he") for model in ("plain-mlp", "residual-mlp")]


def test_more_panels_than_fit_are_rejected(frame: pd.DataFrame) -> None:
    frame = pd.concat([frame.assign(width=width) for width in range(MAX_PANELS)], ignore_index=True)
    with pytest.raises(UserError, match=f"{2 * MAX_PANELS} panels, but one figure shows at most {MAX_PANELS}"):
        draw(frame)
