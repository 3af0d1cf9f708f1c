import math

import numpy as np
import pandas as pd
import pytest

from resnet_cli.figures.landscape import draw
from resnet_cli.settings.errors import UserError

AT = (-1.0, 0.0, 1.0)


@pytest.fixture
def frame() -> pd.DataFrame:
    """Two models of two depths, two seeds and draws; surfaces of the first seed."""
    rows: list[dict[str, object]] = []
    for model in ("plain-mlp", "residual-mlp"):
        for depth in (4, 8):
            for seed in (0, 1):
                who = {
                    "run_id": f"{model}{depth}{seed}",
                    "task": "digits",
                    "model": model,
                    "depth": depth,
                    "seed": seed,
                }
                for number in (0, 1):
                    places = [("cut", x, 0.0) for x in AT]
                    places += [("surface", x, y) for x in AT for y in AT] if seed == 0 else []
                    rows += [
                        who | {"part": part, "draw": number, "x": x, "y": y, "loss": 0.1 + depth * (x * x + y * y)}
                        for part, x, y in places
                    ]
    return pd.DataFrame(rows).assign(constant_loss=2.0)


def test_each_net_has_a_column_with_its_cuts_and_surfaces(frame: pd.DataFrame) -> None:
    figure = draw(frame)
    titles = [axes.get_title() for axes in figure.axes[:4]]
    assert titles == [f"{model}\ndepth {depth}" for depth in (4, 8) for model in ("plain-mlp", "residual-mlp")]
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
    assert len(lines) == 4
    np.testing.assert_allclose(np.asarray(lines[0].get_xydata()), [(-1, 4.1), (0, 0.1), (1, 4.1)])
    surfaces = figure.axes[4:12]
    assert all(axes.collections for axes in surfaces)
    assert [axes.get_ylabel().split(":")[0] for axes in surfaces[::4]] == ["draw 1", "draw 2"]
    assert figure.axes[12].get_ylabel() == "training loss"


def test_losses_beyond_the_scale_are_drawn_at_its_ends(frame: pd.DataFrame) -> None:
    frame.loc[(frame["part"] == "cut") & (frame["x"] == 1), "loss"] = math.nan
    frame.loc[(frame["part"] == "cut") & (frame["x"] == -1), "loss"] = math.inf
    frame.loc[(frame["part"] == "cut") & (frame["x"] == 0), "loss"] = 0.0
    line = next(line for line in draw(frame).axes[0].lines if line.get_linestyle() == "-")
    np.testing.assert_allclose(np.asarray(line.get_ydata()), [20, 0.002, 20])


def test_cuts_alone_are_a_figure(frame: pd.DataFrame) -> None:
    figure = draw(frame[frame["part"] == "cut"])
    assert len(figure.axes) == 4
    note = " ".join(figure.legends[0].get_title().get_text().split())
    assert note.startswith("Lines: 2 draws of a direction for each of 2 seeds; 1 on an axis")


def test_too_many_columns_are_refused(frame: pd.DataFrame) -> None:
    more = pd.concat([frame.assign(depth=frame["depth"] + step, run_id=frame["run_id"] + str(step)) for step in (0, 1)])
    with pytest.raises(UserError, match="make 8 combinations"):
        draw(more)
