"""The figures of a sweep: all of its runs are drawn, on as many figures as it takes."""

import numpy as np
import pandas as pd
import pytest

from resnet_cli.figures.style import BLUE
from resnet_cli.figures.sweep import sweep_figures
from resnet_cli.settings.errors import UserError


def with_settings(frame: pd.DataFrame, **values: list[object]) -> pd.DataFrame:
    """`frame` once for each combination of the settings' values."""
    for setting, of_setting in values.items():
        parts = [frame.assign(run_id=frame["run_id"] + f"_{value}", **{setting: value}) for value in of_setting]  # type: ignore[arg-type]
        frame = pd.concat(parts, ignore_index=True)
    return frame


def names(summary: pd.DataFrame, curves: pd.DataFrame, **options: object) -> list[str]:
    return list(sweep_figures(summary, curves, **options))  # type: ignore[arg-type]


def test_a_plain_sweep_has_one_figure_of_each_kind(summary: pd.DataFrame, curves: pd.DataFrame) -> None:
    assert names(summary, curves) == ["loss-by-depth", "loss-curves", "error-by-depth", "error-curves"]
    regression = {"train_error": None, "test_error": None}
    assert names(summary.assign(**regression), curves.assign(**regression)) == ["loss-by-depth", "loss-curves"]


def test_a_third_setting_makes_a_figure_for_each_value(summary: pd.DataFrame, curves: pd.DataFrame) -> None:
    values: dict[str, list[object]] = {"init": ["he", "glorot"], "width": [4, 8, 16], "batch_norm": [True, False]}
    summary, curves = with_settings(summary, **values), with_settings(curves, **values)
    found = sweep_figures(summary, curves, metrics=["loss"], kinds=["depth"], given={"init": ["he", "glorot"]})
    assert list(found) == ["loss-by-depth-init-he", "loss-by-depth-init-glorot"]
    figure = found["loss-by-depth-init-he"]()
    assert len(figure.axes) == 6
    assert "init he" in [text.get_text() for text in figure.texts]
    curve_names = names(summary, curves, metrics=["loss"], kinds=["curves"])
    assert curve_names == [
        f"loss-curves-init-{init}-batch-norm-{norm}" for init in ("glorot", "he") for norm in ("off", "on")
    ]


