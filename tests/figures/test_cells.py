"""What figures of analyses share: dots by model, axes without spikes, values in words."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from resnet_cli.figures.cells import draw_dots, is_compared, named_values, without_spikes
from resnet_cli.figures.style import model_styles


def runs(*, seeds: int = 3, models: tuple[str, ...] = ("plain-cnn", "resnet"), **settings: list[str]) -> pd.DataFrame:
    rows = [{"model": model, "depth": 8, "seed": seed, "task": "digits"} for model in models for seed in range(seeds)]
    frame = pd.DataFrame(rows).merge(pd.DataFrame(settings), how="cross") if settings else pd.DataFrame(rows)
    return frame.assign(run_id=[str(number) for number in range(len(frame))])


def test_models_are_compared_with_three_seeds_and_no_other_setting() -> None:
    assert is_compared(runs())
    assert not is_compared(runs(seeds=2))
    assert not is_compared(runs(models=("resnet",)))
    assert not is_compared(runs(init=["he", "default"]))


def test_values_are_named_with_three_digits() -> None:
    assert named_values({"plain-cnn": 89.96, "resnet": np.inf}, " %") == "90 % in plain-cnn and ∞ % in resnet"


@pytest.mark.parametrize(("start", "highest"), [(0.0, 2.0), (500.0, 500.0)])
def test_spikes_do_not_set_an_axis_but_the_start_does(start: float, highest: float) -> None:
    values = np.array([*np.linspace(1, 2, 100), 500.0, 1e6, np.inf, np.nan])
    assert without_spikes(values, start=start).max() == highest


def test_dots_stand_in_a_column_for_each_model() -> None:
    axes = Figure().subplots()
    draw_dots(axes, {"plain-cnn": [1.0, 3.0, 2.0], "resnet": [5.0]}, model_styles(["plain-cnn", "resnet"]))
    plain, residual = (np.asarray(line.get_xydata()) for line in axes.lines)
    assert plain[:, 1].tolist() == [1, 3, 2]
    assert (abs(plain[:, 0]) < 0.5).all()
    assert residual.tolist() == [[1, 5]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["plain-cnn", "resnet"]
