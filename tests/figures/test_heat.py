"""Cells, their borders, and the line at the edge of trainability."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from resnet_cli.figures.heat import are_multiplied, borders, colour_scale, draw_cells, edge_segments


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.02, 0.04, 0.06, 0.08], False),
        ([0.01, 0.1, 1.0], True),
        ([0.03, 0.0896, 0.268, 0.8], True),
        ([10, 20, 50, 100, 200, 300], True),
        ([0, 1, 10, 100], False),
        ([-1, 1, 10], False),
        ([1, 10], False),
        ([5], False),
    ],
)
def test_values_of_equal_ratios_are_multiplied(values: list[float], expected: bool) -> None:
    assert are_multiplied(values) is expected


def test_cells_meet_half_way_between_their_values() -> None:
    assert borders([1, 3, 5]) == pytest.approx([0, 2, 4, 6])
    assert borders([1, 10, 100]) == pytest.approx([10**-0.5, 10**0.5, 10**1.5, 10**2.5])
    assert borders([7]) == pytest.approx([6.5, 7.5])


def test_the_edge_runs_between_cells_below_it_and_others() -> None:
    values = np.array([[0.1, 0.1, 0.9], [0.1, math.inf, 0.9]])
    found = edge_segments(values, 0.5, np.arange(4.0), np.arange(3.0))
    assert sorted(map(sorted, found)) == [[(1, 1), (1, 2)], [(1, 1), (2, 1)], [(2, 0), (2, 1)]]


def test_there_is_no_edge_beside_a_missing_cell() -> None:
    values = np.array([[0.1, math.nan, 0.9]])
    assert edge_segments(values, 0.5, np.arange(4.0), np.arange(2.0)) == []
    assert edge_segments(values, 0.05, np.arange(4.0), np.arange(2.0)) == []


def test_the_colour_scale_ends_at_the_constant_answer() -> None:
    values = np.array([0.0, 0.001, 0.2, 4.0, math.inf, math.nan])
    log, plain = colour_scale(values, "log", 0.5), colour_scale(values, "linear", None)
    assert isinstance(log, LogNorm)
    assert (log.vmin, log.vmax) == (0.001, 0.5)
    assert (plain.vmin, plain.vmax) == (0.0, 4.0)


@pytest.mark.parametrize("values", [[math.inf], [0.0], [0.3], [0.3, 0.3], [math.nan, 2.0]])
@pytest.mark.parametrize("scale", ["log", "linear"])
def test_any_values_have_a_colour_scale(values: list[float], scale: str) -> None:
    norm = colour_scale(np.array(values), "log" if scale == "log" else "linear", 0.5)
    assert norm.vmin is not None
    assert norm.vmax is not None
    assert norm.vmin < norm.vmax


def test_diverged_cells_are_hatched_and_missing_ones_left_out() -> None:
    axes = Figure().subplots()
    cells = pd.DataFrame([[0.1, math.inf], [math.nan, 0.9]], index=[2, 4], columns=[0.1, 0.2])
    draw_cells(axes, cells, Normalize(0, 1), 0.5)
    colours, diverged, edge = axes.collections
    shown: list[np.ndarray] = [
        np.ma.filled(np.ma.asarray(one.get_array()), math.nan).ravel() for one in (colours, diverged)
    ]
    assert shown[0].tolist() == pytest.approx([0.1, math.nan, math.nan, 0.9], nan_ok=True)
    assert diverged.get_hatch()
    assert np.isfinite(shown[1]).sum() == 1
    assert len(edge.get_paths()) == 1  # between the first cell and the diverged one; the last two are both above it
