"""Learning curves: medians over seeds, one panel a model on the same axes, diverged runs marked."""

from statistics import median

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from resnet_cli.figures import style
from resnet_cli.figures.learning_curves import depth_colours, draw
from resnet_cli.figures.run_table import Scale, in_given_order
from resnet_cli.figures.style import BLUE
from resnet_cli.settings.errors import UserError


def line_of(axes: Axes, colour: str, linestyle: str) -> Line2D:
    (line,) = [line for line in axes.lines if line.get_color() == colour and line.get_linestyle() == linestyle]
    return line


def marks(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if line.get_label() == "diverged"]


def end_at(curves: pd.DataFrame, run_id: str, step: int) -> pd.DataFrame:
    """Let a run diverge at `step`: its later rows are gone, its last one is not a number."""
    mine = curves["run_id"] == run_id
    changed = curves[~mine | (curves["step"] <= step)].copy()
    changed.loc[mine, "status"] = "diverged"
    changed.loc[mine & (changed["step"] == step), ["train_loss", "test_loss"]] = np.nan
    return changed


def test_plain_is_left_residual_right_on_the_same_axes(curves: pd.DataFrame) -> None:
    left, right = draw(curves[::-1]).axes
    assert (left.get_title(), right.get_title()) == ("plain-cnn", "resnet")
    assert left.get_ylim() == right.get_ylim()
    assert left.get_xlim() == right.get_xlim() == (0, 30)


def test_medians_are_thin_for_training_and_bold_for_test(curves: pd.DataFrame) -> None:
    axes = draw(curves, metric="error").axes[1]
    colour = depth_colours([8, 20, 32, 56])[20]
    rows = curves[(curves["model"] == "resnet") & (curves["depth"] == 20)].to_dict("records")
    training, test = line_of(axes, colour, "-"), line_of(axes, colour, "--")
    for line, column in ((training, "train_error"), (test, "test_error")):
        expected = [median(r[column] for r in rows if r["step"] == step) for step in (0, 10, 20, 30)]
        assert list(np.asarray(line.get_xdata())) == [0, 10, 20, 30]
        assert list(np.asarray(line.get_ydata())) == pytest.approx(expected)
    assert training.get_linewidth() < test.get_linewidth()


def test_x_can_be_epochs(curves: pd.DataFrame) -> None:
    axes = draw(curves, x="epoch").axes[0]
    assert axes.get_xlabel() == "epoch"
    assert axes.get_xlim() == (0, 3)


def test_many_steps_are_counted_in_thousands(curves: pd.DataFrame) -> None:
    figure = draw(curves.assign(step=curves["step"] * 2000))
    figure.draw_without_rendering()
    assert figure.axes[0].get_xlabel() == "step (thousands)"
    assert "60" in [label.get_text() for label in figure.axes[0].get_xticklabels()]


def test_a_diverged_run_is_marked_and_counts_as_infinite(curves: pd.DataFrame) -> None:
    changed = curves
    for seed in range(3):
        changed = end_at(changed, f"plain-cnn_d56_s{seed}", 20)
    left, right = draw(changed).axes
    (mark,) = marks(left)
    assert list(np.asarray(mark.get_xdata())) == [20, 20, 20]
    assert not marks(right)
    drawn = np.asarray(line_of(left, depth_colours([8, 20, 32, 56])[56], "-").get_ydata(), dtype=float)
    assert list(np.isfinite(drawn)) == [True, True, False, False]


def test_divergence_between_evaluations_leaves_no_gap(curves: pd.DataFrame) -> None:
    changed = end_at(curves, "plain-cnn_d56_s0", 20)
    changed.loc[(changed["run_id"] == "plain-cnn_d56_s0") & (changed["step"] == 20), "step"] = 17
    line = line_of(draw(changed).axes[0], depth_colours([8, 20, 32, 56])[56], "-")
    assert list(np.asarray(line.get_xdata())) == [0, 10, 20, 30]
    assert np.isfinite(np.asarray(line.get_ydata(), dtype=float)).all()


def test_losses_just_before_divergence_do_not_set_the_axis(curves: pd.DataFrame) -> None:
    limits = draw(curves).axes[0].get_ylim()
    changed = end_at(curves, "plain-cnn_d56_s0", 20)
    changed.loc[(changed["run_id"] == "plain-cnn_d56_s0") & (changed["step"] == 10), "train_loss"] = 1e30
    assert draw(changed).axes[0].get_ylim()[1] < 3 * limits[1]


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "room"), [("log", 12), ("linear", 3.3)])
def test_losses_of_untrained_nets_do_not_set_the_axis(curves: pd.DataFrame, scale: Scale, room: float) -> None:
    assert "cut off" not in draw(curves, scale=scale).legends[0].get_title().get_text()
    curves.loc[curves["step"] == 0, ["train_loss", "test_loss"]] *= 1e6
    figure = draw(curves, scale=scale)
    later = curves.loc[curves["step"] > 0, ["train_loss", "test_loss"]].to_numpy()
    assert figure.axes[0].get_ylim()[1] < room * later.max()
    assert "values above the axes are cut off" in figure.legends[0].get_title().get_text()


