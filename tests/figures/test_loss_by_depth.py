"""Loss by depth: the drawn numbers are the frame's, and nothing that went wrong is hidden."""

from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_cli.figures import loss_by_depth
from resnet_cli.figures.loss_by_depth import draw
from resnet_cli.figures.style import BLUE, VERMILLION
from resnet_cli.settings.errors import UserError

Diverge = Callable[[pd.DataFrame, str, int, int], pd.DataFrame]


def lines(axes: Axes, colour: str, linestyle: str) -> list[Line2D]:
    return [line for line in axes.lines if line.get_color() == colour and line.get_linestyle() == linestyle]


def points(line: Line2D) -> dict[float, float]:
    return dict(zip(np.asarray(line.get_xdata()), np.asarray(line.get_ydata(), dtype=float), strict=True))


def marks(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if line.get_label() == "diverged"]


def note(figure: Figure) -> str:
    return figure.legends[0].get_title().get_text().replace("\n", " ")


def headers(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("metric", ["loss", "error"])
@pytest.mark.parametrize(("model", "colour"), [("plain-cnn", VERMILLION), ("resnet", BLUE)])
def test_training_is_solid_test_is_dashed_and_both_are_medians(
    summary: pd.DataFrame, metric: str, model: str, colour: str
) -> None:
    axes = draw(summary, metric=metric).axes[0]
    for linestyle, split in (("-", "train"), ("--", "test")):
        (line,) = lines(axes, colour, linestyle)
        rows = summary[summary["model"] == model].to_dict("records")
        expected = {d: median(r[f"{split}_{metric}"] for r in rows if r["depth"] == d) for d in (8, 20, 32, 56)}
        assert points(line) == pytest.approx(expected)


def test_every_run_is_a_dot(summary: pd.DataFrame) -> None:
    axes = draw(summary, splits=["train"]).axes[0]
    drawn = np.concatenate([np.asarray(line.get_ydata()) for line in axes.lines if line.get_marker() == "."])
    assert sorted(drawn) == pytest.approx(sorted(summary["train_loss"]))


@pytest.mark.parametrize(
    ("seeds", "shares", "name"), [(5, (0.25, 0.75), "interquartile range"), (4, (0, 1), "minimum to maximum")]
)
def test_band_is_named_and_spans_its_quantiles(
    summary: pd.DataFrame, seeds: int, shares: tuple[float, float], name: str
) -> None:
    runs = summary[(summary["seed"] < seeds) & (summary["model"] == "resnet")]
    figure = draw(runs, splits=["train"])
    (band,) = [c for c in figure.axes[0].collections if isinstance(c, FillBetweenPolyCollection)]
    vertices = np.asarray(band.get_paths()[0].vertices)
    at_20 = vertices[vertices[:, 0] == 20, 1]
    expected = np.quantile(runs.loc[runs["depth"] == 20, "train_loss"], shares)
    assert [at_20.min(), at_20.max()] == pytest.approx(expected)
    assert f"median of {seeds} seeds; band: {name}; dots: single runs" in note(figure)


def test_each_line_has_the_band_that_its_seeds_allow(summary: pd.DataFrame) -> None:
    fewer = summary[(summary["model"] != "plain-cnn") | (summary["depth"] != 56) | (summary["seed"] < 2)]
    figure = draw(fewer, splits=["train"])
    for colour, model, shares in ((VERMILLION, "plain-cnn", (0, 1)), (BLUE, "resnet", (0.25, 0.75))):
        bands = [c for c in figure.axes[0].collections if isinstance(c, FillBetweenPolyCollection)]
        (band,) = [c for c in bands if to_hex(np.asarray(c.get_facecolor())[0].tolist()) == colour.lower()]
        vertices = np.asarray(band.get_paths()[0].vertices)
        at_20 = vertices[vertices[:, 0] == 20, 1]
        losses = fewer.loc[(fewer["model"] == model) & (fewer["depth"] == 20), "train_loss"]
        assert [at_20.min(), at_20.max()] == pytest.approx(np.quantile(losses, shares))
    assert "interquartile range, minimum to maximum of lines with fewer than 5 seeds at some depth" in note(figure)


def test_one_seed_has_neither_band_nor_dots(summary: pd.DataFrame) -> None:
    figure = draw(summary[summary["seed"] == 0])
    assert len(figure.axes[0].lines) == 4
    assert not figure.axes[0].collections
    assert note(figure) == "One seed."


def test_one_depth_has_markers_instead_of_lines(summary: pd.DataFrame) -> None:
    assert note(draw(summary[summary["depth"] == 8])) == "Marker: median of 5 seeds; dots: single runs."


def test_settings_determined_by_depth_make_no_panels(summary: pd.DataFrame) -> None:
    warmup = summary.assign(warmup_steps=summary["depth"].map(lambda depth: 400 if depth == 56 else 0))
    assert len(draw(warmup).axes) == 1


def test_diverged_runs_are_marked_at_the_top_and_counted(summary: pd.DataFrame, diverge: Diverge) -> None:
    figure = draw(diverge(diverge(summary, "plain-cnn", 56, 3), "plain-cnn", 32, 1))
    (mark,) = marks(figure.axes[0])
    assert mark.get_color() == VERMILLION
    assert list(np.asarray(mark.get_xdata())) == [32, 56]
    assert np.all(np.asarray(mark.get_ydata()) > 0.9)
    assert [text.get_text() for text in figure.axes[0].texts] == ["3"]
    assert "diverged (number of runs)" in legend_texts(figure)


def test_median_counts_diverged_runs_as_infinite(summary: pd.DataFrame, diverge: Diverge) -> None:
    changed = diverge(diverge(summary, "plain-cnn", 56, 3), "plain-cnn", 32, 2)
    (line,) = lines(draw(changed).axes[0], VERMILLION, "-")
    finite = changed.query("model == 'plain-cnn' and depth == 32")["train_loss"].dropna()
    assert np.isnan(points(line)[56])
    assert points(line)[32] == pytest.approx(max(finite))


def test_diverged_runs_with_finite_losses_are_marked(summary: pd.DataFrame) -> None:
    summary.loc[summary["run_id"] == "resnet_d8_s0", "status"] = "diverged"
    (mark,) = marks(draw(summary).axes[0])
    assert list(np.asarray(mark.get_xdata())) == [8]


def test_data_stay_below_the_divergence_marks(summary: pd.DataFrame, diverge: Diverge) -> None:
    axes = draw(diverge(diverge(summary, "plain-cnn", 8, 1), "resnet", 8, 1)).axes[0]
    low, high = np.log(axes.get_ylim())
    highest = (np.log(summary[["train_loss", "test_loss"]].to_numpy().max()) - low) / (high - low)
    assert highest < min(np.asarray(mark.get_ydata()).min() for mark in marks(axes))


def test_only_diverged_runs_can_be_drawn(summary: pd.DataFrame, diverge: Diverge) -> None:
    figure = draw(diverge(summary[summary["depth"] == 8], "plain-cnn", 8, 5).query("model == 'plain-cnn'"))
    assert len(marks(figure.axes[0])) == 1


def test_failed_runs_are_counted_but_not_drawn(summary: pd.DataFrame) -> None:
    failed = summary["run_id"].isin(["resnet_d8_s0", "resnet_d8_s1"])
    summary.loc[failed, "status"] = "failed"
    summary.loc[failed, ["train_loss", "test_loss"]] = np.nan
    figure = draw(summary)
    assert not marks(figure.axes[0])
    assert note(figure).endswith("2 failed runs are not drawn.")
    assert "median of 3 to 5 seeds" in note(figure)


def test_zero_loss_is_on_the_log_axis(summary: pd.DataFrame) -> None:
    summary.loc[summary["depth"] == 8, "train_loss"] = 0.0
    axes = draw(summary).axes[0]
    assert axes.get_yscale() == "symlog"
    assert axes.get_ylim()[0] < 0 < axes.get_ylim()[1]
    assert 0 in axes.get_yticks()


@pytest.mark.parametrize(
    ("metric", "scale", "expected"),
    [("loss", "auto", "log"), ("error", "auto", "linear"), ("loss", "linear", "linear"), ("error", "log", "log")],
)
def test_losses_are_logarithmic_and_errors_linear_by_default(
    summary: pd.DataFrame, metric: str, scale: str, expected: str
) -> None:
    assert draw(summary, metric=metric, scale=scale).axes[0].get_yscale() == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("depths", "scale", "ticks"),
    [
        ((20, 32, 44, 56, 110), "linear", [20, 32, 44, 56, 110]),
        ((20, 32, 44, 56, 110, 1202), "log", [20, 32, 44, 56, 110, 1202]),
        ((7,), "linear", [7]),
        (tuple(range(2, 41)), "linear", [5, 10, 15, 20, 25, 30, 35, 40]),
    ],
)
def test_depth_ticks_are_whole_numbers(
    summary: pd.DataFrame, depths: tuple[int, ...], scale: str, ticks: list[int]
) -> None:
    one = summary[summary["depth"] == 8]
    axes = draw(pd.concat([one.assign(depth=d, run_id=one["run_id"] + f"_{d}") for d in depths])).axes[0]
    low, high = axes.get_xlim()
    assert axes.get_xscale() == scale
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == ticks


