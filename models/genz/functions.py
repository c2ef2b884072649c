r"""Genz's test functions of approximation on the unit cube (Genz 1987; Barthelmann, Novak & Ritter 2000).

    oscillatory     f1 = cos(2 pi w_1 + sum c_i x_i)
    product_peak    f2 = prod 1/(c_i^-2 + (x_i - w_i)^2)
    corner_peak     f3 = (1 + sum c_i x_i)^-(d+1)
    gaussian        f4 = exp(-sum c_i^2 (x_i - w_i)^2)
    continuous      f5 = exp(-sum c_i |x_i - w_i|)
    discontinuous   f6 = exp(sum c_i x_i), but 0 if x_1 > w_1 or x_2 > w_2

c_i and w_i are uniform on [0, 1], then scaled so that sum c_i = b, the difficulty, and sum w_i = 1:

    b = (1.5, d, 1.85, 7.03, 20.4, 4.3)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from deqn.mlp.checks import matrix, one_of

Formula = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # x [n, d], c [d], w [d] -> [n]

FORMULAS: dict[str, Formula] = {
    "oscillatory": lambda x, c, w: np.cos(2 * np.pi * w[0] + x @ c),
    "product_peak": lambda x, c, w: np.prod(1 / (c**-2 + (x - w) ** 2), axis=1),
    "corner_peak": lambda x, c, w: (1 + x @ c) ** -(len(c) + 1.0),
    "gaussian": lambda x, c, w: np.exp(-((x - w) ** 2) @ c**2),
    "continuous": lambda x, c, w: np.exp(-np.abs(x - w) @ c),
    "discontinuous": lambda x, c, w: np.where((x[:, :2] > w[:2]).any(axis=1), 0.0, np.exp(x @ c)),
}
_DIFFICULTY = {"oscillatory": 1.5, "corner_peak": 1.85, "gaussian": 7.03, "continuous": 20.4, "discontinuous": 4.3}
# As a c_i nears 0 the product peak's c_i^-2 overflows, and the function is 0 but for rounding.
_SMALLEST_C = 1e-3


def difficulty(name: str, dimension: int) -> float:
    """Returns b, to which the c_i sum. Raises ValueError, listing the names, for an unknown function."""
    return float(_DIFFICULTY.get(one_of(name, FORMULAS, "function"), dimension))


class Genz(NamedTuple):
    """One function of a family: name, c [d], w [d]."""

    name: str
    c: np.ndarray
    w: np.ndarray

    def __call__(self, x: Any) -> np.ndarray:
        """Returns f [n] at x [n, d] in the unit cube. Raises ValueError for other columns or numbers not finite."""
        return FORMULAS[self.name](matrix(x, "x", columns=len(self.c)), self.c, self.w)


def drawn(name: str, dimension: int, generator: np.random.Generator) -> Genz:
    """Draws a function, that is its c and w.

    Raises ValueError: unknown name, fewer than one dimension, or fewer than two for the discontinuous function.
    """
    b = difficulty(name, dimension)
    smallest = 2 if name == "discontinuous" else 1
    if dimension < smallest:
        raise ValueError(f"dimension: got {dimension}, expected {smallest} or more for {name}")
    while True:
        c, w = (generator.uniform(size=dimension) for _ in range(2))
        c, w = b * c / c.sum(), w / w.sum()
        if c.min() >= _SMALLEST_C:
            return Genz(name, c, w)
