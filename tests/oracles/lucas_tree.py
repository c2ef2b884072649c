r"""A Lucas tree with Epstein-Zin utility and long-run risk by Chebyshev collocation, in NumPy alone.

    ln g' = mu + x + sigma e1',   x' = rho x + phi sigma e2',   corr(e1, e2) = r
    v = [ (1 - beta) + beta m^(1-1/psi) ]^(1/(1-1/psi)),   m = E[ (v' g')^(1-gamma) ]^(1/(1-gamma))
    p = E[ beta g'^(-1/psi) (v' g'/m)^(1/psi-gamma) g' (1 + p') ]

ln v is a polynomial in x, found by iterating on its definition: a contraction of modulus about beta. Given v, p is
linear in itself, and found by solving for its values at the nodes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev, hermite_e


class Tree(NamedTuple):
    """Bansal and Yaron's (2004) monthly parameters."""

    beta: float = 0.998
    gamma: float = 10.0
    psi: float = 1.5
    mu: float = 0.0015
    sigma: float = 0.0078
    rho: float = 0.979
    phi: float = 0.044
    correlation: float = 0.0


@dataclass(frozen=True)
class Solution:
    """Functions of x [M]: `value`, v, and `price`, p."""

    edge: float
    log_value: np.ndarray  # Chebyshev coefficients on [-edge, edge]
    log_price: np.ndarray

    def value(self, x):
        return np.exp(chebyshev.chebval(np.asarray(x) / self.edge, self.log_value))

    def price(self, x):
        return np.exp(chebyshev.chebval(np.asarray(x) / self.edge, self.log_price))


def solve(tree, degree=14, quadrature=9, deviations=7.0, tolerance=1e-13):
    """quadrature: nodes of each innovation. deviations: half the interval of x in stationary deviations."""
    beta, gamma, psi, mu, sigma, rho, phi, r = tree
    edge = deviations * max(phi, 1e-6) * sigma / np.sqrt(1 - rho**2)
    x = edge * chebyshev.chebpts1(degree + 1)
    e, weight = hermite_e.hermegauss(quadrature)
    first, other = (each.ravel() for each in np.meshgrid(e, e, indexing="ij"))
    weight = np.outer(weight, weight).ravel() / weight.sum() ** 2  # [Q]
    log_g = mu + x[:, None] + sigma * first  # [I, Q]
    following = rho * x[:, None] + phi * sigma * (r * first + np.sqrt(1 - r**2) * other)
    lift = chebyshev.chebvander(following / edge, degree) @ np.linalg.inv(chebyshev.chebvander(x / edge, degree))
    power, log_v = 1 - 1 / psi, np.zeros_like(x)
    for _ in range(200_000):
        m = (np.exp((1 - gamma) * (lift @ log_v + log_g)) @ weight) ** (1 / (1 - gamma))
        new = np.log((1 - beta) + beta * m**power) / power
        change, log_v = np.abs(new - log_v).max(), new
        if change < tolerance:
            break
    else:
        raise ValueError(f"ln v still moves by {change:.1e}")
    paid = beta * np.exp(power * log_g) * (np.exp(lift @ log_v + log_g) / m[:, None]) ** (1 / psi - gamma) * weight
    price = np.linalg.solve(np.eye(len(x)) - np.einsum("iq,iqj->ij", paid, lift), paid.sum(axis=1))
    fit = np.linalg.inv(chebyshev.chebvander(x / edge, degree))
    return Solution(edge, fit @ log_v, fit @ np.log(price))
