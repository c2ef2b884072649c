"""What can be told of made panels at best, by who knows the law but sees no more than some network does."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit


def of_own_rows(x: np.ndarray, context: np.ndarray) -> np.ndarray:
    """Forecasts [rows, nodes] of the panel "context" from all past rows of the node alone, x and context.

    The forward algorithm of s_t, which stays with .95: x_t = .9 x_{t-1} + .436 e or .9 x_{t-6} + .436 e, and context
    is -1 or 1 with noise of 1.5.
    """
    odds, found = np.zeros(x.shape[1]), np.zeros_like(x)
    for t in range(6, len(x)):
        second = 0.95 * expit(odds) + 0.05 * expit(-odds)
        either = [0.9 * x[t - lag] for lag in (1, 6)]
        found[t] = (1 - second) * either[0] + second * either[1]
        told = ((x[t] - either[0]) ** 2 - (x[t] - either[1]) ** 2) / (2 * 0.436**2) + 2 * context[t] / 1.5**2
        odds = logit(second) + told
    return found


def _steps(spread: np.ndarray, own: float) -> np.ndarray:
    """F_h of z_t = (D_t, I_t) = F_h z_{t-1} + .5 e [season, 2 nodes, 2 nodes]: D_t = spread_h (D + I), I_t = own I."""
    stays = own * np.eye(spread.shape[1])
    return np.stack([np.block([[each, each], [np.zeros_like(each), stays]]) for each in spread])


def kalman(x: np.ndarray, spread: np.ndarray, own: float) -> np.ndarray:
    """Forecasts [rows, nodes] of x = D + I from all rows of x before, by the Kalman filter of D and I."""
    nodes, steps = x.shape[1], _steps(spread, own)
    sees, noise = np.hstack([np.eye(nodes)] * 2), 0.25 * np.eye(2 * nodes)
    z, v, found = np.zeros(2 * nodes), noise, np.zeros_like(x)
    for t in range(len(x)):
        step = steps[t % len(steps)]
        z, v = step @ z, step @ v @ step.T + noise
        found[t] = sees @ z
        gain = np.linalg.solve(sees @ v @ sees.T, sees @ v).T
        z, v = z + gain @ (x[t] - found[t]), v - gain @ sees @ v
    return found


def without_hour(x: np.ndarray, spread: np.ndarray, own: float, lags: int) -> np.ndarray:
    """The best linear forecasts [rows, nodes] of x = D + I from `lags` rows that do not know the hour.

    Moments of x are averages over hours, each from the covariance of D and I that repeats itself by season.
    """
    nodes, steps = x.shape[1], _steps(spread, own)
    sees, v = np.hstack([np.eye(nodes)] * 2), np.zeros((len(steps), 2 * nodes, 2 * nodes))
    for t in range(40 * len(steps)):
        hour = t % len(steps)
        v[hour] = steps[hour] @ v[hour - 1] @ steps[hour].T + 0.25 * np.eye(2 * nodes)
    cross = [v]  # of z_t with z_{t-k}, by hour
    for _ in range(lags):
        cross.append(steps @ np.roll(cross[-1], 1, axis=0))
    moment = [sees @ each.mean(axis=0) @ sees.T for each in cross]
    among = [[moment[b - a] if b >= a else moment[a - b].T for b in range(lags)] for a in range(lags)]
    coefficients = np.linalg.solve(np.block(among), np.hstack(moment[1:]).T)
    return np.hstack([np.roll(x, lag, axis=0) for lag in range(1, lags + 1)]) @ coefficients
