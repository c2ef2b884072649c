r"""Growth by hidden regimes on a grid of capital and belief (endogenous grid points, Carroll 2006).

    c + a = k^alpha + (1-delta) k,   k' = a e^-g'
    c^-gamma = beta sum_j P_j(b) E[ e^(-gamma g') R(k') c(k', b')^-gamma | g' ~ N(mu_j, sigma^2) ]
    P(b) = (b, 1-b) Pi,   b' = P_1 f_1(g') / (P_1 f_1(g') + P_2 f_2(g'))

The right-hand side depends on a and b alone: for each a on a grid it gives c, and cash c + a the capital at which that
is chosen. ln c is a bicubic spline in ln k and b. NumPy and SciPy alone.
"""

from typing import NamedTuple

import numpy as np
from numpy.polynomial import hermite_e
from scipy.interpolate import CubicSpline, RectBivariateSpline


class HiddenGrowth(NamedTuple):
    """Constants per quarter; the regime that grows faster comes first."""

    capital_share: float
    discount_factor: float
    depreciation: float
    risk_aversion: float
    growth: tuple[float, float]
    growth_sd: float
    transition: np.ndarray

    def cash(self, k):
        return k**self.capital_share + (1 - self.depreciation) * k

    def gross_return(self, k):
        return self.capital_share * k ** (self.capital_share - 1) + 1 - self.depreciation

    def typical_capital(self):
        """Where capital would stay if growth were its long-run mean for certain."""
        stationary = np.linalg.matrix_power(np.asarray(self.transition), 1 << 20)[0]
        R = np.exp(self.risk_aversion * stationary @ np.asarray(self.growth)) / self.discount_factor
        return (self.capital_share / (R - 1 + self.depreciation)) ** (1 / (1 - self.capital_share))


class Solution(NamedTuple):
    """log_policy: ln c of ln k and b. iterations: that were needed."""

    economy: HiddenGrowth
    log_policy: RectBivariateSpline
    iterations: int

    def consumption(self, capital, belief):
        return np.exp(self.log_policy.ev(np.log(capital), belief))

    def savings(self, capital, belief):
        return self.economy.cash(capital) - self.consumption(capital, belief)


def bayes(economy, belief, growth):
    """The probability of the first regime once growth is seen."""
    ahead = np.stack([belief, 1 - belief], axis=-1) @ np.asarray(economy.transition)
    likely = ahead * np.exp(-(((growth[..., None] - np.asarray(economy.growth)) / economy.growth_sd) ** 2) / 2)
    return likely[..., 0] / likely.sum(axis=-1)


def solve(economy, capitals=80, beliefs=61, quadrature=15, width=0.8, tolerance=1e-11, most=5000):
    """width: of the grid of ln k on both sides of the typical one. Raises ValueError after `most` iterations."""
    k = economy.typical_capital() * np.exp(np.linspace(-width, width, capitals))
    b = np.linspace(0, 1, beliefs)
    e, weight = hermite_e.hermegauss(quadrature)
    growth = np.asarray(economy.growth)[:, None] + economy.growth_sd * e  # [2, Q]
    ahead = np.stack([b, 1 - b], axis=1) @ np.asarray(economy.transition)  # [B, 2]
    weights = (ahead[:, :, None] * weight / weight.sum()).reshape(beliefs, 1, -1)  # [B, 1, 2 Q]
    flat = growth.reshape(-1)
    following = bayes(economy, b[:, None], np.broadcast_to(flat, (beliefs, len(flat))))[:, None]  # [B, 1, 2 Q]
    cash, gamma = economy.cash(k), economy.risk_aversion
    saved = 0.93 * cash  # where savings lie, widely; what is chosen decides which capital belongs to each
    later = saved[None, :, None] * np.exp(-flat)  # [1, I, 2 Q]
    known = weights * economy.discount_factor * np.exp(-gamma * flat) * economy.gross_return(later)  # [B, I, 2 Q]
    places = np.broadcast_arrays(np.log(later), following)
    log_c = np.log(0.07 * cash)[:, None] * np.ones(beliefs)  # [I, B]
    for iteration in range(1, most + 1):
        spline = RectBivariateSpline(np.log(k), b, log_c)
        c = (known * np.exp(-gamma * spline.ev(*places))).sum(axis=2) ** (-1 / gamma)  # [B, I]
        new = np.stack([CubicSpline(np.log(c[j] + saved), np.log(c[j]))(np.log(cash)) for j in range(beliefs)], axis=1)
        change, log_c = np.abs(new - log_c).max(), new
        if change < tolerance:
            return Solution(economy, RectBivariateSpline(np.log(k), b, log_c), iteration)
    raise ValueError(f"ln c still moves by {change:.1e} after {most} iterations, expected {tolerance:.0e}")
