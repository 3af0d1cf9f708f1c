"""ImageNet's winners: the bars are the published numbers."""

from matplotlib.axes import Axes

from resnet_cli.figures.winners import draw


def bars(axes: Axes) -> list[float]:
    return [round(bar.get_height(), 2) for bar in axes.containers[0]]


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_bars_are_published_errors_and_layers_by_year() -> None:
    upper, lower = draw().axes
    assert bars(upper) == [28.2, 25.8, 16.4, 11.7, 7.3, 6.7, 3.57]
    assert bars(lower) == [0, 0, 8, 8, 19, 22, 152]
    assert words(upper) == ["28.2", "25.8", "16.4", "11.7", "7.3", "6.7", "3.57"]
    assert words(lower) == ["shallow", "shallow", "8", "8", "19", "22", "152"]
    assert [label.get_text().split("\n") for label in lower.get_xticklabels()] == [
        ["2010", ""],
        ["2011", ""],
        ["2012", "AlexNet"],
        ["2013", "ZFNet"],
        ["2014", "VGG"],
        ["2014", "GoogLeNet"],
        ["2015", "ResNet"],
    ]


def test_both_measures_have_their_own_axes_with_units() -> None:
    upper, lower = draw().axes
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("top-5 error (% of images)", "layers")
    assert upper.get_ylim()[0] == lower.get_ylim()[0] == 0


def test_the_entry_that_did_not_win_looks_different() -> None:
    for axes in draw().axes:
        assert [bool(bar.get_hatch()) for bar in axes.containers[0]] == [False] * 4 + [True] + [False] * 2


def test_title_and_size() -> None:
    figure = draw(title="Mine", size=(5, 4))
    assert figure.get_suptitle() == "Mine"
    assert list(figure.get_size_inches()) == [5, 4]
