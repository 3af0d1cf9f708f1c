"""Gradients by layer: three axes for each depth and setting, medians with bands, and zeros that can be seen."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_cli.figures.cells import MAX_CELLS
from resnet_cli.figures.gradients import draw
from resnet_cli.figures.style import BLUE, VERMILLION
from resnet_cli.settings.errors import UserError

DECAY = {"plain-mlp": 0.1, "residual-mlp": 0.5}


def run(model: str, depth: int = 4, seed: int = 0, **settings: object) -> pd.DataFrame:
    """Gradients that fall with the distance from the output, and double from evaluation to evaluation."""
    rows = [
        {
            "run_id": f"{model}_{depth}_{seed}_{settings}",
            "task": "sine",
            "model": model,
            "depth": depth,
            "seed": seed,
            **settings,
            "status": "done",
            "step": step,
            "train_loss": 0.1,
            "stored_loss": 0.1,
            "layer": layer,
            "name": f"layer {layer}",
            "gradient_norm": (1 + seed) * DECAY[model] ** (depth - layer) * 2 ** (step / 10),
        }
        for step in (0, 10, 20)
        for layer in range(1, depth + 1)
    ]
    return pd.DataFrame(rows)


def runs(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def frame() -> pd.DataFrame:
    """Two models, one depth, three seeds."""
    return runs(*(run(model, seed=seed) for model in DECAY for seed in range(3)))


def line(axes: Axes, colour: str) -> dict[float, float]:
    (found,) = [one for one in axes.lines if one.get_color() == colour and one.get_linestyle() == "-"]
    return dict(zip(np.asarray(found.get_xdata()), np.asarray(found.get_ydata(), dtype=float), strict=True))


def zeros(axes: Axes) -> list[Line2D]:
    return [one for one in axes.lines if one.get_marker() == "v"]


def note(figure: Figure) -> str:
    return " ".join(figure.legends[0].get_title().get_text().split())


def entries(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(("model", "colour"), [("plain-mlp", VERMILLION), ("residual-mlp", BLUE)])
def test_rows_show_initialisation_end_and_course_of_training(frame: pd.DataFrame, model: str, colour: str) -> None:
    initial, trained, through = draw(frame).axes
    at_start = {layer: 2 * DECAY[model] ** (4 - layer) for layer in (1, 2, 3, 4)}  # seed 1 is the median
    assert line(initial, colour) == pytest.approx(at_start)
    assert line(trained, colour) == pytest.approx({layer: 4 * norm for layer, norm in at_start.items()})
    assert line(through, colour) == pytest.approx({step: at_start[1] * 2 ** (step / 10) for step in (0, 10, 20)})
    assert initial.get_yscale() == "log"
    assert initial.get_ylim() == trained.get_ylim() == through.get_ylim()
    assert [axes.get_xlabel() for axes in (initial, trained, through)] == ["layer, from the input"] * 2 + ["step"]


def test_the_band_reaches_from_minimum_to_maximum(frame: pd.DataFrame) -> None:
    figure = draw(frame[frame["model"] == "plain-mlp"])
    (band,) = [part for part in figure.axes[0].collections if isinstance(part, FillBetweenPolyCollection)]
    vertices = np.asarray(band.get_paths()[0].vertices)
    at_3 = vertices[vertices[:, 0] == 3, 1]
    assert (at_3.min(), at_3.max()) == pytest.approx((0.1, 0.3))
    assert note(figure) == "Line: median of 3 seeds; band: minimum to maximum."


def test_one_seed_has_no_band() -> None:
    figure = draw(run("plain-mlp"))
    assert not figure.axes[0].collections
    assert note(figure) == "One seed."


def test_a_gradient_of_zero_is_marked_at_the_bottom_and_named(frame: pd.DataFrame) -> None:
    assert "exactly zero" not in entries(draw(frame))
    dead = (frame["model"] == "plain-mlp") & (frame["layer"] <= 2) & (frame["step"] == 20) & (frame["seed"] == 0)
    frame.loc[dead, "gradient_norm"] = 0.0
    figure = draw(frame)
    initial, trained, through = figure.axes
    assert not zeros(initial)
    for axes, places in ((trained, [1, 2]), (through, [20])):
        (mark,) = zeros(axes)
        assert mark.get_color() == VERMILLION
        assert list(np.asarray(mark.get_xdata())) == places
        assert not np.asarray(mark.get_ydata()).any()
        bottom, top = axes.get_ylim()
        assert bottom < 0 < top
        assert 0 in axes.get_yticks()
    assert entries(figure) == ["plain-mlp", "residual-mlp", "exactly zero"]


def test_the_median_is_zero_where_most_seeds_are(frame: pd.DataFrame) -> None:
    dead = (frame["model"] == "plain-mlp") & (frame["layer"] == 1) & (frame["seed"] > 0)
    frame.loc[dead, "gradient_norm"] = 0.0
    assert line(draw(frame).axes[0], VERMILLION)[1] == 0


def test_diverged_runs_are_drawn_until_divergence_and_counted(frame: pd.DataFrame) -> None:
    diverged = (frame["model"] == "plain-mlp") & (frame["seed"] == 2)
    frame.loc[diverged, "status"] = "diverged"
    frame.loc[diverged & (frame["step"] == 10), "gradient_norm"] = np.nan
    figure = draw(frame[~(diverged & (frame["step"] == 20))])
    initial, trained, _ = figure.axes
    assert line(initial, VERMILLION)[4] == 2
    assert line(trained, VERMILLION)[4] == pytest.approx(4 * 1.5)
    assert (
        "1 of 6 runs diverged: without gradients after training; values that are not finite are not drawn: 4"
        in note(figure)
    )


def test_each_depth_and_setting_has_a_column() -> None:
    frame = runs(
        *(run(m, depth=d, activation=a) for m in DECAY for d in (3, 4) for a in ("sigmoid", "relu")),
        run("plain-mlp", depth=6, activation="relu"),
    )
    figure = draw(frame)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    titles = [axes.get_title() for axes in shown if axes.get_title()]
    assert titles == [
        "depth 3\nactivation relu",
        "depth 3\nactivation sigmoid",
        "depth 4\nactivation relu",
        "depth 4\nactivation sigmoid",
        "depth 6\nactivation relu",
    ]
    assert len(shown) == 15
    assert len({axes.get_ylim() for axes in shown}) == 1
    assert figure.get_suptitle() == "sine: gradient norms by layer"


def test_many_steps_are_counted_in_thousands() -> None:
    frame = run("plain-mlp")
    figure = draw(frame.assign(step=frame["step"] * 1000))
    figure.draw_without_rendering()
    assert figure.axes[2].get_xlabel() == "step (thousands)"
    assert "20" in [label.get_text() for label in figure.axes[2].get_xticklabels()]


def test_too_many_combinations_are_rejected() -> None:
    frame = runs(*(run("plain-mlp", depth=depth) for depth in range(2, 3 + MAX_CELLS)))
    with pytest.raises(UserError, match=r"make 13 combinations, but one figure shows at most 12; select fewer depths"):
        draw(frame)


@pytest.mark.slow
@pytest.mark.parametrize("depths", [1, 5])
def test_nothing_overlaps(depths: int, frame: pd.DataFrame) -> None:
    frame.loc[0, "gradient_norm"] = 0.0
    figure = draw(runs(frame, *(run("plain-mlp", depth=depth) for depth in range(5, 4 + depths))))
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes if axes.get_visible()]
    legend = figure.legends[0].get_window_extent()
    title = figure._suptitle.get_window_extent()  # type: ignore[attr-defined]
    assert len(boxes) == 3 * depths
    assert all(box is not None and legend.y1 <= box.y0 and box.y1 <= title.y0 for box in boxes)
    assert not any(one.overlaps(two) for i, one in enumerate(boxes) for two in boxes[:i] if one and two)


def test_nets_measured_at_one_step_are_dots_by_model() -> None:
    frame = runs(*(run(model, seed=seed) for model in DECAY for seed in range(3)))
    figure = draw(frame[frame["step"] == 0])
    during = figure.axes[2]
    assert [label.get_text() for label in during.get_xticklabels()] == ["plain-mlp", "residual-mlp"]
    assert all(line.get_linestyle() == "None" for line in during.lines)


def test_the_title_names_the_first_layers_gradients_at_the_largest_depth() -> None:
    frame = runs(*(run(model, seed=seed, depth=depth) for model in DECAY for seed in range(3) for depth in (3, 4)))
    first = frame[(frame["depth"] == 4) & (frame["step"] == 0) & (frame["layer"] == 1)]
    medians = first.groupby("model")["gradient_norm"].median()
    told = f"{medians['plain-mlp']:.3g} in plain-mlp and {medians['residual-mlp']:.3g} in residual-mlp"
    title = " ".join(draw(frame).get_suptitle().split())
    assert title == f"At initialisation, the first layer's gradient norm at depth 4 is {told}"
