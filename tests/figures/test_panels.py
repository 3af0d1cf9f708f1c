"""A setting as lines: its values become models."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from resnet_cli.figures.panels import arrange, as_file_name, compare, split_panels
from resnet_cli.settings.errors import UserError


def test_setting_values_become_models_of_their_own(summary: pd.DataFrame) -> None:
    plain = summary[summary["model"] == "plain-cnn"].assign(ordering=None)
    residual = summary[summary["model"] == "resnet"]
    both = [residual.assign(ordering=word, run_id=residual["run_id"] + word) for word in ("original", "other")]
    compared = compare(pd.concat([plain, *both]), "ordering")
    assert set(compared["model"]) == {"plain-cnn", "resnet, original", "resnet, other"}
    assert "ordering" not in compared
    assert len(compared) == 60


@pytest.mark.parametrize(
    ("setting", "values", "names"),
    [
        ("block_size", [10, np.nan, 2], ["resnet", "resnet, block size 2", "resnet, block size 10"]),
        ("learning_rate", [0.1, 1e-5], ["resnet, learning rate 1e-05", "resnet, learning rate 0.1"]),
        ("batch_norm", [True, False], ["resnet, batch norm off", "resnet, batch norm on"]),
        ("init", ["he", "default"], ["resnet, default", "resnet, he"]),
    ],
)
def test_numbers_are_shown_with_their_setting_words_without(
    setting: str, values: list[Any], names: list[str], summary: pd.DataFrame
) -> None:
    one = summary[summary["model"] == "resnet"]
    frames = []
    for value in values:
        frames.append(one.assign(run_id=one["run_id"] + str(value)))
        frames[-1][setting] = value
    assert list(compare(pd.concat(frames), setting)["model"].unique()) == names


def test_curves_are_compared_by_the_unscheduled_learning_rate(curves: pd.DataFrame) -> None:
    frame = pd.concat([curves.assign(learning_rate=rate, run_id=curves["run_id"] + str(rate)) for rate in (0.1, 0.2)])
    compared = compare(frame, "learning_rate")
    assert set(compared[compared["model"].str.startswith("resnet")]["model"]) == {
        "resnet, learning rate 0.1",
        "resnet, learning rate 0.2",
    }
    assert "learning_rate" not in compared
    assert set(compared["scheduled_learning_rate"]) == {0.1}


def test_a_setting_that_does_not_vary_is_rejected(summary: pd.DataFrame) -> None:
    parts = [summary.assign(init=word, width=8, run_id=summary["run_id"] + word) for word in ("he", "default")]
    for setting in ("width", "witdh"):
        with pytest.raises(UserError, match=rf"^by \(={setting}\) is not a setting .*; those that do are init\.$"):
            compare(pd.concat(parts), setting)
    with pytest.raises(UserError, match=r"; they differ in no setting\.$"):
        compare(summary, "init")


def test_what_follows_from_a_compared_setting_is_gone(summary: pd.DataFrame) -> None:
    parts = [
        summary.assign(optimizer=name, momentum=momentum, run_id=summary["run_id"] + name)
        for name, momentum in (("sgd", np.nan), ("momentum", 0.9))
    ]
    compared = compare(pd.concat(parts), "optimizer")
    assert not {"optimizer", "momentum"} & set(compared)


def test_two_settings_make_rows_and_columns_and_a_missing_combination_a_hole(summary: pd.DataFrame) -> None:
    parts = [
        summary.assign(optimizer=name, learning_rate=rate, run_id=summary["run_id"] + name + str(rate))
        for name, rate in (("adam", 0.1), ("adam", 0.01), ("sgd", 0.1))
    ]
    place = arrange(split_panels(pd.concat(parts)))
    assert (place.row_headers, place.column_headers) == (["adam", "sgd"], ["learning rate 0.01", "learning rate 0.1"])
    assert (place.across, place.down, place.places) == (2, 2, [0, 1, 3])


@pytest.mark.parametrize(
    ("text", "name"),
    [("init he, batch norm on", "init-he-batch-norm-on"), ("../Ä b/", "b"), ("1e-05 to 0.1", "1e-05-to-0.1")],
)
def test_a_file_name_has_nothing_that_troubles_a_file_system(text: str, name: str) -> None:
    assert as_file_name(text) == name
