"""Panels of removed and swapped blocks show the medians of the frame, and say what they are of."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_cli.figures.removed_blocks import draw
from resnet_cli.figures.style import BLUE, render
from resnet_cli.settings.errors import UserError

MakeFrame = Callable[..., pd.DataFrame]


@pytest.fixture
def make_frame() -> MakeFrame:
    """Nets of six blocks, the third and fifth down-sampling, in the shape of `measure_changes`."""

    def make(
        task: str = "digits",
        depths: tuple[int, ...] = (14,),
        models: tuple[str, ...] = ("plain-cnn", "resnet"),
        seeds: int = 3,
        **settings: object,
    ) -> pd.DataFrame:
        generator = np.random.default_rng(0)
        rows = []
        for model in models:
            for depth in depths:
                for seed in range(seeds):
                    run_id = f"{model}_d{depth}_s{seed}_{'_'.join(map(str, settings.values()))}"
                    who = {"run_id": run_id, "task": task, "model": model, "depth": depth, "seed": seed} | settings
                    changes: list[tuple[object, ...]] = [("intact", "", 0, 1.0, None), ("chance", "", None, None, None)]
                    changes += [("single", str(block), 1, None, None) for block in range(1, 7)]
                    changes += [("several", "1 2", 2, None, 1), ("several", "1 3", 2, None, 2)]
                    changes += [("order", "2 1 3 4 5 6", 0, 1 - 2 / 15, 1), ("order", "3 2 1 4 5 6", 0, 0.6, 1)]
                    columns = ("change", "blocks", "removed", "kendall_tau", "draw")
                    rows += [who | dict(zip(columns, change, strict=True)) for change in changes]
        frame = pd.DataFrame(rows).astype({"removed": "Int64", "draw": "Int64", "kendall_tau": float})
        marked = frame["change"].isin(["single", "several"]) & frame["blocks"].str.contains("3|5")
        loss = generator.uniform(0.1, 2, len(frame))
        error = np.nan if task == "sine" else np.where(frame["change"] == "chance", 90.0, 40 * loss)
        return frame.assign(changes_shape=marked, test_loss=loss, test_error=error)

    return make


def lines_of(axes: Axes, colour: str, style: str) -> list[Line2D]:
    return [line for line in axes.get_lines() if line.get_color() == colour and line.get_linestyle() == style]


def points(line: Line2D) -> dict[float, float]:
    return dict(np.asarray(line.get_xydata()).tolist())


def heights(line: Line2D) -> set[float]:
    return set(np.asarray(line.get_ydata()))


def legend_words(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [legend.get_title().get_text(), *(text.get_text() for text in legend.get_texts())]


def test_lines_are_the_medians_of_each_change(make_frame: MakeFrame) -> None:
    frame = make_frame()
    resnet = frame[frame["model"] == "resnet"]
    single, several, order = draw(frame).axes
    (line,) = lines_of(single, BLUE, "-")
    of_block = resnet[resnet["change"] == "single"].groupby("blocks")["test_error"].median()
    assert points(line) == {int(str(block)): pytest.approx(value) for block, value in of_block.items()}
    (line,) = lines_of(several, BLUE, "-")
    removals = resnet[resnet["change"].isin(["intact", "single", "several"])]
    of_number = removals.groupby("removed")["test_error"].median()
    assert points(line) == {number: pytest.approx(of_number[number]) for number in (0, 1, 2)}
    (line,) = lines_of(order, BLUE, "-")
    orders = resnet[resnet["change"].isin(["intact", "order"])]
    of_tau = orders.groupby("kendall_tau")["test_error"].median()
    assert points(line) == pytest.approx({tau: of_tau[tau] for tau in (1.0, 1 - 2 / 15, 0.6)})
    (dots,) = (line for line in lines_of(order, BLUE, "None") if line.get_marker() == ".")
    assert len(np.asarray(dots.get_xydata())) == len(orders)


def test_bands_reach_from_the_10th_to_the_90th_percentile(make_frame: MakeFrame) -> None:
    frame = make_frame(models=("resnet",), seeds=11)
    axes = draw(frame).axes[0]
    (band,) = axes.collections
    errors = np.sort(frame.loc[(frame["change"] == "single") & (frame["blocks"] == "2"), "test_error"])
    edges = {y for x, y in np.asarray(band.get_paths()[0].vertices) if x == 2}
    assert sorted(edges) == pytest.approx([errors[1], errors[9]])


def test_blocks_that_change_the_shape_are_hollow(make_frame: MakeFrame) -> None:
    figure = draw(make_frame(models=("resnet",)))
    (marks,) = lines_of(figure.axes[0], BLUE, "None")
    assert marks.get_markerfacecolor() == "white"
    assert list(points(marks)) == [3, 5]
    assert "removed block changes the shape" in legend_words(figure)
    without = make_frame(models=("resnet",)).assign(changes_shape=False)
    assert "removed block changes the shape" not in legend_words(draw(without))


def test_the_intact_nets_and_chance_are_levels(make_frame: MakeFrame) -> None:
    frame = make_frame()
    figure = draw(frame)
    for axes in figure.axes:
        (chance,) = (line for line in axes.get_lines() if line.get_linestyle() == ":")
        assert heights(chance) == {90}
    (intact,) = lines_of(figure.axes[0], BLUE, "--")
    expected = frame[(frame["model"] == "resnet") & (frame["change"] == "intact")]["test_error"].median()
    assert heights(intact) == {expected}
    assert legend_words(figure)[1:5] == ["plain-cnn", "resnet", "intact net", "chance"]


def test_a_regression_is_drawn_as_loss_on_a_log_axis(make_frame: MakeFrame) -> None:
    figure = draw(make_frame("sine"))
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].get_ylabel() == "test mean squared error"
    assert draw(make_frame()).axes[0].get_ylabel() == "test error (% of examples)"


def test_the_trained_order_is_on_the_left(make_frame: MakeFrame) -> None:
    left, right = draw(make_frame()).axes[2].get_xlim()
    assert left > 1 > 0.6 > right


def test_many_orders_are_grouped_in_steps(make_frame: MakeFrame) -> None:
    frame = make_frame(models=("resnet",), seeds=1)
    several = pd.concat([frame[frame["change"] == "order"].head(1)] * 100)
    tau = np.linspace(0.99, 0.0, 100)
    axes = draw(pd.concat([frame[frame["change"] != "order"], several.assign(kendall_tau=tau)])).axes[2]
    (line,) = lines_of(axes, BLUE, "-")
    assert list(points(line)) == pytest.approx([*np.arange(0.045, 1, 0.1), 1.0])


def test_the_legend_says_what_a_line_stands_for(make_frame: MakeFrame) -> None:
    notes = legend_words(draw(make_frame()))[0].replace("\n", " ")
    assert notes == (
        "Lines: median, bands: 10th to 90th percentile, of 3 seeds with up to 2 random draws each; "
        "on the right a dot for each net."
    )
    one = make_frame(seeds=1)
    assert "of one seed with up to 2 random draws;" in legend_words(draw(one))[0].replace("\n", " ")
    single = one[one["draw"].isna()]
    assert "of one seed;" in legend_words(draw(single))[0]


def test_losses_that_are_not_finite_are_left_out_and_counted(make_frame: MakeFrame) -> None:
    frame = make_frame("sine")
    frame.loc[(frame["change"] == "single") & (frame["blocks"] == "2"), "test_loss"] = math.inf
    figure = draw(frame)
    assert "left out: 6 nets whose loss is not finite" in legend_words(figure)[0].replace("\n", " ")
    (line,) = lines_of(figure.axes[0], BLUE, "-")
    assert list(points(line)) == [1, 3, 4, 5, 6]
    frame.loc[frame["change"] == "single", "test_loss"] = math.nan
    assert "left out: 36 nets" in legend_words(draw(frame))[0].replace("\n", " ")


def test_nets_without_swappable_blocks_have_an_explained_empty_panel(make_frame: MakeFrame) -> None:
    frame = make_frame()
    axes = draw(frame[frame["change"] != "order"]).axes[2]
    assert [text.get_text() for text in axes.texts] == ["no two blocks can be swapped"]


@pytest.mark.slow
def test_each_depth_and_setting_has_a_row(make_frame: MakeFrame) -> None:
    frame = pd.concat([make_frame(depths=(8, 14), width=width) for width in (4, 8)], ignore_index=True)
    figure = draw(frame)
    titles = [axes.get_title() for axes in figure.axes[::3]]
    assert titles == [f"depth {depth}, width {width}\none block removed" for width in (4, 8) for depth in (8, 14)]
    (line,) = lines_of(figure.axes[3], BLUE, "-")
    of_row = frame[(frame["depth"] == 14) & (frame["width"] == 4) & (frame["model"] == "resnet")]
    assert points(line)[2] == pytest.approx(of_row.loc[of_row["blocks"] == "2", "test_error"].median())
    with pytest.raises(UserError, match="make 8 rows of panels, but one figure shows at most 6; choose some"):
        draw(pd.concat([make_frame(depths=(8, 14), width=width) for width in (1, 2, 4, 8)]))


def test_one_figure_shows_one_task(make_frame: MakeFrame) -> None:
    with pytest.raises(UserError, match=r"task \(=digits, sine\): a figure shows one task; draw each by itself\."):
        draw(pd.concat([make_frame(), make_frame("sine")]))


@pytest.mark.slow
def test_the_same_frame_gives_the_same_bytes(make_frame: MakeFrame) -> None:
    frame = make_frame(depths=(8, 14))
    assert render(draw(frame), ".svg") == render(draw(frame.copy()), ".svg")


def test_the_title_names_medians_of_the_deepest_nets_without_one_block(make_frame: MakeFrame) -> None:
    frame = make_frame(depths=(8, 14))
    single = frame[(frame["depth"] == 14) & (frame["change"] == "single")].groupby("model")["test_error"].median()
    told = f"{single['plain-cnn']:.3g} % in plain-cnn and {single['resnet']:.3g} % in resnet"
    title = " ".join(draw(frame).get_suptitle().split())
    assert title == f"After one block is removed at depth 14, the test error is {told}"
    few = draw(make_frame(seeds=2)).get_suptitle()
    assert few == "digits: test error of trained nets after blocks are removed or change places"
