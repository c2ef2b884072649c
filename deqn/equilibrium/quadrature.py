"""Rules for expectations over normal shocks.

For e ~ N(0, I_d), independent standard normal,

    E[f(e)]  ~  sum_j weights[j] f(nodes[j]),    nodes [J, d], weights [J], sum(weights) = 1.

Correlated shocks with covariance S = C C' are `nodes @ C.T`. A rule costs J evaluations of next period's policy:

    gauss_hermite(n, d)     n^d         exact to degree 2 n - 1 in each shock
    monomial(d, degree=3)   2 d         exact to total degree 3
    monomial(d, degree=5)   2 d^2 + 1   exact to total degree 5
"""

from itertools import combinations, product

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

MAX_NODES = 1_000_000  # a product rule beyond this is a slip, and would not fit into memory as a batch


def gauss_hermite(nodes: int, dimensions: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The product Gauss-Hermite rule for d independent standard normal shocks.

    Exact for every product of powers up to 2 nodes - 1 of each shock (Judd 1998, Numerical Methods in Economics,
    section 7.2); nodes in the probabilists' scale, so that no sqrt(2) or sqrt(pi) is left to the caller.

    nodes: points per shock, >= 1. dimensions: d >= 1.
    Returns nodes [nodes^d, d], the last shock moving fastest, and weights [nodes^d], all positive.
    Raises ValueError outside these ranges and above a million nodes.
    """
    _at_least_one("gauss_hermite", nodes=nodes, dimensions=dimensions)
    if nodes**dimensions > MAX_NODES:
        raise ValueError(
            f"gauss_hermite: {nodes} nodes in each of {dimensions} dimensions make more than {MAX_NODES:,} in all; "
            "use fewer nodes or the monomial rule"
        )
    points, weights = hermegauss(nodes)
    weights = weights / weights.sum()  # their sum is sqrt(2 pi), the integral of exp(-x^2 / 2)
    grid = np.array(list(product(points, repeat=dimensions)))  # [J, d]
    joint = np.array(list(product(weights, repeat=dimensions))).prod(axis=1)  # [J]
    return grid, joint


def monomial(dimensions: int, degree: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A non-product rule for d independent standard normal shocks, exact to a total degree of 3 or 5.

        degree 3:  1/(2 d) at each +-sqrt(d) e_i
        degree 5:  2 / (d+2) at 0
                   (4-d) / (2 (d+2)^2) at each +-sqrt(d+2) e_i
                   1 / (d+2)^2 at each sqrt((d+2)/2) (+-e_i +- e_j), i < j

    with e_i the unit vectors (Stroud 1971, Approximate Calculation of Multiple Integrals, chapter 8; M1 and M2 of Judd,
    Maliar and Maliar 2011, Quantitative Economics 2, supplement). For d = 1 degree 5 is Gauss-Hermite with three nodes.

    For d > 4 degree 5 has negative weights: the "expectation" of a positive function such as marginal utility may then
    come out negative if the shocks are large; and both rules place nodes further out as d grows.

    dimensions: d >= 1. degree: 3 or 5.
    Returns nodes [2 d or 2 d^2 + 1, d] and weights [2 d or 2 d^2 + 1].
    Raises ValueError outside these ranges.
    """
    _at_least_one("monomial", dimensions=dimensions)
    units = np.eye(dimensions)
    axes = np.concatenate([units, -units])  # [2 d, d]
    if degree == 3:
        return np.sqrt(dimensions) * axes, np.full(2 * dimensions, 1 / (2 * dimensions))
    if degree != 5:
        raise ValueError(f"monomial: degree is {degree}, expected 3 or 5")
    diagonals = [
        s * units[i] + t * units[j]
        for i, j in combinations(range(dimensions), 2)
        for s, t in product((1, -1), repeat=2)
    ]
    corners = np.reshape(diagonals, (-1, dimensions))  # [2 d (d - 1), d]
    spread = dimensions + 2
    nodes = np.concatenate([np.zeros((1, dimensions)), np.sqrt(spread) * axes, np.sqrt(spread / 2) * corners])
    weights = np.concatenate(
        [
            [2 / spread],
            np.full(len(axes), (4 - dimensions) / (2 * spread**2)),
            np.full(len(corners), 1 / spread**2),
        ]
    )
    return nodes, weights


def _at_least_one(rule: str, **counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{rule}: {name} is {count}, expected at least 1")
