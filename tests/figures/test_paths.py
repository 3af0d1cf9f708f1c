"""Paths: three panels a model, means over seeds, and the lengths that carry 95 % filled and named."""

from math import comb

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from resnet_cli.figures.paths import draw, effective_range, over_seeds


def net(model: str, depth: int, seed: int, *, factor: float = 0.2, **settings: object) -> pd.DataFrame:
    """A net whose gradient is multiplied by `factor` with each block: lengths are binomial with p = f / (1 + f)."""
    blocks = (depth - 2) // 2
    lengths = np.arange(blocks + 1)
    paths = [comb(blocks, k) for k in range(blocks + 1)]
    totals = np.array(paths) * factor**lengths
    gradient = (1 + seed) * factor**lengths
    return pd.DataFrame(
        {
            "run_id": f"{model}_d{depth}_s{seed}_{settings}",
            "task": "digits",
            "model": model,
            "depth": depth,
            "seed": seed,
            **settings,
            "blocks": blocks,
            "length": lengths,
            "paths": pd.Series(paths, dtype=object),
            "path_share": np.array(paths) / 2**blocks,
            "draws": 50,
            "gradient": gradient,
            "gradient_low": 0.5 * gradient,
            "gradient_high": 2 * gradient,
            "gradient_share": totals / totals.sum(),
        }
    )


def nets(*chosen: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(chosen, ignore_index=True)


def heights(axes: Axes, line: int = 0) -> np.ndarray:
    return np.asarray(axes.lines[line].get_ydata(), dtype=float)


def fills(axes: Axes) -> list[np.ndarray]:
    """The corners (x, y) of all filled areas."""
    areas = [part for part in axes.collections if isinstance(part, PolyCollection)]
    return [np.asarray(area.get_paths()[0].vertices) for area in areas]


def test_three_panels_show_number_gradient_and_product() -> None:
    frame = net("resnet", 10, 0)
    shares, gradients, products = draw(frame).axes
    assert list(heights(shares)) == pytest.approx([100 * comb(4, k) / 16 for k in range(5)])
    assert list(heights(gradients)) == pytest.approx([0.2**k for k in range(5)])
    product = [comb(4, k) * 0.2**k / 1.2**4 for k in range(5)]
    assert list(heights(products)) == pytest.approx([100 * value for value in product])
    assert (shares.get_yscale(), gradients.get_yscale(), products.get_yscale()) == ("linear", "log", "linear")
    for axes in (shares, gradients, products):
        assert list(np.asarray(axes.lines[0].get_xdata())) == [0, 1, 2, 3, 4]


def test_lines_are_means_with_the_spread_of_draws() -> None:
    frame = nets(net("resnet", 10, 0), net("resnet", 10, 1, factor=0.6))
    _, gradients, products = draw(frame).axes
    assert heights(gradients)[1] == pytest.approx((0.2 + 2 * 0.6) / 2)
    (band,) = fills(gradients)
    at_one = band[band[:, 0] == 1, 1]
    assert (at_one.min(), at_one.max()) == pytest.approx((0.35, 1.4))
    rows = over_seeds(frame).set_index("length")
    assert rows.loc[0, "share_low"] == pytest.approx(1 / 1.6**4)
    assert rows.loc[0, "share_high"] == pytest.approx(1 / 1.2**4)
    assert heights(products)[0] == pytest.approx(100 * (1 / 1.6**4 + 1 / 1.2**4) / 2)


def test_the_effective_lengths_are_filled_and_named() -> None:
    products = draw(nets(net("resnet", 10, 0), net("resnet", 20, 0, factor=1.0))).axes[2]
    spans = [set(vertices[:, 0]) for vertices in fills(products)]
    assert spans == [{0, 1, 2}, {2, 3, 4, 5, 6, 7}]  # (1, 0.8, 0.24, …) / 1.2⁴; Binomial(9, 1/2)
    legend = products.get_legend()
    assert legend is not None
    assert legend.get_title().get_text() == "95 % lies in lengths"
    assert [text.get_text() for text in legend.get_texts()] == ["0 to 2 of 4", "2 to 7 of 9"]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([1.0], (0, 0)),
        ([0.25, 0.25, 0.25, 0.25], (0, 3)),
        ([0.02, 0.49, 0.49, 0.0], (1, 2)),
        ([0.96, 0.04], (0, 0)),
        ([0.0, 0.0, 5.0], (2, 2)),
    ],
)
def test_the_shortest_range_is_chosen(shares: list[float], expected: tuple[int, int]) -> None:
    assert effective_range(pd.Series(shares)) == expected


def test_models_and_settings_have_rows_and_depths_have_lines() -> None:
    orderings = [net("resnet", 10, 0, ordering=name) for name in ("original", "full-preactivation")]
    figure = draw(nets(*orderings, net("resnext", 11, 0, ordering=None), net("resnet", 20, 0, ordering="original")))
    assert len(figure.axes) == 9
    headings = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert headings == ["resnet, ordering full-preactivation", "resnet, ordering original", "resnext"]
    assert [len(axes.lines) for axes in figure.axes[::3]] == [1, 2, 1]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["depth 10", "depth 11", "depth 20"]


def test_settings_determined_by_depth_make_no_rows() -> None:
    frame = nets(net("resnet", 10, 0, warmup_steps=0), net("resnet", 20, 0, warmup_steps=400))
    assert len(draw(frame).axes) == 3


def test_the_note_counts_seeds_and_draws() -> None:
    def note(frame: pd.DataFrame) -> str:
        (legend,) = draw(frame).legends
        return " ".join(legend.get_title().get_text().split())

    assert note(net("resnet", 10, 0)).startswith("One seed; 50 paths of each length in every net")
    several = nets(net("resnet", 10, 0), net("resnet", 10, 1), net("resnet", 20, 0))
    assert note(several).startswith("Lines: mean of 1 to 2 seeds; 50 paths")
    assert note(several).endswith("bars of the product: range of the seeds.")