def test_moderate_early_losses_and_all_errors_are_shown(curves: pd.DataFrame) -> None:
    low, high = draw(curves, scale="linear", splits=["train"]).axes[0].get_ylim()
    medians = curves[curves["step"] == 0].groupby(["model", "depth"])["train_loss"].median()
    assert low <= medians.min()
    assert medians.max() <= high
    curves.loc[curves["step"] > 0, ["train_error", "test_error"]] /= 100
    first = curves[curves["step"] == 0].groupby(["model", "depth"])["test_error"].median()
    assert draw(curves, metric="error", splits=["test"]).axes[0].get_ylim()[1] >= first.max()


def test_failed_runs_are_counted(curves: pd.DataFrame) -> None:
    curves.loc[curves["run_id"] == "resnet_d8_s0", "status"] = "failed"
    note = draw(curves).legends[0].get_title().get_text()
    assert note == "Line: median of 4 to 5 seeds; 1 failed run is not drawn."


@pytest.mark.slow
def test_few_depths_are_labelled_and_many_get_colour_bars(curves: pd.DataFrame) -> None:
    few = draw(curves)
    assert [text.get_text() for text in few.legends[0].get_texts()][:4] == [
        "depth 8",
        "depth 20",
        "depth 32",
        "depth 56",
    ]
    assert [line.get_alpha() for line in few.axes[0].lines] == [None] * 8
    one = curves[curves["depth"] == 8]
    many = draw(
        pd.concat([one.assign(depth=d, run_id=one["run_id"] + f"_{d}") for d in range(2, 41)]), every_depth=True
    )
    assert [text.get_text() for text in many.legends[0].get_texts()] == ["training", "test"]
    assert many.axes[-1].get_ylabel() == "depth"
    assert {line.get_alpha() for line in many.axes[0].lines if line.get_linestyle() == "-"} == {0.55}
    assert {line.get_alpha() for line in many.axes[0].lines if line.get_linestyle() == "--"} == {1.0}


def test_colour_bar_names_the_depths_that_fit(curves: pd.DataFrame) -> None:
    one = curves[curves["depth"] == 8]
    depths = [8, 14, 20, 26, 32, 38, 44, 50, 56]
    figure = draw(pd.concat([one.assign(depth=d, run_id=one["run_id"] + f"_{d}") for d in depths]), every_depth=True)
    assert list(figure.axes[-1].get_yticks()) == depths


def test_deeper_is_darker() -> None:
    def luminance(colour: str) -> int:
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 2126 * red + 7152 * green + 722 * blue

    for depths in ([20, 32, 44, 56, 110], list(range(2, 41))):
        shades = [luminance(colour) for colour in depth_colours(depths).values()]
        assert shades == sorted(shades, reverse=True)


def test_settings_become_rows_but_scheduled_learning_rates_do_not(curves: pd.DataFrame) -> None:
    decayed = curves.assign(scheduled_learning_rate=0.1 / (1 + curves["step"]))
    parts = [decayed.assign(init=init, run_id=decayed["run_id"] + init) for init in ("he", "default")]
    axes = draw(pd.concat(parts)).axes
    headers = [[text.get_text() for text in each.texts] for each in axes]
    assert headers == [["plain-cnn"], ["resnet", "init default"], [], ["init he"]]
    assert [each.get_title() for each in axes] == [""] * 4


def test_legend_does_not_cover_the_axes(curves: pd.DataFrame) -> None:
    figure = draw(end_at(curves, "plain-cnn_d56_s0", 20))
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert all(box is not None and legend.y1 <= box.y0 for box in boxes)


def test_too_many_models_or_rows_are_rejected(curves: pd.DataFrame) -> None:
    one = curves[curves["model"] == "resnet"]
    with pytest.raises(UserError, match="one figure shows at most 25 models"):
        draw(pd.concat([one.assign(model=f"m{i}", run_id=one["run_id"] + f"m{i}") for i in range(26)]))
    with pytest.raises(UserError, match="make 7 combinations, but one figure shows at most 6"):
        draw(pd.concat([curves.assign(width=i, run_id=curves["run_id"] + f"w{i}") for i in range(7)]))


def test_unknown_x_is_rejected(curves: pd.DataFrame) -> None:
    with pytest.raises(UserError, match=r"x \(=steps\) is not known \(did you mean step\?\); known are epoch, step\."):
        draw(curves, x="steps")  # type: ignore[arg-type]


@pytest.mark.slow
def test_many_models_are_arranged_in_several_rows(curves: pd.DataFrame) -> None:
    one = curves[curves["model"] == "resnet"]
    figure = draw(pd.concat([one.assign(model=f"m{i}", run_id=one["run_id"] + f"m{i}") for i in range(10)]))
    assert [axes.get_title() for axes in figure.axes] == [f"m{i}" for i in range(10)]
    assert figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == (2, 5)  # type: ignore[union-attr]


