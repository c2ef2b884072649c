"""The solution in closed form, for `deqn verify`: NumPy alone, nothing of the economy's own code."""

import numpy as np


def closed_form(parameters, state):
    """Nobody trades: age h saves a fixed share of its wealth, all in capital; the bond's price follows from that.

    With log utility and one mix for everybody c' is proportional to R', so that p = K'^(1 - alpha) E[1/z'] / alpha.
    """
    p = parameters
    N, beta, alpha = p.cohorts, p.discount_factor, p.capital_share
    z, total = np.asarray(p.tfp), state.capital.sum(axis=1, keepdims=True)
    output = z[state.shock][:, None] * total**alpha
    wealth = np.hstack([(1 - alpha) * output, alpha * output / total * state.capital[:, 1:] + state.bonds[:, 1:]])
    left = np.arange(N - 1, -1, -1)  # periods of life after this one
    share = np.array([(beta ** np.arange(1, n + 1)).sum() / (beta ** np.arange(n + 1)).sum() for n in left])
    saved = (share * wealth)[:, :-1]
    inverse_return = saved.sum(axis=1, keepdims=True) ** (1 - alpha) / (alpha * z)
    price = (np.asarray(p.transition)[state.shock] * inverse_return).sum(axis=1)
    return {
        "savings": saved,
        "bonds_bought": np.zeros_like(saved),
        "consumption": (1 - share) * wealth,
        "price": price,
    }