def test_units_and_titles(summary: pd.DataFrame) -> None:
    figure = draw(summary[summary["seed"] < 2], splits=["test"])
    assert figure.get_suptitle() == "Test loss on digits against depth"
    assert figure.axes[0].get_ylabel() == "cross-entropy (nats)"
    assert figure.axes[0].get_xlabel() == "depth (weight layers)"
    assert legend_texts(figure) == ["plain-cnn", "resnet"]
    models = summary["model"].map({"plain-cnn": "plain-mlp", "resnet": "residual-mlp"})
    sine = draw(summary.assign(task="sine", model=models, train_error=None, test_error=None))
    assert sine.axes[0].get_ylabel() == "mean squared error"
    assert sine.axes[0].get_xlabel() == "depth (hidden layers)"
    compared = summary.assign(model=models + ", he")
    assert draw(compared).axes[0].get_xlabel() == "depth (hidden layers)"
    assert draw(summary.assign(task="new")).axes[0].get_ylabel() == "cross-entropy (nats)"
    assert draw(summary, metric="error", title="Mine").get_suptitle() == "Mine"
    assert draw(summary, metric="error").axes[0].get_ylabel() == "error (% of examples)"


@pytest.mark.parametrize(("metric", "unit"), [("loss", ""), ("error", " %")])
def test_title_names_medians_at_greatest_shared_depth(summary: pd.DataFrame, metric: str, unit: str) -> None:
    rows = summary[(summary["depth"] < 56) | (summary["model"] == "resnet")]
    rows = rows[rows["seed"] < 3]  # too few to say from which depth on a model gets worse
    at_32 = [rows[(rows["model"] == model) & (rows["depth"] == 32)] for model in ("plain-cnn", "resnet")]
    plain, residual = (median(of_model[f"train_{metric}"]) for of_model in at_32)
    title = " ".join(draw(rows, metric=metric).get_suptitle().split())
    assert title == (
        f"Median training {metric} at depth 32: {plain:.3g}{unit} in plain-cnn and {residual:.3g}{unit} in resnet"
    )


