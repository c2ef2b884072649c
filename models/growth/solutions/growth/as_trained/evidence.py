"""The same economy on a grid, for `deqn verify`: NumPy and SciPy, nothing of the economy's own code."""

import numpy as np

from .grid import Growth, rouwenhorst, solve_markov


def grid(parameters, state):
    """Savings and consumption by time iteration with endogenous grid points."""
    solution = solved(parameters)
    capital, shock = np.asarray(state.capital), np.asarray(state.shock)
    return {"savings": solution.capital(capital, shock), "consumption": solution.consumption(capital, shock)}


def solved(parameters, irreversible=False):
    """The solution on the chain of the file."""
    p = parameters
    ln_z, transition = rouwenhorst(p.states, p.persistence, p.innovation_sd)
    economy = Growth(p.capital_share, p.discount_factor, p.depreciation, p.risk_aversion, irreversible)
    return solve_markov(economy, np.exp(ln_z), transition)
