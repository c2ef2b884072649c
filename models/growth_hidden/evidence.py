"""The same economy on a grid of capital and belief, for `deqn verify`: nothing of the economy's own code."""

import numpy as np

from .grid import HiddenGrowth, solve


def grid(parameters, state):
    """Consumption and savings of households that follow Bayes' rule."""
    solution = solved(parameters)
    capital, belief = np.asarray(state.capital), np.asarray(state.belief)
    return {"consumption": solution.consumption(capital, belief), "savings": solution.savings(capital, belief)}


def solved(parameters):
    """The solution for the parameters of a file."""
    p = parameters
    economy = HiddenGrowth(
        p.capital_share, p.discount_factor, p.depreciation, p.risk_aversion, tuple(p.growth), p.growth_sd,
        np.asarray(p.transition),
    )  # fmt: skip
    return solve(economy)
