r"""A household's consumption by endogenous grid points (Carroll 2006, Economics Letters 91), in NumPy alone.

    c + a = x,   x' = R a + y(z'),   a >= a_low,   c^-gamma >= beta R E[ c'^-gamma ],  with equality if a > a_low

For what is saved, a on a grid, the Euler equation gives c without a root search, and x = c + a is the cash at which
that is chosen. With less cash than belongs to a_low, all but a_low is consumed. Consumption is linear between the
points, which does not round its kinks.
"""

from typing import NamedTuple

import numpy as np


class Household(NamedTuple):
    """Constants per year; income and limit in mean yearly incomes. income: [S]. transition: [S, S], rows = from."""

    discount_factor: float
    risk_aversion: float
    gross_return: float
    income: np.ndarray
    transition: np.ndarray
    borrowing_limit: float = 0.0


class Solution(NamedTuple):
    """cash, consumed: [S, I + 1] points of each shock's consumption function. iterations: that were needed."""

    household: Household
    cash: np.ndarray
    consumed: np.ndarray
    iterations: int

    def consumption(self, wealth, shock):
        """[M] of a household that saved wealth [M] last year and now has income of shock [M]; as the last segment does
        where wealth is above the grid."""
        x = self.household.gross_return * wealth + self.household.income[shock]
        result = np.empty_like(x)
        for z in np.unique(shock):
            chosen = shock == z
            result[chosen] = _interpolated(x[chosen], self.cash[z], self.consumed[z])
        return result

    def savings(self, wealth, shock):
        x = self.household.gross_return * wealth + self.household.income[shock]
        return x - self.consumption(wealth, shock)


def rouwenhorst(count, persistence, innovation_sd):
    """ln income [S] and its transition [S, S] of Rouwenhorst (1995), by the recursion of Kopecky and Suen (2010)."""
    p = (1 + persistence) / 2
    transition = np.array([[p, 1 - p], [1 - p, p]])
    for size in range(3, count + 1):
        larger = np.zeros((size, size))
        larger[:-1, :-1] += p * transition
        larger[:-1, 1:] += (1 - p) * transition
        larger[1:, :-1] += (1 - p) * transition
        larger[1:, 1:] += p * transition
        larger[1:-1] /= 2
        transition = larger
    edge = innovation_sd * np.sqrt((count - 1) / (1 - persistence**2))
    return np.linspace(-edge, edge, count), transition


def mean_one(log_income, transition):
    """Income [S] whose mean is 1 in the long run."""
    often = np.linalg.matrix_power(transition, 1 << 20)[0]
    return np.exp(log_income) / (often / often.sum() @ np.exp(log_income))


def solve(household, nodes=10_000, richest=300.0, tolerance=1e-12, most=20_000):
    """Iterates until no consumption at a grid point moves by more than `tolerance` of itself.

    nodes: of savings, from the limit to `richest`, denser where they are small. Raises ValueError if `most` iterations
    do not suffice.
    """
    beta, gamma, R, y, transition, low = household
    saved = low + (richest - low) * np.linspace(0, 1, nodes) ** 3
    x = np.tile([low, low + 1.0], (len(y), 1))
    c = np.tile([0.0, 1.0], (len(y), 1))
    before = np.full((len(y), nodes), np.inf)
    for iteration in range(1, most + 1):
        ahead = np.stack([_interpolated(R * saved + y[z], x[z], c[z]) for z in range(len(y))]) ** -gamma  # [S, I]
        wanted = (beta * R * (transition @ ahead)) ** (-1 / gamma)
        x = np.concatenate([np.full((len(y), 1), low), saved + wanted], axis=1)
        c = np.concatenate([np.zeros((len(y), 1)), wanted], axis=1)
        if np.abs(wanted / before - 1).max() < tolerance:
            return Solution(household, x, c, iteration)
        before = wanted
    raise ValueError(f"consumption still moves after {most} iterations, expected less than {tolerance:g} of itself")


def _interpolated(x, points, values):
    """Linear between the points; beyond the last one as between the last two."""
    slope = (values[-1] - values[-2]) / (points[-1] - points[-2])
    return np.where(x > points[-1], values[-1] + slope * (x - points[-1]), np.interp(x, points, values))
