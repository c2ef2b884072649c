"""Smooth functions of the state, with which a function known at some states is carried to others. NumPy only."""

from __future__ import annotations

import heapq

import numpy as np

_HIGHEST = 14  # degree in one component
_NEGLIGIBLE = 1e-5  # components with less than this share of the largest standard deviation are left out
_CUT_OFF = 1e-7  # singular values of a regression below this share of the largest are noise


class SmoothFunctions:
    """Chebyshev polynomials of the principal components of what a network sees, the leading ones to higher degrees.

    inputs: [M, inputs], the sample that fixes components and their ranges. count: how many functions, at most.
    Beyond the sample's range a component counts as being at its end.
    """

    def __init__(self, inputs: np.ndarray, count: int) -> None:
        spread = inputs.std(axis=0)
        self.mean, self.scale = inputs.mean(axis=0), np.where(spread > 0, spread, 1.0)
        _, sizes, directions = np.linalg.svd((inputs - self.mean) / self.scale, full_matrices=False)
        kept = sizes > _NEGLIGIBLE * max(sizes[0], 1e-300)
        self.directions = directions[kept].T  # [inputs, components]
        components = self._components(inputs)
        self.low, self.high = components.min(axis=0), components.max(axis=0)
        self.degrees = _degrees(components.shape[1], count)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """[..., inputs] -> [..., count]; the first function is one everywhere."""
        components = self._components(inputs)
        width = np.where(self.high > self.low, self.high - self.low, 1.0)
        x = np.clip(2 * (components - self.low) / width - 1, -1.0, 1.0)
        values = np.ones((len(self.degrees), *x.shape[:-1]))
        for number, degrees in enumerate(self.degrees):
            for component, degree in degrees.items():
                values[number] *= np.cos(degree * np.arccos(x[..., component]))
        return np.moveaxis(values, 0, -1)

    def _components(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs - self.mean) / self.scale @ self.directions


def regression(values: np.ndarray) -> np.ndarray:
    """The matrix [count, M] that gives least-squares coefficients on functions of values [M, count]."""
    return np.linalg.pinv(values, rcond=_CUT_OFF)


def _degrees(components: int, count: int) -> list[dict[int, int]]:
    """The degrees in each component of the `count` cheapest products, {component: degree}; the first is {}.

    A degree costs 1 in the first component, more in later ones: 1 + log2(number) / 2.
    """
    price = 1 + np.log2(np.arange(1, components + 1)) / 2
    waiting: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]  # a product as its components in ascending order
    chosen: list[dict[int, int]] = []
    while waiting and len(chosen) < count:
        cost, product = heapq.heappop(waiting)
        degrees = {component: product.count(component) for component in dict.fromkeys(product)}
        if max(degrees.values(), default=0) > _HIGHEST:
            continue
        chosen.append(degrees)
        for component in range(product[-1] if product else 0, components):
            heapq.heappush(waiting, (cost + price[component], (*product, component)))
    return chosen
