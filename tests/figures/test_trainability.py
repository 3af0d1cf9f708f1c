"""The map of trainable depth with theory over it: lines, panels, and the documents' turn."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_cli.figures.trainability import draw
from resnet_cli.settings.errors import UserError


def frame(
    activations: tuple[str, ...] = ("relu",), models: tuple[str, ...] = ("plain-mlp", "residual-mlp")
) -> pd.DataFrame:
    """Two depths and three deviations of each kind of net, and a curve; the depth scale is ten times the deviation."""
    rows = []
    for activation in activations:
        for model in models:
            shared = {"task": "sine", "model": model, "activation": activation, "width": 30, "init_bias_std": 0.0}
            shared |= {"block_size": 3 if model == "residual-mlp" else None, "chance_loss": 0.5, "default_std": 0.105}
            for std in (0.05, 0.1, 0.2):
                scale = math.inf if std == 0.2 and model == "residual-mlp" else 10 * std
                theory = {"init_std": std, "sigma_w": std * math.sqrt(30), "chi": 1.0, "depth_scale": scale}
                rows += [shared | theory | {"depth": depth, "loss": 0.1 * depth * std, "seeds": 3} for depth in (1, 40)]
                rows.append(shared | theory)
    return pd.DataFrame(rows)


def line(axes: Axes) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in np.asarray(axes.lines[0].get_xydata())]


def words(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [" ".join(legend.get_title().get_text().split()), *(text.get_text() for text in legend.get_texts())]


def test_six_depth_scales_lie_over_the_map() -> None:
    figure = draw(frame())
    assert line(figure.axes[0]) == [pytest.approx(point) for point in [(0.05, 3), (0.1, 6), (0.2, 12)]]
    assert line(figure.axes[1])[2][1] > 100  # infinite
    assert figure.axes[0].get_ylim()[1] < 100
    assert figure.axes[0].get_xscale() == "log"


def test_the_documents_turn_is_marked_in_plain_nets() -> None:
    figure = draw(frame(("relu", "tanh")))
    marks = [[one for one in axes.lines if one.get_marker() == "*"] for axes in figure.axes[:4]]
    assert [len(of_panel) for of_panel in marks] == [1, 0, 0, 0]
    assert np.asarray(marks[0][0].get_xydata()).tolist() == [[0.105, 7.0]]


def test_the_legend_says_what_theory_and_widths_are() -> None:
    notes, *entries = words(draw(frame()))
    assert notes.startswith(
        "Cell: median of 3 seeds; σ_w = init std × √30; σ_b = 0; colours end at constant answer: 0.5;"
    )
    assert entries == [
        "half of the constant answer's loss",
        "mean-field theory: 6 ξ",
        "the documents' turn at about 7 layers (plain ReLU nets)",
    ]


def test_activations_make_rows_of_panels() -> None:
    figure = draw(frame(("relu", "tanh")))
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["plain-mlp", "residual-mlp", "activation relu", "activation tanh"]
    assert len(draw(frame(models=("plain-mlp",))).axes) == 2


def test_too_many_combinations_are_refused() -> None:
    parts = [frame().assign(width=width) for width in range(1, 8)]
    with pytest.raises(UserError, match="width make 7 combinations, but one figure shows at most 6"):
        draw(pd.concat(parts))
