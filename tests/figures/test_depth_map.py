"""Maps over depth and a setting: their cells, panels, axes, notes and refusals."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from resnet_cli.figures.depth_map import draw, medians, worth_a_map
from resnet_cli.settings.errors import UserError

STDS = [0.01, 0.1, 1.0]


def summary(**changed: object) -> pd.DataFrame:
    """Losses init_std · depth · 0.01 plus a thousandth a seed; the residual net has a tenth."""
    rows = [
        {"run_id": f"{model}{depth}{std}{seed}", "task": "sine", "model": model, "depth": depth, "seed": seed}
        | {"status": "done", "init": "normal", "init_std": std}
        | {"train_loss": (0.01 * std * depth + 0.001 * seed) * (0.1 if model == "residual-mlp" else 1)}
        | {"test_loss": 1.0}
        | changed
        for model in ("plain-mlp", "residual-mlp")
        for depth in (2, 4, 6)
        for std in STDS
        for seed in range(3)
    ]
    return pd.DataFrame(rows)


def words(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [" ".join(legend.get_title().get_text().split()), *(text.get_text() for text in legend.get_texts())]


def shown(figure: Figure, panel: int) -> list[float]:
    values: np.ndarray = np.ma.filled(np.ma.asarray(figure.axes[panel].collections[0].get_array()), math.nan)
    return [float(value) for value in values.ravel()]


def test_each_cell_is_the_median_over_seeds() -> None:
    figure = draw(summary(), x="init_std")
    expected = [0.01 * std * depth + 0.001 for depth in (2, 4, 6) for std in STDS]
    assert shown(figure, 0) == pytest.approx(expected)
    assert shown(figure, 1) == pytest.approx([value / 10 for value in expected])
    assert figure.axes[0].collections[0].norm is figure.axes[1].collections[0].norm


def test_axes_say_what_they_show_and_multiplied_values_are_logarithmic() -> None:
    figure = draw(summary(), x="init_std")
    left = figure.axes[0]
    assert (left.get_xscale(), left.get_yscale()) == ("log", "linear")
    assert (left.get_xlabel(), left.get_ylabel()) == ("init std", "depth (hidden layers)")
    assert left.get_ylim() == (1, 7)
    assert figure.axes[-1].get_ylabel() == "training mean squared error"
    assert [text.get_text() for axes in figure.axes for text in axes.texts][:2] == ["plain-mlp", "residual-mlp"]
    assert figure.get_suptitle() == "Training loss on sine by depth and init std"


def test_the_edge_is_at_half_of_the_constant_answer() -> None:
    figure = draw(summary(), x="init_std", chance=0.1)
    lines = [axes.collections[-1] for axes in figure.axes[:2]]
    edges = [line.get_segments() for line in lines if isinstance(line, LineCollection)]
    assert edges[1] == []
    corner = [(10**-0.5, 5), (10**0.5, 5), (10**-0.5, 7)]  # of depth 6 and 1.0, the only cell above 0.05
    assert sorted({tuple(point) for segment in edges[0] for point in segment}) == [
        pytest.approx(point) for point in sorted(corner)
    ]
    assert words(figure)[:2] == [
        "Cell: median of 3 seeds; colours end at constant answer: 0.1.",
        "half of the constant answer's loss",
    ]


def test_cells_where_half_of_the_seeds_diverged_are_hatched() -> None:
    frame = summary()
    at = (frame["depth"] == 4) & (frame["init_std"] == 1.0) & (frame["model"] == "plain-mlp")
    for count, expected in ((1, 0.041), (2, math.inf)):
        hit = at & (frame["seed"] < count)
        changed = frame.assign(status=np.where(hit, "diverged", "done"), train_loss=frame["train_loss"].mask(hit))
        found = medians(changed, "init_std", "loss", "train").set_index(["model", "depth", "init_std"])["value"]
        assert found["plain-mlp", 4, 1.0] == (expected if math.isinf(expected) else pytest.approx(0.042))
        hatched = [one for one in draw(changed, x="init_std").axes[0].collections if one.get_hatch()]
        assert len(hatched) == count - 1
    assert "diverged (half of the seeds or more)" in words(draw(changed, x="init_std"))


def test_missing_cells_are_named_in_the_legend() -> None:
    frame = summary()
    part = frame[(frame["depth"] != 4) | (frame["init_std"] != 0.1)]
    assert "no run" in words(draw(part, x="init_std"))
    assert "no run" not in words(draw(frame, x="init_std"))


def test_other_settings_make_rows_of_panels() -> None:
    of_each = [summary(activation=name) for name in ("relu", "tanh")]
    both = pd.concat([frame.assign(run_id=frame["run_id"] + frame["activation"]) for frame in of_each])
    figure = draw(both.reset_index(drop=True), x="init_std")
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["plain-mlp", "residual-mlp", "activation relu", "activation tanh"]


def test_runs_without_the_setting_are_counted() -> None:
    other = summary(init="default").assign(init_std=math.nan, run_id=lambda frame: frame["run_id"] + "x")
    frame = pd.concat([summary(), other[other["init_std"].isna()].drop_duplicates(["model", "depth", "seed"])])
    figure = draw(frame.reset_index(drop=True), x="init_std")
    assert "18 runs without init_std are not drawn" in words(figure)[0]
    assert len(figure.axes) == 3


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        ("width", "x (=width) is not a setting in which runs of one model and depth differ"),
        ("activation", "x (=activation) is not a setting with numbers as values"),
    ],
)
def test_a_setting_that_cannot_be_an_axis_is_refused(x: str, reason: str) -> None:
    frame = summary()
    frame["activation"] = np.where(frame["init_std"] == 0.1, "tanh", "relu")
    frame["width"] = 30
    with pytest.raises(UserError) as caught:
        draw(frame, x=x)
    assert str(caught.value).startswith(reason)
    assert str(caught.value).endswith("are init_std.")


def test_only_a_setting_of_many_values_is_worth_a_map() -> None:
    frame = summary()
    assert worth_a_map(frame) is None
    many = pd.concat([frame.assign(init_std=frame["init_std"] * factor) for factor in (1, 2)])
    assert worth_a_map(many) == "init_std"
    assert worth_a_map(many[many["depth"] == 2]) is None
