from pathlib import Path

import pandas as pd

from resnet_cli.analysis.counts import count_imagenet_nets
from tests.cli.conftest import Command


def test_it_needs_no_runs_and_writes_its_table_and_figure(command: Command) -> None:
    answer = command("analyze", "counts", "--format", "svg")
    assert (answer.code, answer.err) == (0, "")
    lines = [line.split() for line in answer.out.splitlines()]
    assert ["VGG-19", "19", "143,667,240", "19.63", "billion"] in lines
    assert ["DenseNet-121", "121", "7,978,856", "2.83", "billion"] in lines
    assert answer.out.endswith("results/counts/counts.csv\nresults/counts/counts.svg\n")
    pd.testing.assert_frame_equal(pd.read_csv("results/counts/counts.csv"), count_imagenet_nets())
    assert Path("results/counts/counts.svg").read_bytes().endswith(b"</svg>\n")
