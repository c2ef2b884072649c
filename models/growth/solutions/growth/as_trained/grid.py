r"""Stochastic growth by time iteration with endogenous grid points (Carroll 2006) and cubic splines in logarithms.

    max E sum_t beta^t c_t^(1-gamma) / (1-gamma)     s.t.   c + k' = z k^alpha + (1-delta) k   [ and k' >= (1-delta) k ]

    c^-gamma = beta E[ R' c'^-gamma - (1-delta) mu' ] + mu,     mu >= 0,   mu (k' - (1-delta) k) = 0,
    R = alpha z k^(alpha-1) + 1 - delta,     mu = 0 throughout where investment can be undone.

`solve_markov` takes TFP from a finite chain, `solve_ar1` from ln z' = rho ln z + sd eps with eps ~ N(0, 1).

The right-hand side depends on today's state through (k', z) alone. With G(k', z) = (beta E[...])^(-1/gamma), the
consumption of one who is free to save k', the unconstrained policy follows from cash = G + k' without a root search;
the irreversible one is c = min(c_unconstrained, z k^alpha), and mu = c^-gamma - G((1-delta) k, z)^-gamma if it binds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev, hermite_e
from scipy.interpolate import CubicSpline


class Growth(NamedTuple):
    """The economy's constants; rates per period."""

    capital_share: float = 0.4
    discount_factor: float = 0.9896
    depreciation: float = 0.0196
    risk_aversion: float = 2.0
    irreversible: bool = False

    def cash(self, k, z):
        return z * k**self.capital_share + (1 - self.depreciation) * k

    def gross_return(self, k, z):
        return self.capital_share * z * k ** (self.capital_share - 1) + 1 - self.depreciation

    def steady_capital(self):
        """Capital per worker that stays where it is when z = 1 for ever."""
        rental = 1 / self.discount_factor - 1 + self.depreciation
        return (self.capital_share / rental) ** (1 / (1 - self.capital_share))


class Successors(NamedTuple):
    """Tomorrow's TFP from J points of today's.

    tfp: [M, Q] levels of z'. weights: [M, Q], rows sum to one. lift: [M, Q, J], from values at the J points to z'.
    """

    tfp: np.ndarray
    weights: np.ndarray
    lift: np.ndarray


@dataclass(frozen=True)
class Solution:
    """Policies of a solved economy; `shock` is the index of z in a chain, ln z in the Gaussian version.

    grid: [I] ln k. log_policy, log_implied: [J, I], ln c_unconstrained(k, z_j) and ln G(k', z_j) on the grid.
    """

    economy: Growth
    grid: np.ndarray
    log_policy: np.ndarray
    log_implied: np.ndarray
    successors_of: Callable[[np.ndarray], Successors]
    read: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # shock -> z [M], weights on the J points [M, J]
    iterations: int

    def consumption(self, k, shock):
        """[M] units of the good, from capital k [M] and shock [M]."""
        z, weights = self.read(shock)
        return self._consumption(np.asarray(k, float), z, weights)

    def capital(self, k, shock):
        """Next period's capital, [M]."""
        z, _ = self.read(shock)
        return self.economy.cash(k, z) - self.consumption(k, shock)

    def multiplier(self, k, shock):
        """mu [M] on k' >= (1-delta) k, units of c^-gamma; zero in the reversible economy."""
        z, weights = self.read(shock)
        return self._multiplier(np.asarray(k, float), z, weights)

    def euler_error(self, k, shock):
        """u'^-1(beta E[...] + mu) / c - 1 [M], with the policies as they stand, on the grid or off it."""
        economy, gamma = self.economy, self.economy.risk_aversion
        successors = self.successors_of(shock)
        saved, value = self.capital(k, shock), 0.0
        for q in range(successors.weights.shape[1]):
            z, lift = successors.tfp[:, q], successors.lift[:, q]
            marginal = economy.gross_return(saved, z) * self._consumption(saved, z, lift) ** -gamma
            marginal = marginal - (1 - economy.depreciation) * self._multiplier(saved, z, lift)
            value = value + successors.weights[:, q] * marginal
        value = economy.discount_factor * value + self.multiplier(k, shock)
        return value ** (-1 / gamma) / self.consumption(k, shock) - 1

    def simulate(self, shock, start=None):
        """Capital [T] at the start of each period along the shock path [T], from `start` or the steady state."""
        z, weights = self.read(shock)
        k = np.empty(len(z))
        k[0] = self.economy.steady_capital() if start is None else start
        for t in range(len(z) - 1):
            now = slice(t, t + 1)
            k[t + 1] = (self.economy.cash(k[now], z[now]) - self._consumption(k[now], z[now], weights[now]))[0]
        return k

    @cached_property
    def _policy_spline(self):
        return CubicSpline(self.grid, self.log_policy, axis=1)

    @cached_property
    def _implied_spline(self):
        return CubicSpline(self.grid, self.log_implied, axis=1)

    def _consumption(self, k, z, weights):
        free = np.exp(self._blend(self._policy_spline, k, weights))
        return np.minimum(free, z * k**self.economy.capital_share) if self.economy.irreversible else free

    def _multiplier(self, k, z, weights):
        if not self.economy.irreversible:
            return np.zeros_like(k)
        gamma, kept = self.economy.risk_aversion, (1 - self.economy.depreciation) * k
        implied = np.exp(self._blend(self._implied_spline, kept, weights))
        c = self._consumption(k, z, weights)
        binds = np.exp(self._blend(self._policy_spline, k, weights)) > c
        return np.where(binds, c**-gamma - implied**-gamma, 0.0)

    def _blend(self, spline, k, weights):
        return np.einsum("mj,jm->m", weights, spline(np.log(k)))