def test_models_can_be_lines_in_panels_by_depth(curves: pd.DataFrame) -> None:
    figure = draw(curves, lines="model")
    assert [axes.get_title() for axes in figure.axes] == ["depth 8", "depth 20", "depth 32", "depth 56"]
    axes = figure.axes[1]
    rows = curves[(curves["model"] == "resnet") & (curves["depth"] == 20)].to_dict("records")
    for linestyle, column in (("-", "train_loss"), ("--", "test_loss")):
        line = line_of(axes, BLUE, linestyle)
        assert line.get_marker() == "s"
        expected = [median(r[column] for r in rows if r["step"] == step) for step in (0, 10, 20, 30)]
        assert list(np.asarray(line.get_ydata())) == pytest.approx(expected)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["plain-cnn", "resnet", "training", "test"]


def test_a_model_without_a_depth_is_missing_in_its_panel(curves: pd.DataFrame) -> None:
    figure = draw(curves[(curves["model"] == "resnet") | (curves["depth"] == 8)], lines="model", splits=["test"])
    assert [len(axes.lines) for axes in figure.axes] == [2, 1, 1, 1]


def test_five_depths_stand_for_many(curves: pd.DataFrame) -> None:
    one = curves[curves["depth"] == 8]
    depths = pd.concat([one.assign(depth=d, run_id=one["run_id"] + f"_{d}") for d in range(2, 41)])
    figure = draw(depths)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["depth 2", "depth 12", "depth 21", "depth 30", "depth 40", "training", "test"]
    assert figure.legends[0].get_title().get_text() == "Line: median of 5 seeds; 5 of 39 depths."
    assert [axes.get_title() for axes in draw(depths, lines="model").axes] == names[:5]
    with pytest.raises(UserError, match="one figure shows at most 25 depths; choose some with --depths"):
        draw(depths, lines="model", every_depth=True)


def test_a_single_run_is_shown_whole(curves: pd.DataFrame) -> None:
    curves.loc[curves["step"] == 0, ["train_loss", "test_loss"]] *= 1e6
    one = curves[curves["run_id"] == "resnet_d8_s0"]
    figure = draw(one)
    assert figure.axes[0].get_ylim()[1] > one[["train_loss", "test_loss"]].to_numpy().max()
    assert figure.legends[0].get_title().get_text() == "One seed."


def test_the_start_is_shown_up_to_three_times_chance(curves: pd.DataFrame) -> None:
    falling = curves.assign(train_loss=2.3 * 0.01 ** (curves["step"] / 10), test_loss=1e9)
    assert "cut off" in draw(falling, splits=["train"]).legends[0].get_title().get_text()
    figure = draw(falling, splits=["train"], chance=2.303)
    assert 2.303 < figure.axes[0].get_ylim()[1] < 3 * 2.303
    assert "constant answer: 2.3" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_constant_answer_of_an_error_is_in_percent(curves: pd.DataFrame) -> None:
    figure = draw(curves, metric="error", chance=curves["test_error"].median())
    assert figure.legends[0].get_texts()[-1].get_text().startswith("constant answer: ")
    assert figure.legends[0].get_texts()[-1].get_text().endswith(" %")


def test_two_settings_of_one_model_make_rows_and_columns(curves: pd.DataFrame) -> None:
    one = curves[curves["model"] == "resnet"]
    parts = [
        one.assign(optimizer=name, learning_rate=rate, run_id=one["run_id"] + name + str(rate))
        for name in ("sgd", "adam")
        for rate in (0.1, 0.01)
    ]
    figure = draw(in_given_order(pd.concat(parts), {"optimizer": ["sgd", "adam"], "learning_rate": [0.1, 0.01]}))
    headers = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert headers == [["learning rate 0.1"], ["learning rate 0.01", "sgd"], [], ["adam"]]
    assert figure.get_suptitle() == "Loss on digits during training of resnet"


def test_depths_are_chosen_for_each_model_by_itself(curves: pd.DataFrame) -> None:
    one = curves[(curves["depth"] == 8) & (curves["model"] == "resnet")]
    dense = pd.concat([one.assign(depth=d, run_id=one["run_id"] + f"_{d}") for d in range(2, 41)])
    sparse = pd.concat([one.assign(depth=d, run_id=f"p{d}" + one["run_id"], model="plain-cnn") for d in (7, 13)])
    figure = draw(pd.concat([dense, sparse]), splits=["test"])
    assert [len(axes.lines) for axes in figure.axes] == [2, 5]
    assert "7 of 39 depths" in figure.legends[0].get_title().get_text()


def test_a_loss_that_is_infinite_from_the_start_has_no_line(curves: pd.DataFrame) -> None:
    plain = (curves["model"] == "plain-cnn") & (curves["depth"] == 8)
    figure = draw(curves.assign(train_loss=curves["train_loss"].mask(plain, np.inf)), lines="model")
    style.render(figure, ".svg")  # also with markers, which are at regular distances
    without = [line for line in figure.axes[0].lines if np.isnan(np.asarray(line.get_ydata(), dtype=float)).all()]
    assert len(without) == 1
