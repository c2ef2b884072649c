"""The solution in closed form, for `deqn verify`: NumPy alone, nothing of the economy's own code."""

import numpy as np


def closed_form(parameters, state):
    """c = (1 - alpha beta) z k^alpha, a = alpha beta z k^alpha (Brock & Mirman 1972)."""
    alpha, beta = parameters.capital_share, parameters.discount_factor
    output = np.exp(parameters.log_productivity)[state.shock] * state.capital**alpha
    return {"savings": alpha * beta * output, "consumption": (1 - alpha * beta) * output}
