"""The same household by endogenous grid points, for `deqn verify`: NumPy, nothing of the economy's own code."""

import numpy as np

from .grid import Household, mean_one, rouwenhorst, solve


def grid(parameters, state):
    """Consumption and savings."""
    solution = solve(household(parameters))
    wealth, shock = np.asarray(state.wealth), np.asarray(state.shock)
    return {"consumption": solution.consumption(wealth, shock), "savings": solution.savings(wealth, shock)}


def household(parameters):
    """The household of a file's parameters."""
    p = parameters
    log_income, transition = rouwenhorst(p.states, p.persistence, p.innovation_sd)
    income = mean_one(log_income, transition)
    return Household(p.discount_factor, p.risk_aversion, p.gross_return, income, transition, p.borrowing_limit)
