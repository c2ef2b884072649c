"""A made panel with known activity, and what a linear filter tells of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg, stats

from deqn.graph.total_activation import convolution

SIDE, ROWS, STEP = 6, 200, 2.0  # regions on a square of 6 x 6, rows, seconds between rows


class Made(NamedTuple):
    """activity, observed: [rows, 36]; a: adjacency [36, 36]; response: [lags]; noise: its standard deviation."""

    activity: np.ndarray
    observed: np.ndarray
    a: np.ndarray
    response: np.ndarray
    noise: float


def double_gamma() -> np.ndarray:
    """Returns the usual response of blood flow at steps of 2 s, with a sum of one: a known lag of about 6 s."""
    t = np.arange(0.0, 32.0, STEP)
    response = stats.gamma.pdf(t, 6) - stats.gamma.pdf(t, 16) / 6
    return response / response.sum()


def activity(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Returns [rows]: +1 or -1, drawn anew after every 8 to 20 rows."""
    found = np.concatenate([np.full(rng.integers(8, 21), rng.choice([-1.0, 1.0])) for _ in range(rows // 8 + 3)])
    begin = rng.integers(20)
    return found[begin : begin + rows]


def make(rng: np.random.Generator) -> Made:
    """Four blocks of nine regions, each with one activity; noise as large as what is seen (0 dB)."""
    place = np.arange(SIDE**2).reshape(SIDE, SIDE)
    a = np.zeros((SIDE**2, SIDE**2))
    for i, j in [*zip(place[:, :-1].ravel(), place[:, 1:].ravel(), strict=True),
                 *zip(place[:-1].ravel(), place[1:].ravel(), strict=True)]:  # fmt: skip
        a[i, j] = a[j, i] = 1.0
    block = (place // SIDE // (SIDE // 2)) * 2 + place % SIDE // (SIDE // 2)
    x = np.stack([activity(rng, ROWS) for _ in range(4)], axis=1)[:, block.ravel()]
    response = double_gamma()
    seen = convolution(response, ROWS) @ x
    noise = float(seen.std())
    return Made(x, seen + noise * rng.normal(size=x.shape), a, response, noise)


def wiener(made: Made) -> np.ndarray:
    """Returns the best linear guess of each region's activity from its own row, its autocovariance and noise known."""
    rng = np.random.default_rng(0)
    sample = np.stack([activity(rng, ROWS) for _ in range(20_000)])
    covariance = linalg.toeplitz((sample * sample[:, :1]).mean(axis=0))
    h = convolution(made.response, ROWS)
    seen = h @ covariance @ h.T + made.noise**2 * np.eye(ROWS)
    return covariance @ h.T @ np.linalg.solve(seen, made.observed)
