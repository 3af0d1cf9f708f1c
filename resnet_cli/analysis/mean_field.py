"""Mean-field theory of wide random MLPs: how fast they forget their input, or blow it up, at initialisation.

Poole et al. 2016 (arXiv 1606.05340, eq. 3 to 7) and Schoenholz et al. 2017 (arXiv 1611.01232, eq. 5 to 9) for plain
nets, Yang & Schoenholz 2017 (arXiv 1712.08969) for residual ones. Weights from N(0, σ_w² / n) for n inputs, biases from
N(0, σ_b²). In a layer of W inputs, σ_w = init_std · √W.

With z, z₁, z₂ standard normal, φ the activation function, u₁ = √q z₁ and u₂ = √q (c z₁ + √(1 − c²) z₂):

    length        V(q) = σ_w² E φ(√q z)² + σ_b²          of pre-activations, with the fixed point q*
    correlation   C(c) = (σ_w² E φ(u₁) φ(u₂) + σ_b²) / q*   of two inputs, with the fixed point c*
    gradients     χ = σ_w² E φ'(√q* z)²                  a layer multiplies the squared norm of a gradient by χ

A deviation from q* or c* shrinks by e in ξ_q = −1 / ln V'(q*) and ξ_c = −1 / ln C'(c*) layers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq

from resnet_cli.models.activations import ACTIVATIONS

Function = Callable[[np.ndarray], np.ndarray]

REACH = 9.0
"""Integrals over normal variables go to so many standard deviations."""
NODES_1D, NODES_2D = 1000, 180
"""For pairs fewer in each direction; torch still computes their 32,400 values in one thread."""
SMALL, LARGE = 1e-12, 1e12
"""Lengths that stand for 0 and for infinity."""


@dataclass(frozen=True)
class Nonlinearity:
    """An activation function φ and its derivative, both for arrays."""

    value: Function
    slope: Function


@cache
def nonlinearity(name: str) -> Nonlinearity:
    """The activation function that runs call `name`, in float64."""
    function = ACTIVATIONS[name].function

    def value(points: np.ndarray) -> np.ndarray:
        found: np.ndarray = function(torch.from_numpy(points)).numpy()
        return found

    def slope(points: np.ndarray) -> np.ndarray:
        at = torch.from_numpy(points).requires_grad_()
        (gradient,) = torch.autograd.grad(function(at).sum(), at)
        found: np.ndarray = gradient.numpy()
        return found

    return Nonlinearity(value, slope)


@cache
def _nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Midpoints and weights for means over a standard normal variable; none is at 0, where a ReLU has its kink."""
    step = 2 * REACH / count
    points = -REACH + step * (np.arange(count) + 0.5)
    weights = np.exp(-(points**2) / 2)
    return points, weights / weights.sum()


