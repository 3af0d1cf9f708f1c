"""Counts of ImageNet nets: bars are what was counted, marks are what texts say, and wrong numbers look wrong."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from resnet_cli.figures.counts import STATEMENTS, draw

PUBLISHED = {
    "VGG-16": (138_357_544, 15.5e9),
    "VGG-19": (143_667_240, 19.6e9),
    "ResNet-18": (11_689_512, 1.8e9),
    "ResNet-34": (21_797_672, 3.7e9),
    "ResNet-50": (25_557_032, 4.1e9),
    "ResNet-101": (44_549_160, 7.8e9),
    "ResNet-152": (60_192_808, 11.5e9),
    "DenseNet-121": (7_978_856, 2.87e9),
    "DenseNet-169": (14_149_480, 3.4e9),
    "DenseNet-201": (20_013_928, 4.34e9),
    "DenseNet-264": (33_300_000, 5.8e9),
}


@pytest.fixture
def counts() -> pd.DataFrame:
    """As published with later implementations."""
    rows = [(net, *numbers) for net, numbers in PUBLISHED.items()]
    return pd.DataFrame(rows, columns=["net", "parameters", "multiply_adds"])


def marks(axes: Axes, marker: str) -> list[tuple[float, float]]:
    """Places of the marks of a kind, by row and value."""
    found = [line for line in axes.lines if line.get_marker() == marker]
    return sorted(
        (round(float(np.asarray(line.get_ydata())[0])), float(np.asarray(line.get_xdata())[0])) for line in found
    )


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_bars_are_the_counts_in_millions_and_billions(counts: pd.DataFrame) -> None:
    parameters, operations = draw(counts).axes
    for axes, column, unit in ((parameters, "parameters", 1e6), (operations, "multiply_adds", 1e9)):
        widths = [bar.get_width() for bar in axes.containers[0]]
        assert widths == pytest.approx(list(counts[column] / unit))
        assert [f"{width:.1f}" for width in widths] == [word for word in words(axes) if word.replace(".", "").isdigit()]
    assert [label.get_text() for label in parameters.get_yticklabels()] == list(PUBLISHED)
    assert parameters.get_ylim()[0] > parameters.get_ylim()[1], "the first net is on top"


def test_the_two_wrong_numbers_are_marked_and_explained(counts: pd.DataFrame) -> None:
    parameters, operations = draw(counts).axes
    assert marks(parameters, "X") == [(0, 143.6), (6, 11.5)]
    assert marks(operations, "X") == []
    assert "Kowsik 143.6, which is VGG-19's" in words(parameters)
    assert "Kowsik 11.5, which is its billions of multiply-adds" in words(parameters)
    assert round(PUBLISHED["VGG-19"][0] / 1e6, 1) == pytest.approx(143.7, abs=0.11)
    assert PUBLISHED["ResNet-152"][1] / 1e9 == 11.5


def test_right_numbers_are_ticks_within_a_tenth_of_the_counts(counts: pd.DataFrame) -> None:
    parameters, operations = draw(counts).axes
    assert marks(parameters, "|") == [(0, 138), (0, 138), (1, 144), (4, 25)]
    assert len(marks(operations, "|")) == 9
    for statement in STATEMENTS:
        counted = counts.set_index("net").loc[statement.net, statement.column]
        unit = {"parameters": 1e6, "multiply_adds": 1e9}[statement.column]
        is_near = statement.value * unit == pytest.approx(counted, rel=0.1)
        is_exact_of_another = statement.net == "VGG-16" and statement.value == 143.6
        assert is_near == (not statement.mistake) or is_exact_of_another


def test_the_share_of_operations_is_stated(counts: pd.DataFrame) -> None:
    title = draw(counts).get_suptitle().replace("\N{NO-BREAK SPACE}", " ").strip()
    assert title == "ResNet-34 needs 18.9 % of VGG-19's multiply-adds (Kowsik: 18 %)"
    others = draw(counts[counts["net"] != "VGG-19"])
    assert others.get_suptitle() == "Parameters and operations of ImageNet nets"


def test_each_family_has_its_colour(counts: pd.DataFrame) -> None:
    bars = draw(counts).axes[0].containers[0]
    colours = [bar.get_facecolor() for bar in bars]
    assert [colours.index(colour) for colour in colours] == [0, 0, 2, 2, 2, 2, 2, 7, 7, 7, 7]


def test_texts_do_not_overlap(counts: pd.DataFrame) -> None:
    figure = draw(counts)
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
        assert not any(one.overlaps(other) for one in boxes for other in boxes if one is not other)
