"""Moments of a simulated path as the literature on business cycles prints them: levels, and HP-filtered logarithms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.linalg import solveh_banded

LAGS = (-2, -1, 0, 1, 2)
QUARTERS = 1600.0  # the smoothing of quarterly data


def hp_filter(series: np.ndarray, smoothing: float) -> tuple[np.ndarray, np.ndarray]:
    """Cycle and trend of Hodrick and Prescott (1997), by one banded solution.

        min over trend  sum_t (x_t - trend_t)^2 + smoothing sum_t (trend_{t+1} - 2 trend_t + trend_{t-1})^2

    series: [T], T >= 4. smoothing: 1,600 for quarters. Returns cycle [T] and trend [T]; they add up to the series.
    """
    x = np.asarray(series, np.float64)
    T = len(x)
    # I + smoothing D'D, D the second differences: upper diagonals, the main one last.
    bands = np.zeros((3, T))
    bands[0, 2:] = 1.0
    bands[1, 1:] = -4.0
    bands[1, [1, -1]] = -2.0
    bands[2] = 6.0
    bands[2, [0, -1]], bands[2, [1, -2]] = 1.0, 5.0
    bands *= smoothing
    bands[2] += 1.0
    trend = solveh_banded(bands, x)
    return x - trend, trend


def smoothing_of(years_per_period: float | None) -> float:
    """6.25 a year to the fourth power (Ravn and Uhlig 2002) where the length of a period is known, else quarters."""
    return QUARTERS if years_per_period is None else 6.25 / years_per_period**4


def cycle_rows(
    series: Mapping[str, np.ndarray], output: str, track: np.ndarray, smoothing: float
) -> list[dict[str, Any]]:
    """Moments of the filtered series by name: logarithms of what is positive, levels of what is not.

    series: [T] by name. track: [T], the number of the path; each is filtered for itself.
    std: of the cycle. relative: over that of output. autocorrelation: of one period. correlations: with output so many
    periods later than the series, by lag; a series that leads output has its largest one at a positive lag.
    """
    each = [np.flatnonzero(track == number) for number in np.unique(track)]
    if min(map(len, each)) < 4:
        return []

    def cycles(name: str) -> list[np.ndarray]:
        values = np.log(series[name]) if (series[name] > 0).all() else series[name]
        return [hp_filter(values[rows], smoothing)[0] for rows in each]

    reference = cycles(output)
    rows = []
    for name, values in series.items():
        own = cycles(name)
        std = float(np.concatenate(own).std())
        rows.append({
            "variable": name,
            "in": "log" if (values > 0).all() else "level",
            "std": std,
            "relative": std / float(np.concatenate(reference).std()),
            "autocorrelation": lagged(own, own, 1),
            "correlations": {lag: lagged(own, reference, lag) for lag in LAGS},
        })  # fmt: skip
    return rows


def lagged(first: Sequence[np.ndarray], second: Sequence[np.ndarray], lag: int) -> float:
    """The correlation of the first at t with the second at t + lag, over all tracks; NaN if one of them is constant."""
    pairs = [
        (a[: len(a) - lag], b[lag:]) if lag >= 0 else (a[-lag:], b[: len(b) + lag])
        for a, b in zip(first, second, strict=True)
    ]
    x, y = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else float("nan")


def correlations(series: Mapping[str, np.ndarray]) -> np.ndarray:
    """The matrix of correlations of levels, [n, n]; NaN where a series is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.atleast_2d(np.corrcoef(np.stack(list(series.values()))))