def rouwenhorst(states, persistence, innovation_sd):
    """Chain for ln z' = rho ln z + sd eps, Rouwenhorst (1995) in Kopecky and Suen's (2010) recursion.

    Returns ln z [states], ascending, and the transition matrix [states, states], rows = from.
    """
    stay = (1 + persistence) / 2
    transition = np.array([[1.0]])
    for n in range(2, states + 1):
        wider = np.zeros((n, n))
        wider[:-1, :-1] += stay * transition
        wider[:-1, 1:] += (1 - stay) * transition
        wider[1:, :-1] += (1 - stay) * transition
        wider[1:, 1:] += stay * transition
        wider[1:-1] /= 2  # inner rows have been counted twice
        transition = wider
    width = innovation_sd * np.sqrt((states - 1) / (1 - persistence**2))
    return np.linspace(-width, width, states), transition


def solve_markov(economy, tfp, transition, nodes=600, span=(0.1, 6.0)):
    """Solution for TFP levels tfp [S] on a chain transition [S, S], rows = from.

    span: the grid's ends as multiples of the steady state's capital. ValueError if time iteration does not settle.
    """
    tfp, transition = np.asarray(tfp, float), np.asarray(transition, float)
    unit, states = np.eye(len(tfp)), len(tfp)

    def successors_of(shock):
        rows = np.asarray(shock)
        shape = (len(rows), states)
        return Successors(np.broadcast_to(tfp, shape), transition[rows], np.broadcast_to(unit, shape + (states,)))

    grid = np.log(economy.steady_capital() * np.geomspace(*span, nodes))
    found = _iterate(economy, tfp, successors_of(np.arange(states)), grid)
    return Solution(economy, grid, *found[:2], successors_of, lambda shock: (tfp[shock], unit[shock]), found[2])


def solve_ar1(economy, persistence, innovation_sd, nodes=400, degree=10, quadrature=9, deviations=6.0, span=(0.1, 8.0)):
    """Solution for Gaussian ln z: Chebyshev in ln z on +-`deviations` stationary deviations, splines in ln k.

    quadrature: Gauss-Hermite nodes. Successors of the outermost points lie beyond the last deviation and are
    extrapolated; clipped there instead, the kink would cost three digits inside. ValueError for the irreversible
    economy, whose kinks spoil a polynomial in ln z, and if time iteration does not settle.
    """
    if economy.irreversible:
        raise ValueError("solve_ar1: irreversible = True, expected False; use solve_markov")
    edge = deviations * innovation_sd / np.sqrt(1 - persistence**2)
    points = edge * chebyshev.chebpts1(degree + 1)
    inverse = np.linalg.inv(chebyshev.chebvander(points / edge, degree))
    eps, weight = hermite_e.hermegauss(quadrature)
    weight = weight / weight.sum()

    def lift(ln_z):
        return chebyshev.chebvander(ln_z / edge, degree) @ inverse

    def successors_of(ln_z):
        following = persistence * np.asarray(ln_z)[:, None] + innovation_sd * eps
        return Successors(np.exp(following), np.broadcast_to(weight, following.shape), lift(following))

    grid = np.log(economy.steady_capital() * np.geomspace(*span, nodes))
    found = _iterate(economy, np.exp(points), successors_of(points), grid)
    return Solution(economy, grid, *found[:2], successors_of, lambda ln_z: (np.exp(ln_z), lift(ln_z)), found[2])


def _iterate(economy, tfp, successors, grid, tolerance=1e-12, limit=5000):
    """ln c_unconstrained and ln G at the nodes, both [J, I], and the number of iterations."""
    gamma, z = economy.risk_aversion, tfp[:, None]
    k = np.exp(grid)
    log_cash = np.log(economy.cash(k, z))  # [J, I]
    gross = economy.gross_return(k, successors.tfp[:, :, None])  # [J, Q, I]
    log_policy = np.log(economy.cash(k, z) - (1 - economy.depreciation) * k) - 0.3  # a fixed share of output
    multiplier = np.zeros_like(log_policy)
    for iteration in range(1, limit + 1):
        log_c = np.minimum(log_policy, np.log(z * k**economy.capital_share)) if economy.irreversible else log_policy
        marginal = gross * np.exp(-gamma * _lift(successors, log_c))
        if economy.irreversible:
            marginal = marginal - (1 - economy.depreciation) * _lift(successors, multiplier)
        value = economy.discount_factor * np.einsum("jq,jqi->ji", successors.weights, marginal)
        log_implied = -np.log(value) / gamma
        endogenous = np.log(np.exp(log_implied) + k)  # ln cash at which k' is chosen
        rows = range(len(tfp))
        new = np.stack([CubicSpline(endogenous[j], log_implied[j])(log_cash[j]) for j in rows])
        if economy.irreversible:
            bound = z * k**economy.capital_share
            at_kept = np.exp(CubicSpline(grid, log_implied, axis=1)(np.log((1 - economy.depreciation) * k)))
            multiplier = np.where(np.exp(new) > bound, bound**-gamma - at_kept**-gamma, 0.0)
        change = np.abs(new - log_policy).max()
        log_policy = new
        if change < tolerance:
            return log_policy, log_implied, iteration
    raise ValueError(f"time iteration still moves by {change:.1e} after {limit} iterations; widen or refine the grid")


def _lift(successors, values):
    return np.einsum("jql,li->jqi", successors.lift, values)
