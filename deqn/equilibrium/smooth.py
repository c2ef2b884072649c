r"""A function that is known at some states, carried to others: a linear function plus a smooth one. NumPy only.

Gaussian process regression (Rasmussen & Williams 2006, sections 2.2 and 2.7) in the principal components x of what a
network sees, with a constant of which nothing is known beforehand:

    f(s) = m + k(s, S) (k(S, S) + noise)^-1 (f(S) - m),    m by generalised least squares,
    k(s, s') = 300 x x' + (1 + d + d^2/3) exp(-d),   d = sqrt(5) |x - x'| / length

A constant is carried exactly: where errors hardly die out, what is lost of it would be lost many times over. Linear
functions are carried almost exactly, others as far as they are smooth, and far from all states of the sample what is
left is the linear function. Length and noise are those with the smallest error at states left out, one at a time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

_LINEAR = 300.0  # prior variance of a slope, that of the smooth part being one
_LENGTHS, _NOISES = (0.5, 1.0, 2.0, 4.0), (1e-5, 1e-3, 1e-1, 1e1)
_NEGLIGIBLE = 1e-6  # components with less than this share of the largest standard deviation are left out


class Coordinates:
    """Principal components of standardised inputs [M, inputs], the smaller ones with their spread's square root."""

    def __init__(self, inputs: np.ndarray) -> None:
        spread = inputs.std(axis=0)
        self.mean, scale = inputs.mean(axis=0), np.where(spread > 0, spread, 1.0)
        _, sizes, directions = np.linalg.svd((inputs - self.mean) / scale, full_matrices=False)
        kept = sizes > _NEGLIGIBLE * max(sizes[0], 1e-300)
        sizes = sizes[kept] / np.sqrt(len(inputs))  # standard deviations
        self.rotation = (directions[kept] / np.sqrt(sizes * sizes[:1])[:, None] / scale).T  # [inputs, components]

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """[..., inputs] -> [..., components]; the first has a standard deviation of one."""
        return (inputs - self.mean) @ self.rotation


class Smoothness(NamedTuple):
    """length: in standard deviations of the first component. noise: variance, that of the smooth part being one."""

    length: float
    noise: float


class Regression:
    """What values at points [n, components] of one group of states say of other points."""

    def __init__(self, points: np.ndarray, smoothness: Smoothness) -> None:
        self.points, self.length = points, smoothness.length
        inverse = np.linalg.inv(covariance(points, points, self.length) + smoothness.noise * np.eye(len(points)))
        self.mean = inverse.sum(axis=0) / inverse.sum() if len(points) else np.zeros(0)  # weights of m, [n]
        self.inverse = inverse - np.outer(inverse.sum(axis=1), self.mean)  # of values less m

    def to(self, points: np.ndarray) -> np.ndarray:
        """The matrix [..., n] that makes values at `points` [..., components] of the values."""
        flat = points.reshape(math.prod(points.shape[:-1]), points.shape[-1])  # a network may see constants alone
        matrix = covariance(flat, self.points, self.length) @ self.inverse + self.mean
        return matrix.reshape(*points.shape[:-1], len(self.points))

    def left_out(self, values: np.ndarray) -> np.ndarray:
        """Values [n, outputs] less what the other n - 1 points say of each."""
        return self.inverse @ values / np.diag(self.inverse)[:, None]


def covariance(x: np.ndarray, y: np.ndarray, length: float) -> np.ndarray:
    """k(x, y) [n, m] at points x [n, components] and y [m, components]."""
    product = x @ y.T
    squared = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * product
    d = np.sqrt(5 * np.maximum(squared, 0.0)) / length
    return _LINEAR * product + (1 + d + d**2 / 3) * np.exp(-d)


def choose(points: list[np.ndarray], values: list[np.ndarray]) -> Smoothness:
    """Length and noise that carry values [n, outputs] best, over several groups of points [n, components] together."""

    def missed(smoothness: Smoothness) -> float:
        return sum((Regression(x, smoothness).left_out(y) ** 2).sum() for x, y in zip(points, values, strict=True))

    return min((Smoothness(length, noise) for length in _LENGTHS for noise in _NOISES), key=missed)
