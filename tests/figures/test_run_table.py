import pandas as pd

from resnet_cli.figures.run_table import in_given_order


def test_given_values_may_be_anything_that_a_sweep_file_can_hold() -> None:
    frame = pd.DataFrame({"model": "resnet", "depth": 8, "seed": 0, "init": ["default", "he", "orthogonal"]})
    ordered = in_given_order(frame, {"init": [["he"], {"he": 1}, "he", "he", 3]})
    assert ordered["init"].cat.categories.tolist() == ["he", "default", "orthogonal"]
