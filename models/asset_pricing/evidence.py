"""What the tree pays and how it is discounted, for `deqn verify`: NumPy alone, nothing of the economy's own code."""

import numpy as np


def paid(parameters, state, policy, next_state, next_policy):
    """p = E[ D' (1 + p') ] with D' = beta g'^(1 - 1/psi) (v' g' / m)^(1/psi - gamma); m is what v says it is."""
    beta, gamma, psi = parameters.discount_factor, parameters.risk_aversion, parameters.substitution
    growth, power = np.exp(next_state.growth), 1 - 1 / psi
    m = ((policy.value**power - (1 - beta)) / beta) ** (1 / power)
    discount = beta * growth**power * (next_policy.value * growth / m) ** (1 / psi - gamma)
    return {"price": (discount, discount)}
