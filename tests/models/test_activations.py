import pytest
import torch

from resnet_cli.models.activations import ACTIVATIONS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", [0.0, 0.0, 2.0]),
        ("tanh", [-0.7615942, 0.0, 0.9640276]),
        ("sigmoid", [0.2689414, 0.5, 0.8807971]),
    ],
)
def test_activations_are_the_functions_they_are_named_after(name: str, expected: list[float]) -> None:
    assert ACTIVATIONS[name].function(torch.tensor([-1.0, 0.0, 2.0])).tolist() == pytest.approx(expected)
