r"""Total Activation: what moved a panel seen through a known lag, if it is level in time and alike in space.

    min_x  1/2 ||y - H x||^2 + lambda_T sum_i ||Delta x_i||_1 + lambda_S sum_it ||(x_jt - x_it)_{j > i next to i}||_2

Karahanoglu, Caballero-Gaudes, Lazeyras & Van De Ville (2013), equations 3 to 5, whose Delta undoes H first: here x is
what H is applied to. The problem is convex; ADMM (Boyd et al. 2011) solves it. H is a convolution over time, so that
the normal equations fall apart in the eigenvectors of time and of the graph.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg


class Solution(NamedTuple):
    """x: [rows, nodes]. iterations: made. gap: the larger of ADMM's two residuals at the end, relative."""

    x: np.ndarray
    iterations: int
    gap: float


def convolution(response: np.ndarray, rows: int) -> np.ndarray:
    """Returns H [rows, rows]: (H x)_t = sum_k response_k x_{t-k}, with zeros before the first row."""
    padded = np.zeros(rows)
    padded[: min(rows, len(response))] = response[:rows]
    return linalg.toeplitz(padded, np.zeros(rows))


def gradient(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns G [edges, nodes], x_j - x_i of each edge i < j, and the node i of each edge [edges]."""
    i, j = np.nonzero(np.triu(a, 1))
    g = np.zeros((len(i), len(a)))
    g[np.arange(len(i)), i], g[np.arange(len(i)), j] = -1.0, 1.0
    return g, i


def total_activation(
    y: np.ndarray,
    response: np.ndarray,
    a: np.ndarray,
    time: float,
    space: float,
    *,
    tolerance: float = 1e-6,
    most: int = 5000,
) -> Solution:
    """Solves the problem for y [rows, nodes] with weights lambda_T = `time` and lambda_S = `space`, both at least 0.

    response: [lags], what a unit of x does to y in the rows that follow. a: adjacency [nodes, nodes], symmetric; only
    where it is not zero counts. tolerance: of both residuals, relative to their sides. Raises ValueError: weights below
    zero, shapes that do not fit.
    """
    rows, nodes = y.shape
    if time < 0 or space < 0 or a.shape != (nodes, nodes):
        raise ValueError(
            f"got weights {time}, {space} and a graph {a.shape}, expected weights >= 0 and [{nodes}, {nodes}]"
        )
    h, (g, begins) = convolution(response, rows), gradient(a)
    groups = np.zeros((nodes, len(g)))
    groups[begins, np.arange(len(g))] = 1.0
    rho = 2 * max(time, space, 1e-9)
    d = np.diff(np.eye(rows), axis=0)
    along, rotation = linalg.eigh(h.T @ h + rho * d.T @ d)
    across, basis = linalg.eigh(g.T @ g)
    scale = 1.0 / (along[:, None] + rho * across + 1e-12)
    seen = h.T @ y
    u, v = np.zeros((rows - 1, nodes)), np.zeros((rows, len(g)))
    level, slope = u.copy(), v.copy()
    x, gap = np.zeros_like(y), np.inf
    for iteration in range(1, most + 1):
        right = seen + rho * (d.T @ (level - u) + (slope - v) @ g)
        x = rotation @ (scale * (rotation.T @ right @ basis)) @ basis.T
        in_time, in_space = d @ x, x @ g.T
        before = level, slope
        level = _shrunk(in_time + u, time / rho)
        length = np.sqrt(((in_space + v) ** 2) @ groups.T)
        share = np.maximum(0.0, 1 - (space / rho) / np.maximum(length, 1e-300))
        slope = (in_space + v) * (share @ groups)
        u, v = u + in_time - level, v + in_space - slope
        if iteration % 20 == 0:
            primal = _norm(in_time - level, in_space - slope) / max(
                _norm(in_time, in_space), _norm(level, slope), 1e-12
            )
            change = d.T @ (level - before[0]) + (slope - before[1]) @ g
            dual = _norm(change) / max(_norm(d.T @ u + v @ g), 1e-12)
            gap = max(primal, dual)
            if gap < tolerance:
                break
    return Solution(x, iteration, gap)


def _shrunk(x: np.ndarray, by: float) -> np.ndarray:
    return np.sign(x) * np.maximum(np.abs(x) - by, 0.0)


def _norm(*parts: np.ndarray) -> float:
    return float(np.sqrt(sum((part**2).sum() for part in parts)))
