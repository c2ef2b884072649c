r"""The partially linear regression, Chernozhukov et al. (2018), eqs. 1.1 and 4.4, from residuals.

    Y = theta' T + g(X) + eps,   T = m(X) + nu,   E[eps | T, X] = E[nu | X] = 0,   l(X) = E[Y | X]
    nu = T - m(X),   u = Y - l(X),   theta = (sum nu nu')^-1 sum nu u

The variance is the sandwich J^-1 Omega J^-1 / n, J = mean nu nu', psi = nu (u - theta' nu); Omega = mean psi psi' for
rows that are independent (White 1980), and with Bartlett's weights over lags for a series (Newey and West 1987).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats


class Effects(NamedTuple):
    """Estimates of p effects, [p] each, and their standard errors."""

    estimate: np.ndarray
    error: np.ndarray

    def covers(self, truth: np.ndarray, level: float = 0.95) -> np.ndarray:
        """Returns whether the interval of that level holds the truth, bool [p]."""
        return np.abs(self.estimate - truth) <= stats.norm.ppf((1 + level) / 2) * self.error

    def rows(self, names: list[str], method: str) -> list[dict[str, object]]:
        """Returns the rows of a regression table."""
        z = self.estimate / self.error
        low, high = (self.estimate + sign * stats.norm.ppf(0.975) * self.error for sign in (-1, 1))
        return [
            {
                "treatment": name, "method": method, "coef": self.estimate[i], "std err": self.error[i], "z": z[i],
                "P>|z|": round(2 * stats.norm.sf(abs(z[i])), 4), "[0.025": low[i], "0.975]": high[i],
            }
            for i, name in enumerate(names)
        ]  # fmt: skip


def partially_linear(nu: np.ndarray, u: np.ndarray, lags: int = 0) -> Effects:
    """Returns theta and its standard errors from residuals nu [n, p] and u [n]; lags: 0 for independent rows."""
    n = len(u)
    J = nu.T @ nu / n
    theta = np.linalg.solve(J, nu.T @ u / n)
    psi = nu * (u - nu @ theta)[:, None]
    Omega = psi.T @ psi / n
    for lag in range(1, lags + 1):
        cross = psi[lag:].T @ psi[:-lag] / n
        Omega += (1 - lag / (lags + 1)) * (cross + cross.T)
    variance = np.linalg.solve(J, np.linalg.solve(J, Omega).T) / n
    return Effects(theta, np.sqrt(np.diag(variance)))


def linear_residuals(values: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Returns what least squares on a constant and the controls [n, d] leaves of values [n, k]."""
    x = np.column_stack([np.ones(len(values)), controls])
    return values - x @ np.linalg.lstsq(x, values, rcond=None)[0]


def median_of(each: list[Effects]) -> Effects:
    """Returns the median over partitions of one sample, with its spread in the errors (the paper's definition 3.3)."""
    estimates, errors = (np.stack([getattr(one, name) for one in each]) for name in ("estimate", "error"))
    middle = np.median(estimates, axis=0)
    return Effects(middle, np.sqrt(np.median(errors**2 + (estimates - middle) ** 2, axis=0)))
