"""Forecasts of each series by itself that an econometrician makes first: seasonal naive, AR and VAR by statsmodels.

All are estimated once, on the rows before the tests, and asked at every origin of the tests.
"""

from __future__ import annotations

import numpy as np
from scipy import stats
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.vector_ar.var_model import VAR

from deqn.project.errors import UserError


def seasonal_naive(
    values: np.ndarray, train: int, origins: np.ndarray, horizon: int, period: int, quantiles: list[float]
) -> np.ndarray:
    """Returns the value of the last season plus quantiles of how far that was off before `train`.

    values: [series, rows, targets]. Returns [series, origins, horizon, targets, quantiles], as all here.
    """
    seasons = (np.arange(horizon) // period + 1) * period
    at = origins[:, None] + np.arange(horizon) - seasons
    off = values[:, period:train] - values[:, : train - period]
    spread = np.moveaxis(np.quantile(off, quantiles, axis=1), 0, -1)  # [series, targets, quantiles]
    return values[:, at][..., None] + (spread - np.median(off, axis=1)[..., None])[:, None, None]


def autoregressions(
    values: np.ndarray, train: int, origins: np.ndarray, horizon: int, period: int, lags: int, quantiles: list[float]
) -> np.ndarray:
    """Returns normal quantiles of an AR with seasonal dummies of each series and target, by least squares."""
    series, _, targets = values.shape
    mean, deviation = (np.zeros((series, len(origins), horizon, targets)) for _ in range(2))
    for i in range(series):
        for j in range(targets):
            y = values[i, :, j]
            try:
                found = AutoReg(y[:train], lags, trend="c", seasonal=True, period=period).fit()
            except ValueError as error:
                raise UserError(f"parameters.period: {period}, too long for {train} rows: {error}") from error
            constant, slopes = found.params[0], found.params[-lags:]
            dummies = np.concatenate([[0.0], found.params[1:-lags]])  # of each place in the season
            past = np.stack([y[origins - lag] for lag in range(1, lags + 1)])  # the latest first
            weights = _responses(slopes, horizon)
            for step in range(horizon):
                forecast = constant + dummies[(origins + step) % period] + slopes @ past
                mean[i, :, step, j] = forecast
                deviation[i, :, step, j] = np.sqrt(found.sigma2 * (weights[: step + 1] ** 2).sum())
                past = np.vstack([forecast, past[:-1]])
    return normal_quantiles(mean, deviation, quantiles)


def _responses(slopes: np.ndarray, horizon: int) -> np.ndarray:
    """[horizon]: what a shock of one is after so many rows."""
    psi = [1.0]
    for step in range(1, horizon):
        psi.append(sum(slope * psi[step - 1 - lag] for lag, slope in enumerate(slopes[:step])))
    return np.array(psi)


def vector_autoregressions(
    values: np.ndarray, train: int, origins: np.ndarray, horizon: int, lags: int, quantiles: list[float]
) -> np.ndarray:
    """Returns normal quantiles of a VAR of all targets of each series."""
    parts = []
    for y in values:
        found = VAR(y[:train]).fit(lags)
        mean = np.stack([found.forecast(y[origin - lags : origin], horizon) for origin in origins])
        deviation = np.sqrt(np.diagonal(found.mse(horizon), axis1=1, axis2=2))
        parts.append(normal_quantiles(mean, np.broadcast_to(deviation, mean.shape), quantiles))
    return np.stack(parts)


def normal_quantiles(mean: np.ndarray, deviation: np.ndarray, quantiles: list[float]) -> np.ndarray:
    """Returns [..., quantiles]."""
    return mean[..., None] + deviation[..., None] * stats.norm.ppf(quantiles)
