import numpy as np
import pandas as pd

from resnet_cli.figures.forms import draw
from resnet_cli.figures.style import BLUE, VERMILLION

ROWS = [
    {"depth": depth, "cardinality": cardinality, "seed": seed, "bits": bits, "form_first": first, "form_second": second}
    | {"outputs": size * depth * (1 + seed), "gradients": 10 * size * depth * (1 + seed)}
    for depth in (11, 20)
    for cardinality in (1, 4)
    for seed in range(3)
    for bits, size in ((32, 1e-8), (64, 1e-17))
    for first, second in (("a", "b"), ("a", "c"), ("b", "c"))
]


def test_lines_are_medians_by_depth_for_each_precision() -> None:
    figure = draw(pd.DataFrame(ROWS))
    outputs, gradients = figure.axes
    lines = {line.get_color(): line for line in gradients.lines if line.get_linestyle() == "-"}
    for colour, size in ((VERMILLION, 1e-7), (BLUE, 1e-16)):
        np.testing.assert_allclose(np.asarray(lines[colour].get_xydata()), [(11, 22 * size), (20, 40 * size)])
    dotted = [np.asarray(line.get_ydata())[0] for line in outputs.lines if line.get_linestyle() == ":"]
    np.testing.assert_allclose(np.asarray(dotted), np.asarray([2.0**-23, 2.0**-52]))


def test_the_title_names_the_greatest_difference_and_the_legend_the_nets() -> None:
    figure = draw(pd.DataFrame(ROWS))
    title = " ".join(figure.get_suptitle().split())
    assert title == "In double precision the three forms of ResNeXt differ by at most 6e-15"
    note = " ".join(figure.legends[0].get_title().get_text().split())
    assert note.endswith("12 nets with 1,4 branches in a block.")
