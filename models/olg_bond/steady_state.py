"""Capital by age without risk, costs and bonds: where the network's answers begin. A first guess, not a solution."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from .parameters import Parameters


def first_guess(p: Parameters, stationary: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Capital by cohort [N], the share of cash on hand that each of [N-1] saves, and the gross return.

    Every household saves by mean technology for ever, and not less than nothing. stationary: [S] weights of the mean.
    """
    labour = p.labour_endowments()
    supply, alpha = labour.sum(), p.capital_share
    eta, delta = stationary @ np.asarray(p.tfp), stationary @ np.asarray(p.depreciation)

    def at(K: float) -> tuple[np.ndarray, np.ndarray, float]:
        r = alpha * eta * (K / supply) ** (alpha - 1) + 1 - delta
        return *_life(p, labour, r, (1 - alpha) * eta * (K / supply) ** alpha), r

    K = brentq(lambda K: at(K)[0].sum() - K, 1e-4 * supply, 1e3 * supply, xtol=1e-12)
    return at(K)


def _life(p: Parameters, labour: np.ndarray, r: float, w: float) -> tuple[np.ndarray, np.ndarray]:
    """Capital and shares saved at constant prices: consumption grows by g = (beta r)^(1/gamma)."""
    N, g = len(labour), (p.discount_factor * r) ** (1 / p.risk_aversion)
    ahead = np.arange(N)
    capital, share = np.zeros(N), np.zeros(N - 1)
    for h in range(N - 1):
        propensity = 1 / ((g / r) ** ahead[: N - h]).sum()
        human_wealth = w * (labour[h + 1 :] / r ** ahead[1 : N - h]).sum()
        cash = r * capital[h] + w * labour[h]
        capital[h + 1] = max(cash - propensity * (cash + human_wealth), 0.02 * cash)
        share[h] = capital[h + 1] / cash
    return capital, share
