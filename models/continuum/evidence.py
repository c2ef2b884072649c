"""The same economy on grids, for `deqn verify`: NumPy and SciPy, nothing of the economy's own code."""

import numpy as np

from .grid import Continuum, approximate, stationary, wealth_grid


def grid(parameters, state):
    """Consumption, savings and value [M, nodes, types] at the nodes of wealth, and the price [M]."""
    p, solution = parameters, solved(parameters)
    wealth, bins = wealth_grid(p.nodes, p.richest, 3.0), wealth_grid(p.bins, p.richest, 1.0)
    found, price = [], []
    for histogram, z in zip(np.asarray(state.histogram), np.asarray(state.shock), strict=True):
        x = solution.moment(histogram.T, bins)
        price.append(solution.clearing(histogram.T, bins, z, x))
        found.append(solution.decisions(wealth, z, x, price[-1]))
    c, v, a = np.moveaxis(np.array(found), 1, 0).swapaxes(2, 3)
    return {"consumption": c, "savings": a, "value": v, "price": np.array(price)}


def solved(parameters, periods=2000, seed=0):
    """The solution for the parameters of a file; with aggregate risk from a path of so many periods."""
    p, economy = parameters, economy_of(parameters)
    if len(p.income) == 1:
        return stationary(economy, bins=p.bins, richest=p.richest)
    return approximate(economy, start(p), drawn(economy.chain, periods, seed), wealth_grid(p.bins, p.richest, 1.0))[0]


def economy_of(parameters):
    """The constants of a file's economy."""
    p = parameters
    return Continuum(
        p.discount_factor, p.risk_aversion, p.inverse_substitution, np.array(p.income), np.array(p.transition),
        np.array(p.labour), np.array(p.labour_transition), p.supply,
    )  # fmt: skip


def start(parameters):
    """A histogram [S, J] at which paths begin: that of the economy at rest, with the mean income for ever."""
    economy = economy_of(parameters)
    often = np.linalg.matrix_power(economy.chain, 1 << 12)[0]
    calm = economy._replace(income=np.array([often @ economy.income]), chain=np.ones((1, 1)))
    return stationary(calm, nodes=500, bins=parameters.bins, richest=parameters.richest).histogram


def drawn(chain, periods, seed):
    """A path of z, from 0, which begins with 0."""
    uniform, ends = np.random.default_rng(seed).uniform(size=periods), np.cumsum(chain, axis=1)
    z = np.zeros(periods, int)
    for t in range(1, periods):
        z[t] = np.searchsorted(ends[z[t - 1]], uniform[t])
    return z