def test_one_panel_for_each_combination_of_settings(summary: pd.DataFrame) -> None:
    parts = [
        summary.assign(init=init, learning_rate=rate, run_id=summary["run_id"] + init + str(rate))
        for init in ("he", "default", "normal")
        for rate in (0.1, 0.01)
    ]
    figure = draw(pd.concat(parts))
    assert headers(figure) == ["default", "he", "normal", "learning rate 0.01", "learning rate 0.1"]
    assert [axes.get_title() for axes in figure.axes] == [""] * 6
    swapped = draw(pd.concat(parts), grid=("init", "learning_rate")).axes[2]
    expected = pd.concat(parts).query("init == 'he' and learning_rate == 0.01 and model == 'resnet' and depth == 8")
    assert points(lines(swapped, BLUE, "-")[0])[8] == pytest.approx(expected["train_loss"].median())
    assert len({axes.get_ylim() for axes in figure.axes}) == len({axes.get_xlim() for axes in figure.axes}) == 1


def test_runs_without_the_setting_appear_in_every_panel(summary: pd.DataFrame) -> None:
    plain = summary[summary["model"] == "plain-cnn"].assign(block_size=np.nan)
    residual = summary[summary["model"] == "resnet"]
    sizes = [residual.assign(block_size=k, run_id=residual["run_id"] + f"_{k}") for k in (3, 1, 2)]
    figure = draw(pd.concat([plain, *sizes]))
    assert [axes.get_title() for axes in figure.axes] == ["block size 1", "block size 2", "block size 3"]
    assert all(len(lines(axes, VERMILLION, "-")) == 1 for axes in figure.axes)
    assert "median of 5 seeds" in note(figure)


