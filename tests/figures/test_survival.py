"""Stochastic depth: survival by block above the test error during training, a line for each probability."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from resnet_cli.figures.survival import draw
from resnet_cli.models import describe_net
from resnet_cli.models.base import StochasticDepth
from tests.conftest import MakeRun


def curves(depths: tuple[int, ...] = (8, 20), seeds: int = 3) -> pd.DataFrame:
    """Errors 50 / (1 + epoch), plus the seed; stochastic depth (0.5) has twice as much."""
    rows = [
        {"run_id": f"{depth}-{survival}-{seed}", "task": "digits", "model": "resnet", "depth": depth, "seed": seed}
        | {"status": "done", "survival": survival, "blocks": (depth - 2) // 2, "epoch": epoch}
        | {"test_loss": 1.0, "test_error": (2 if survival == 0.5 else 1) * 50 / (1 + epoch) + seed}
        for depth in depths
        for survival in (1.0, 0.5)
        for seed in range(seeds)
        for epoch in (0.0, 1.0, 4.0)
    ]
    return pd.DataFrame(rows)


def heights(figure: Figure, panel: int) -> list[list[float]]:
    return [[float(y) for y in np.asarray(line.get_ydata())] for line in figure.axes[panel].lines]


def test_survival_by_block_is_that_of_the_nets(make_run: MakeRun) -> None:
    run = make_run(task="digits", models="resnet", depths=20, survival=0.5)
    net = describe_net(run, (1, 8, 8), 10)
    expected = [module.survival for module in net.modules() if isinstance(module, StochasticDepth)]
    lines = heights(draw(curves()), 1)
    assert sorted(lines) == [pytest.approx(expected), [1.0] * 9]


def test_the_lower_panels_show_medians_of_the_test_error_by_epoch() -> None:
    figure = draw(curves())
    assert [axes.get_title() for axes in figure.axes[:2]] == ["depth 8", "depth 20"]
    assert sorted(heights(figure, 3)) == [pytest.approx([51, 26, 11]), pytest.approx([101, 51, 21])]
    assert figure.axes[2].get_ylabel() == "test error (% of examples)"


def test_the_title_compares_the_ends_of_the_deepest_nets() -> None:
    title = " ".join(draw(curves()).get_suptitle().split())
    assert title == (
        "resnet at depth 20 ends with a test error of 11 % with constant depth and 21 % with stochastic depth "
        "(p_L = 0.5)"
    )
    assert draw(curves(seeds=2)).get_suptitle().startswith("digits: stochastic depth")


def test_four_of_many_depths_are_drawn_and_the_legend_says_so() -> None:
    figure = draw(curves(depths=(8, 14, 20, 26, 32, 38)))
    assert [axes.get_title() for axes in figure.axes[:4]] == ["depth 8", "depth 20", "depth 26", "depth 38"]
    assert "2 more depths or settings are not drawn" in figure.legends[0].get_title().get_text()
