"""The solution in closed form, for `deqn verify`: NumPy alone, nothing of the economy's own code."""

import numpy as np


def closed_form(parameters, state):
    """Age h of N saves (beta + ... + beta^(N-h)) / (1 + ... + beta^(N-h)) of its cash (AGS22, appendix A.8)."""
    N, beta, alpha = parameters.cohorts, parameters.discount_factor, parameters.capital_share
    total = state.capital.sum(axis=1, keepdims=True)
    output = np.asarray(parameters.tfp)[state.shock][:, None] * total**alpha
    gross_return = alpha * output / total + 1 - np.asarray(parameters.depreciation)[state.shock][:, None]
    cash = np.hstack([(1 - alpha) * output, gross_return * state.capital[:, 1:]])
    left = np.arange(N - 1, -1, -1)  # periods of life after this one
    share = np.array([(beta ** np.arange(1, n + 1)).sum() / (beta ** np.arange(n + 1)).sum() for n in left])
    return {"savings": (share * cash)[:, :-1], "consumption": (1 - share) * cash}
