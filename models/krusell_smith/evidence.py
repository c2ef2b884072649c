"""The same economies on grids, for `deqn verify`: NumPy and SciPy, nothing of the economy's own code."""

import numpy as np

from .grid import Stationary, krusell_smith, stationary, wealth_grid, with_labour, with_unemployment


def grid(parameters, state):
    """Consumption and savings [M, nodes, types] at the nodes of wealth; without aggregate risk, those at rest."""
    p, solution = parameters, solved(parameters)
    wealth = wealth_grid(p.nodes, p.richest, 3.0)
    histogram = np.asarray(state.histogram)
    capital = np.einsum("mjs,j->m", histogram, wealth_grid(p.bins, p.richest, 1.5))
    z = np.asarray(state.shock)
    R, w = solution.economy.prices(capital, z)
    cash = R[:, None, None] * wealth[:, None] + w[:, None, None] * solution.economy.income[z][:, None]
    if isinstance(solution, Stationary):
        c = np.repeat(solution.consumption(wealth).T[None], len(z), axis=0)
        return {"consumption": c, "savings": cash - c}
    savings = np.stack([solution.savings_at(wealth, K, shock).T for K, shock in zip(capital, z, strict=True)])
    return {"consumption": cash - savings, "savings": savings}


def solved(parameters, quarters=11_000, seed=0):
    """The solution for the parameters of a file; of Krusell and Smith's economy from a path of so many quarters."""
    p = parameters
    economy = economy_of(p)
    if not hasattr(p, "unemployment"):
        return stationary(economy, nodes=1000, bins=p.bins, richest=p.richest, power=1.5)
    shocks = drawn(economy.chain, quarters, seed)
    return krusell_smith(economy, lognormal(economy, p.bins, p.richest), shocks, bins=p.bins, richest=p.richest)


def economy_of(parameters):
    """The constants of a file's economy."""
    p = parameters
    common = (p.discount_factor, p.risk_aversion, p.capital_share, p.depreciation)
    if not hasattr(p, "unemployment"):
        return with_labour(*common, p.types, p.persistence, p.labour_sd)
    return with_unemployment(
        *common, p.productivity, np.array(p.transition), p.hours, p.unemployment, p.stays, p.benefit
    )


def drawn(chain, quarters, seed):
    """A path of z, from 0, which begins with 0."""
    uniform, ends = np.random.default_rng(seed).uniform(size=quarters), np.cumsum(chain, axis=1)
    z = np.zeros(quarters, int)
    for t in range(1, quarters):
        z[t] = np.searchsorted(ends[z[t - 1]], uniform[t])
    return z


def lognormal(economy, bins, richest, spread=0.35):
    """A histogram [S, bins] at which a path may begin under z = 0: lognormal, mean as without risk, types as in z."""
    beta, alpha = economy.discount_factor, economy.capital_share
    ratio = (alpha * economy.productivity.mean() / (1 / beta - 1 + economy.depreciation)) ** (1 / (1 - alpha))
    mean = ratio * economy.labour.mean()
    wealth = wealth_grid(bins, richest, 1.5)
    place = np.log(np.maximum(wealth, 1e-3 * mean) / mean) + spread**2 / 2
    mass = np.exp(-0.5 * (place / spread) ** 2) * np.gradient(wealth) / np.maximum(wealth, 1e-3 * mean)
    shares = np.linalg.matrix_power(economy.types[0, 0], 1 << 12)[0]
    return shares[:, None] * mass / mass.sum()