@pytest.mark.slow
@pytest.mark.parametrize("panels", [1, 5])
def test_legend_and_title_do_not_cover_the_axes(summary: pd.DataFrame, panels: int, diverge: Diverge) -> None:
    changed = diverge(summary, "resnet", 20, 2)
    parts = [changed.assign(width=w, run_id=changed["run_id"] + str(w)) for w in range(panels)]
    figure = draw(pd.concat(parts), title="A title that is far too long for one line of this figure and so takes two")
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes if axes.get_visible()]
    legend = figure.legends[0].get_window_extent()
    title = figure._suptitle.get_window_extent()  # type: ignore[attr-defined]
    assert len(boxes) == panels
    assert all(box is not None and legend.y1 <= box.y0 and box.y1 <= title.y0 for box in boxes)
    assert 0 <= legend.x0 <= legend.x1 <= figure.bbox.width


def test_error_of_a_regression_is_rejected(summary: pd.DataFrame) -> None:
    sine = summary.assign(task="sine", train_error=None, test_error=None)
    with pytest.raises(
        UserError, match=r"metric \(=error\): the runs on sine have no error; draw their loss instead\."
    ):
        draw(sine, metric="error")


def test_too_many_combinations_are_rejected(summary: pd.DataFrame) -> None:
    parts = [summary.assign(width=w, run_id=summary["run_id"] + str(w)) for w in range(26)]
    with pytest.raises(UserError, match="settings width make 26 combinations, but one figure shows at most 25"):
        draw(pd.concat(parts))


def test_indistinguishable_runs_are_rejected(summary: pd.DataFrame) -> None:
    twins = pd.concat([summary, summary.assign(run_id=summary["run_id"] + "_b")])
    with pytest.raises(UserError, match="another run has the same model, depth and seed"):
        draw(twins)


def test_frames_without_runs_or_with_several_tasks_are_rejected(summary: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="nothing to draw"):
        draw(summary.assign(status="failed"))
    with pytest.raises(UserError, match=r"task \(=digits, sine\)"):
        draw(pd.concat([summary, summary.assign(task="sine", run_id=summary["run_id"] + "_sine")]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "accuracy"}, r"metric \(=accuracy\)"),
        ({"scale": "lin"}, r"scale \(=lin\) is not known \(did you mean linear\?\)"),
        ({"splits": ["valid"]}, r"splits \(=valid\)"),
        ({"splits": []}, "splits is empty"),
        ({"size": (0, 4)}, r"size \(=0x4\)"),
    ],
)
def test_wrong_options_are_rejected(summary: pd.DataFrame, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        draw(summary, **options)  # type: ignore[arg-type]


def test_losses_near_the_largest_float_count_as_diverged(summary: pd.DataFrame) -> None:
    """No axis can be drawn for them."""
    with pytest.raises(UserError, match="have no loss"):
        draw(summary.assign(train_loss=1e308, test_loss=1e308))


def test_of_very_many_runs_some_have_dots(summary: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw(summary)
    monkeypatch.setattr(loss_by_depth, "MOST_DOTS", 50)
    monkeypatch.setattr(loss_by_depth, "SOME_DOTS", 3)
    thin = draw(summary)
    assert "dots: 3 runs of each line at a depth, evenly by value" in note(thin)
    dots, all_dots = ([one for one in figure.axes[0].lines if one.get_marker() == "."] for figure in (thin, whole))
    for some, every in zip(dots, all_dots, strict=True):
        for depth in (8, 20, 32, 56):
            values = np.sort(np.asarray(every.get_ydata())[np.asarray(every.get_xdata()) == depth])
            assert np.asarray(some.get_ydata())[np.asarray(some.get_xdata()) == depth].tolist() == values[::2].tolist()


def test_losses_far_above_chance_are_counted_beyond_the_axis(summary: pd.DataFrame) -> None:
    worst = summary.assign(train_loss=summary["train_loss"].where(summary["seed"] > 0, 1e14))
    figure = draw(worst, chance=2.0)
    assert 2000 < figure.axes[0].get_ylim()[1] < 1e4
    assert f"above the axis: {(summary['seed'] == 0).sum()} runs" in note(figure)
    assert draw(worst).axes[0].get_ylim()[1] > 1e14
    assert "above the axis" not in note(draw(summary, chance=2.0))
