"""Irreversible investment on a grid, for `deqn verify`: NumPy and SciPy, nothing of the economy's own code."""

import numpy as np

from .evidence import solved


def grid(parameters, state):
    """Savings and consumption by time iteration with endogenous grid points; investment cannot be undone."""
    solution = solved(parameters, irreversible=True)
    capital, shock = np.asarray(state.capital), np.asarray(state.shock)
    return {"savings": solution.capital(capital, shock), "consumption": solution.consumption(capital, shock)}
