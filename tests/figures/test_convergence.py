"""Convergence: medians are the frame's, and runs that do not reach a level are seen."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_cli.figures.convergence import draw
from resnet_cli.figures.style import BLUE, VERMILLION
from resnet_cli.settings.errors import UserError

NAN = math.nan

Steps = dict[str, dict[int, list[float]]]


def frame_of(steps: Steps, *, levels: tuple[float, ...] = (0.1,), error: float | None = None) -> pd.DataFrame:
    """A row for each model, depth and seed, whose steps are given, and for each level."""
    return pd.DataFrame(
        {
            "run_id": f"{model}_{depth}_{seed}",
            "task": "sine",
            "model": model,
            "depth": depth,
            "seed": seed,
            "status": "done",
            "split": "train",
            "level": level,
            "step": step,
            "epoch": step / 10,
            "train_loss": 0.05,
            "train_error": error,
        }
        for model, by_depth in steps.items()
        for depth, of_seeds in by_depth.items()
        for seed, step in enumerate(of_seeds)
        for level in levels
    )


STEPS: Steps = {
    "plain-mlp": {2: [10, 20, 30], 4: [40, 50, NAN], 8: [NAN, 70, NAN]},
    "residual-mlp": {2: [11, 12, 13], 4: [21, 22, 23], 8: [31, 32, 33]},
}


def median_line(axes: Axes, colour: str) -> dict[float, float]:
    (line,) = [line for line in axes.lines if line.get_color() == colour and line.get_linestyle() == "-"]
    return dict(zip(np.asarray(line.get_xdata()), np.asarray(line.get_ydata(), dtype=float), strict=True))


def marks(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if line.get_marker() == "^" and line.get_linestyle() == "None"]


def note(figure: Figure) -> str:
    return figure.legends[0].get_title().get_text().replace("\n", " ")


def test_lines_are_medians_in_which_a_level_not_reached_is_infinitely_late() -> None:
    axes = draw(frame_of(STEPS)).axes[0]
    assert median_line(axes, VERMILLION) == pytest.approx({2: 20, 4: 50, 8: NAN}, nan_ok=True)
    assert median_line(axes, BLUE) == pytest.approx({2: 12, 4: 22, 8: 32})


def test_epochs_are_drawn_where_they_are_asked_for() -> None:
    figure = draw(frame_of(STEPS), unit="epoch")
    assert median_line(figure.axes[0], BLUE) == pytest.approx({2: 1.2, 4: 2.2, 8: 3.2})
    assert figure.texts[-1].get_text() == "sine: epochs until the training loss reaches 0.1"
    title = " ".join(figure.get_suptitle().split())
    assert title == "A training loss of 0.1 is reached by 6 of 9 runs of plain-mlp and 9 of 9 runs of residual-mlp"


def test_runs_of_a_single_depth_are_dots_by_model() -> None:
    axes = draw(frame_of({model: {4: of_depth[4]} for model, of_depth in STEPS.items()})).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["plain-mlp", "residual-mlp"]
    assert axes.get_xlabel() == "depth 4"
    dots = [list(np.asarray(line.get_ydata())) for line in axes.lines if line.get_marker() in ("o", "s")]
    assert dots == [[40, 50], [21, 22, 23]]
    (late,) = marks(axes)
    assert list(np.asarray(late.get_xdata())) == [0]


def test_every_run_that_reaches_the_level_is_a_dot() -> None:
    axes = draw(frame_of(STEPS)).axes[0]
    drawn = np.concatenate([np.asarray(line.get_ydata()) for line in axes.lines if line.get_marker() == "."])
    assert sorted(drawn[np.isfinite(drawn)]) == [10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, 33, 40, 50, 70]


def test_runs_that_do_not_reach_the_level_are_marked_and_counted_above_all_dots() -> None:
    figure = draw(frame_of(STEPS))
    axes = figure.axes[0]
    assert [(float(np.asarray(mark.get_xdata())[0]), mark.get_color()) for mark in marks(axes)] == [
        (4, VERMILLION),
        (8, VERMILLION),
    ]
    assert [text.get_text() for text in axes.texts] == ["1", "2"]
    low, high = np.log(axes.get_ylim())
    assert all(np.asarray(mark.get_ydata())[0] > (np.log(70) - low) / (high - low) for mark in marks(axes))
    assert "not reached (number of runs)" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_many_depths_have_darker_marks_instead_of_counts() -> None:
    steps: Steps = {"plain-mlp": {depth: [5.0, 6.0, NAN if depth > 10 else 7.0] for depth in range(2, 20)}}
    steps["plain-mlp"][19] = [NAN, NAN, NAN]
    figure = draw(frame_of(steps))
    shown = [mark.get_markerfacecolor() for mark in marks(figure.axes[0])]
    assert shown == [(VERMILLION, pytest.approx(1 / 3))] * 8 + [(VERMILLION, 1)]
    assert not figure.axes[0].texts
    assert "not reached (darker: by more runs)" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_nothing_is_said_about_levels_not_reached_where_all_are() -> None:
    figure = draw(frame_of({"residual-mlp": STEPS["residual-mlp"]}))
    assert not marks(figure.axes[0])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["residual-mlp"]


def test_a_level_that_no_run_reaches_can_be_drawn() -> None:
    assert len(marks(draw(frame_of({"plain-mlp": {2: [NAN], 4: [NAN]}})).axes[0])) == 2


def test_a_level_that_is_reached_before_the_first_step_is_at_zero() -> None:
    axes = draw(frame_of({"plain-mlp": {2: [0.0], 4: [50.0]}})).axes[0]
    assert median_line(axes, VERMILLION) == {2: 0, 4: 50}
    assert axes.get_ylim()[0] < 0


@pytest.mark.parametrize(
    ("of_seeds", "band"),
    [([1.0, 2.0, 9.0], (1, 9)), ([1.0, 2.0, 4.0, 8.0, NAN], (2, 8))],
)
def test_the_band_is_from_first_to_last_or_between_quartiles(of_seeds: list[float], band: tuple[float, float]) -> None:
    figure = draw(frame_of({"plain-mlp": {2: of_seeds, 4: of_seeds}}))
    (drawn,) = [c for c in figure.axes[0].collections if isinstance(c, FillBetweenPolyCollection)]
    heights = np.asarray(drawn.get_paths()[0].vertices)[:, 1]
    assert (heights.min(), heights.max()) == band
    assert ("interquartile range" if len(of_seeds) == 5 else "minimum to maximum") in note(figure)


def test_levels_and_settings_have_panels() -> None:
    frame = frame_of(STEPS, levels=(0.1, 0.01))
    axes = draw(frame).axes
    assert [one.get_title() for one in axes] == ["level 0.01", "level 0.1"]
    with_setting = pd.concat([frame.assign(init=init, run_id=frame["run_id"] + init) for init in ("he", "glorot")])
    titles = [one.get_title() for one in draw(with_setting.reset_index(drop=True)).axes]
    assert titles == [f"level {level}, init {init}" for level in (0.01, 0.1) for init in ("glorot", "he")]


@pytest.mark.parametrize(("error", "words"), [(None, "mean squared error"), (12.0, "cross-entropy (nats)")])
def test_the_unit_of_levels_is_named(error: float | None, words: str) -> None:
    assert f"Level: {words}" in note(draw(frame_of(STEPS, error=error)))


def test_wrong_requests_are_named() -> None:
    with pytest.raises(UserError, match=r"unit \(=hour\)"):
        draw(frame_of(STEPS), unit="hour")
    with pytest.raises(UserError, match=r"task \(=digits, sine\)"):
        draw(pd.concat([frame_of(STEPS), frame_of(STEPS).assign(task="digits")], ignore_index=True))
    with pytest.raises(
        UserError, match=r"13 combinations.*; give fewer --levels, or make a setting lines of a panel with --by\."
    ):
        draw(frame_of(STEPS, levels=tuple(range(1, 14))))
