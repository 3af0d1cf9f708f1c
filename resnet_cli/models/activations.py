"""Activation functions, each declared once. Torch is imported when one is used, so that help pages know their names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Activation:
    """An activation function f, and what the stacked engine must know of it.

    Args:
        name: what runs call it.
        function: where torch has it, as `module:name`; the same name and an underscore is f in place.
        backward: the operator of `torch.ops.aten` that computes D ∘ f'(z) from D, f(z) and `constants`. Without it,
            nets are trained one after another.
        constants: of this operator.
        one: a z at which f is exactly 1.
        zero: a z at which f is exactly 0.
    """

    name: str
    function: str
    backward: str | None = None
    constants: tuple[float, ...] = ()
    one: float = 0.0
    zero: float = 0.0

    def __call__(self, inputs: "Tensor") -> "Tensor":
        """Any shape to the same shape."""
        return self._function(inputs)

    @cached_property
    def in_place(self) -> Callable[["Tensor"], "Tensor"]:
        """Z ↦ f(Z), written over Z."""
        return resolve_name(f"{self.function}_")  # type: ignore[no-any-return]

    def differentiate(self, gradient: "Tensor", outputs: "Tensor") -> None:
        """D, f(Z) ↦ D ∘ f'(Z), written over f(Z)."""
        self._backward(gradient, outputs, *self.constants, grad_input=outputs)

    @cached_property
    def _function(self) -> Callable[["Tensor"], "Tensor"]:
        return resolve_name(self.function)  # type: ignore[no-any-return]

    @cached_property
    def _backward(self) -> Callable[..., "Tensor"]:
        return resolve_name(f"torch:ops.aten.{self.backward}.grad_input")  # type: ignore[no-any-return]


ACTIVATIONS: Mapping[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("relu", "torch:relu", "threshold_backward", (0,), one=1.0, zero=0.0),
        Activation("tanh", "torch:tanh", "tanh_backward", one=1000.0, zero=0.0),
        Activation("sigmoid", "torch:sigmoid", "sigmoid_backward", one=1000.0, zero=-1000.0),
    )
}
