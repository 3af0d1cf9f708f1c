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


@pytest.mark.parametrize("name", [name for name, activation in ACTIVATIONS.items() if activation.backward])
def test_derivatives_from_outputs_are_those_of_autograd(name: str) -> None:
    activation = ACTIVATIONS[name]
    inputs = torch.linspace(-3, 3, 20, dtype=torch.float64, requires_grad=True)
    gradient, outputs = torch.linspace(1, 2, 20, dtype=torch.float64), inputs.detach().clone()
    torch.autograd.backward(activation.function(inputs), gradient)
    activation.in_place(outputs)
    assert torch.equal(outputs, activation.function(inputs))
    activation.differentiate(gradient, outputs)
    torch.testing.assert_close(outputs, inputs.grad, rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", [name for name, activation in ACTIVATIONS.items() if activation.backward])
def test_constant_and_padding_units_are_exact(name: str) -> None:
    activation = ACTIVATIONS[name]
    assert activation.function(torch.tensor([activation.one, activation.zero])).tolist() == [1, 0]
