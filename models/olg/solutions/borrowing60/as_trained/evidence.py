"""The same economy on a grid, for `deqn verify`: NumPy and SciPy, nothing of the economy's own code."""

import numpy as np

from .grid import Economy, solve

_NODES = {3: (120, 80), 4: (50, 26, 26)}  # of each coordinate of the distribution of wealth, by number of cohorts


def grid(parameters, state):
    """Consumption and savings by time iteration, where three or four cohorts leave a grid that can be searched."""
    p = parameters
    if p.cohorts not in _NODES:
        return f"a grid is possible with 3 or 4 cohorts, not with {p.cohorts}"
    economy = Economy(
        tuple(p.labour_endowments()), p.discount_factor, p.risk_aversion, p.capital_share, p.borrowing_limit,
        tuple(p.tfp), tuple(p.depreciation), np.asarray(p.transition),
    )  # fmt: skip
    solution = solve(economy, _NODES[p.cohorts])
    capital, shock = np.asarray(state.capital), np.asarray(state.shock)
    return {"consumption": solution.consumption(capital, shock), "savings": solution.savings(capital, shock)}
