"""The deterministic steady state: mean technology for ever, no borrowing limit. A first guess, not a solution."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from .parameters import Parameters


class SteadyState(NamedTuple):
    """capital: [N] holdings at the start of the period. consumption: [N].

    propensity: [N] share of total wealth consumed. human_wealth: [N] value of later labour, in units of the wage.
    """

    capital: np.ndarray
    consumption: np.ndarray
    propensity: np.ndarray
    human_wealth: np.ndarray


def steady_state_of(p: Parameters, stationary: np.ndarray) -> SteadyState:
    """Solves sum_h k^h(r(K), w(K)) = K for aggregate capital K; stationary: [S] weights of the technology's mean."""
    labour = p.labour_endowments()
    supply = labour.sum()
    eta, delta = stationary @ np.asarray(p.tfp), stationary @ np.asarray(p.depreciation)

    def at(K: float) -> SteadyState:
        r = p.capital_share * eta * (K / supply) ** (p.capital_share - 1) + 1 - delta
        w = (1 - p.capital_share) * eta * (K / supply) ** p.capital_share
        return life_cycle(p, labour, r, w)

    upper = supply * (p.capital_share * eta / max(delta - 0.5, 0.02)) ** (1 / (1 - p.capital_share))
    K = brentq(lambda K: at(K).capital.sum() - K, 1e-4 * supply, max(upper, 10 * supply), xtol=1e-12)
    return at(K)


def life_cycle(p: Parameters, labour: np.ndarray, r: float, w: float) -> SteadyState:
    """A household's life at constant prices: consumption grows by g = (beta r)^(1/gamma)."""
    N, g = len(labour), (p.discount_factor * r) ** (1 / p.risk_aversion)
    ahead = np.arange(N)
    propensity = np.array([1 / ((g / r) ** ahead[: N - h]).sum() for h in range(N)])
    human_wealth = np.array([(labour[h + 1 :] / r ** ahead[1 : N - h]).sum() for h in range(N)])
    capital, consumption = np.zeros(N), np.zeros(N)
    for h in range(N):
        cash = r * capital[h] + w * labour[h]
        consumption[h] = propensity[h] * (cash + w * human_wealth[h])
        if h + 1 < N:
            capital[h + 1] = cash - consumption[h]
    return SteadyState(capital, consumption, propensity, human_wealth)