def of_two_sizes(summary: pd.DataFrame) -> pd.DataFrame:
    """Nets of each depth with width 4 and, three times as large, with width 8."""
    frame = with_settings(summary, width=[4, 8])
    return frame.assign(parameters=frame["parameters"] * (frame["width"] // 2 - 1))


def test_nets_of_one_depth_and_several_sizes_are_drawn_against_their_size(
    summary: pd.DataFrame, curves: pd.DataFrame
) -> None:
    sizes = of_two_sizes(summary)
    found = sweep_figures(sizes, curves, metrics=["error"], kinds=["depth", "parameters"], splits=["test"])
    assert list(found) == ["error-by-depth", "error-by-parameters"]
    figure = found["error-by-parameters"]()
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_xscale()) == ("parameters", "log")
    assert figure.get_suptitle() == "Test error on digits against parameters"
    expected = sizes[sizes["model"] == "resnet"].groupby("parameters")["test_error"].median()
    (drawn,) = [line for line in axes.lines if line.get_color() == BLUE and line.get_linestyle() == "--"]
    assert list(np.asarray(drawn.get_xdata())) == list(expected.index)
    assert list(np.asarray(drawn.get_ydata())) == pytest.approx(list(expected))


def test_other_settings_than_those_of_the_size_have_panels_of_their_own(
    summary: pd.DataFrame, curves: pd.DataFrame
) -> None:
    sizes = with_settings(of_two_sizes(summary), init=["he", "glorot"])
    figure = sweep_figures(sizes, curves, metrics=["loss"], kinds=["parameters"])["loss-by-parameters"]()
    assert [axes.get_title() for axes in figure.axes] == ["init glorot", "init he"]


def test_nets_whose_size_follows_from_their_depth_are_not_drawn_against_it(
    summary: pd.DataFrame, curves: pd.DataFrame
) -> None:
    widened = of_two_sizes(summary)
    assert names(summary, curves, kinds=["parameters"]) == []
    assert names(widened, with_settings(curves, width=[4, 8]), kinds=["parameters"], by=["width"]) == []


@pytest.mark.slow
def test_many_models_go_on_several_figures(summary: pd.DataFrame, curves: pd.DataFrame) -> None:
    def many(frame: pd.DataFrame) -> pd.DataFrame:
        one = frame[frame["model"] == "resnet"]
        return pd.concat([one.assign(model=f"m{i:02d}", run_id=one["run_id"] + f"m{i}") for i in range(26)])

    found = sweep_figures(many(summary), many(curves), metrics=["loss"])
    assert list(found) == ["loss-by-depth", "loss-curves-m00-to-m12", "loss-curves-m13-to-m25"]
    assert [axes.get_title() for axes in found["loss-curves-m13-to-m25"]().axes if axes.get_visible()] == [
        f"m{index}" for index in range(13, 26)
    ]


def test_every_run_is_on_exactly_one_figure(summary: pd.DataFrame, curves: pd.DataFrame) -> None:
    values: dict[str, list[object]] = {"width": list(range(7)), "batch_size": list(range(6)), "init": ["he", "glorot"]}
    runs = with_settings(summary[summary["seed"] == 0], **values)
    found = sweep_figures(runs, curves, metrics=["loss"], kinds=["depth"])
    drawn = pd.concat([drawing.rows for drawing in found.values()])
    assert sorted(drawn["run_id"]) == sorted(runs["run_id"])
    assert len(found) == 2 * 2 * 2


def test_a_setting_that_follows_from_another_is_not_repeated(summary: pd.DataFrame, curves: pd.DataFrame) -> None:
    runs = with_settings(summary, init=["he", "normal"]).assign(
        init_std=lambda frame: frame["init"].map({"normal": 0.1})
    )
    figure = sweep_figures(runs, curves, metrics=["loss"], kinds=["depth"])["loss-by-depth"]()
    assert [axes.get_title() for axes in figure.axes] == ["init he", "init normal"]


def test_values_keep_the_order_in_which_they_are_given(summary: pd.DataFrame, curves: pd.DataFrame) -> None:
    runs = with_settings(summary, init=["he", "default", "glorot"])
    given: dict[str, list[object]] = {"init": ["glorot", "default"], "seeds": [0]}
    panels = sweep_figures(runs, curves, metrics=["loss"], kinds=["depth"], given=given)["loss-by-depth"]()
    assert [axes.get_title() for axes in panels.axes] == ["init glorot", "init default", "init he"]
    found = sweep_figures(
        runs, with_settings(curves, init=["he", "default"]), metrics=["loss"], kinds=["depth"], given=given, by=["init"]
    )
    (figure,) = [draw() for draw in found.values()]
    plain = [text.get_text() for text in figure.legends[0].get_texts()][:3]
    assert plain == ["plain-cnn, glorot", "plain-cnn, default", "plain-cnn, he"]


def test_by_takes_two_settings_at_most(summary: pd.DataFrame, curves: pd.DataFrame) -> None:
    with pytest.raises(UserError, match=r"^by \(=a,b,c\) must be one setting, or two for rows and columns\.$"):
        sweep_figures(summary, curves, by=["a", "b", "c"])
    runs = with_settings(summary, init=["he", "default"])
    with pytest.raises(UserError, match=r"^by \(=init,init\) names a setting twice; give it once"):
        sweep_figures(runs, with_settings(curves, init=["he", "default"]), by=["init", "init"])


def test_a_setting_of_many_numbers_is_drawn_as_a_map(summary: pd.DataFrame, curves: pd.DataFrame) -> None:
    values: dict[str, list[object]] = {"learning_rate": [0.1, 0.2, 0.3, 0.4, 0.5], "init": ["he", "glorot"]}
    many, few = with_settings(summary, **values), with_settings(summary, learning_rate=[0.1, 0.2])
    assert list(sweep_figures(many, curves, kinds=["map"])) == [
        "loss-map-by-learning-rate",
        "error-map-by-learning-rate",
    ]
    assert names(many, with_settings(curves, **values), kinds=["map"], by=["init"]) == []
    assert list(sweep_figures(few, curves, kinds=["map"])) == []
    chosen = sweep_figures(few, curves, kinds=["map"], map_by="learning_rate", metrics=["loss"])
    assert [drawing.kind for drawing in chosen.values()] == ["map"]
    with pytest.raises(UserError, match=r"x \(=init\) is not a setting with numbers as values"):
        sweep_figures(many, curves, kinds=["map"], map_by="init")


def test_maps_with_more_panels_than_fit_go_on_in_others(summary: pd.DataFrame, curves: pd.DataFrame) -> None:
    values: dict[str, list[object]] = {"learning_rate": [0.1, 0.2], "width": [4, 8, 16, 32], "init": ["he", "glorot"]}
    found = sweep_figures(
        with_settings(summary, **values), curves, kinds=["map"], metrics=["loss"], map_by="learning_rate"
    )
    assert list(found) == [f"loss-map-by-learning-rate-init-{init}" for init in ("glorot", "he")]