@dataclass(frozen=True)
class MeanField:
    """A plain net of infinite width at initialisation.

    Args:
        phi: the activation function.
        sigma_w: √n times the standard deviation of the weights of a layer with n inputs.
        sigma_b: the standard deviation of the biases.
    """

    phi: Nonlinearity
    sigma_w: float
    sigma_b: float = 0.0

    def next_length(self, length: float) -> float:
        """V(q): the mean square of the next layer's pre-activations."""
        points, weights = _nodes(NODES_1D)
        return self.sigma_w**2 * float(weights @ self.phi.value(math.sqrt(length) * points) ** 2) + self.sigma_b**2

    def next_product(self, length: float, correlation: float) -> float:
        """The next layer's mean product of the pre-activations of two inputs of one `length` (Poole et al., eq. 5)."""
        return self.sigma_w**2 * self._mean_of_pairs(self.phi.value, length, correlation) + self.sigma_b**2

    def gradient_factor(self, length: float) -> float:
        """By what a layer multiplies the squared norm of a gradient at pre-activations of a length."""
        points, weights = _nodes(NODES_1D)
        return self.sigma_w**2 * float(weights @ self.phi.slope(math.sqrt(length) * points) ** 2)

    @cached_property
    def length(self) -> float:
        """q*, the length that layers approach: 0 if they forget it, infinity if it grows without end."""
        if self.sigma_b == 0 and self.next_length(SMALL) <= SMALL * (1 + 1e-9):
            return 0.0
        if self.next_length(LARGE) >= LARGE:
            return math.inf
        return float(brentq(lambda length: self.next_length(length) - length, SMALL, LARGE, xtol=1e-14, rtol=1e-12))

    @cached_property
    def chi(self) -> float:
        """χ at q*; ordered below 1 (gradients vanish), chaotic above (they explode), critical at 1."""
        return self.gradient_factor(self._finite_length)

    @cached_property
    def correlation(self) -> float:
        """c*, the correlation that two inputs approach; 1 where nearby inputs come closer to each other."""
        if self.chi <= 1 + 1e-9 or not 0 < self.length < math.inf:
            return 1.0

        def change(correlation: float) -> float:
            return self.next_product(self.length, correlation) / self.length - correlation

        if change(0.0) <= 1e-9:
            return 0.0
        high = 1 - 1e-6
        return 1.0 if change(high) >= 0 else float(brentq(change, 0.0, high, xtol=1e-10))

    @cached_property
    def length_scale(self) -> float:
        """ξ_q in layers: how soon a length comes closer to q* by a factor of e."""
        points, weights = _nodes(NODES_1D)
        root = math.sqrt(self._finite_length)
        inputs = root * points
        slope = self.sigma_w**2 * float(weights @ (self.phi.value(inputs) * self.phi.slope(inputs) * points)) / root
        return _layers(slope)

    @cached_property
    def correlation_scale(self) -> float:
        """ξ_c in layers: how soon a correlation comes closer to c* by a factor of e."""
        if self.correlation == 1:
            return _layers(self.chi)
        return _layers(self.sigma_w**2 * self._mean_of_pairs(self.phi.slope, self.length, self.correlation))

    @property
    def depth_scale(self) -> float:
        """ξ in layers: ξ_c, which says how deep a net can be trained (Schoenholz et al. 2017).

        Where lengths have no fixed point above 0, as under a ReLU without biases, a layer multiplies them by χ, as it
        does gradients, and this is 1 / |ln χ|.
        """
        return self.correlation_scale if 0 < self.length < math.inf else _layers(self.chi)

    @property
    def _finite_length(self) -> float:
        return min(max(self.length, SMALL), LARGE)

    def _mean_of_pairs(self, function: Function, length: float, correlation: float) -> float:
        points, weights = _nodes(NODES_2D)
        first = math.sqrt(length) * points
        rest = math.sqrt(length * (1 - correlation**2)) * points
        second: Any = function((correlation * first[:, None] + rest[None, :]).ravel()).reshape(len(points), -1)
        return float((weights * function(first)) @ (second @ weights))


def _layers(factor: float) -> float:
    """After how many layers, each of which multiplies something by `factor`, it is e times as large or as small."""
    logarithm = abs(math.log(factor)) if factor > 0 else math.inf
    return math.inf if logarithm < 1e-9 else 1 / logarithm


def residual_gradient_growth(plain: MeanField, *, block: int, start: float, layers: int) -> np.ndarray:
    """The logarithm of the growth of squared gradient norms over the first 1, 2, … blocks of a residual net.

    A block adds `block` layers of the plain net to its input, whose mean square is `start` at first, and nothing
    follows the addition (Yang & Schoenholz 2017, for block = 1 their reduced residual net).

    Returns:
        One value for each whole block in `layers`. For ReLU they grow in proportion to the depth, for tanh more slowly:
        gradients grow exponentially or sub-exponentially, but never vanish.
    """
    mean_square, logarithm, found = start, 0.0, []
    for _ in range(layers // block):
        inner, factor = mean_square, 1.0
        for _ in range(block):
            length = min(plain.sigma_w**2 * inner + plain.sigma_b**2, LARGE)
            points, weights = _nodes(NODES_1D)
            inner = float(weights @ plain.phi.value(math.sqrt(length) * points) ** 2)
            factor *= plain.gradient_factor(length)
        mean_square += inner
        logarithm += math.log1p(factor)
        found.append(logarithm)
    return np.array(found)
