"""Activation functions, each declared once. Torch is imported when one is used, so that help pages know their names."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Activation:
    """An activation function f, and what the stacked engine must know of it.

    Args:
        name: what runs call it.
        place: where torch has it, as `module:name`; the same name and an underscore is f in place.
        backward: the operator of `torch.ops.aten` that computes D ∘ f'(z) from D, f(z) and `constants`. Without it,
            nets are trained one after another.
        constants: of this operator.
        one: a z at which f is exactly 1.
        zero: a z at which f is exactly 0.
        gain: the factor of orthogonal weights that keeps the size of signals from layer to layer: √2 if f zeroes half
            of them (He et al. 2015, arXiv 1502.01852, §2.2), 1 if f is nearly linear at 0 (Saxe et al. 2014).
    """

    name: str
    place: str
    backward: str | None = None
    constants: tuple[float, ...] = ()
    one: float = 0.0
    zero: float = 0.0
    gain: float = 1.0

    @cached_property
    def function(self) -> Callable[["Tensor"], "Tensor"]:
        """The function f."""
        return resolve_name(self.place)  # type: ignore[no-any-return]

    @cached_property
    def in_place(self) -> Callable[["Tensor"], object]:
        """Z ↦ f(Z), written over Z."""
        return resolve_name(f"{self.place}_")  # type: ignore[no-any-return]

    @cached_property
    def differentiate(self) -> Callable[["Tensor", "Tensor"], object]:
        """D, f(Z) ↦ D ∘ f'(Z), written over f(Z)."""
        operator: Any = resolve_name(f"torch:ops.aten.{self.backward}.grad_input")
        return lambda gradient, outputs: operator(gradient, outputs, *self.constants, grad_input=outputs)


ACTIVATIONS: Mapping[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("relu", "torch:relu", "threshold_backward", (0,), one=1.0, zero=0.0, gain=math.sqrt(2)),
        Activation("tanh", "torch:tanh", "tanh_backward", one=1000.0, zero=0.0),
        Activation("sigmoid", "torch:sigmoid", "sigmoid_backward", one=1000.0, zero=-1000.0),
    )
}
