"""The deterministic steady state: mean technology for ever. A first guess, not a solution."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from .parameters import Parameters


class SteadyState(NamedTuple):
    capital: np.ndarray  # [N] holdings at the start of the period, the first zero
    consumption: np.ndarray  # [N]


def steady_state_of(p: Parameters, stationary: np.ndarray) -> SteadyState:
    """Solves sum_h k^h(r(K), w(K)) = K for aggregate capital K; stationary: [S] weights of the technology's mean."""
    alpha, eta, delta = p.capital_share, stationary @ np.asarray(p.tfp), stationary @ np.asarray(p.depreciation)

    def at(K: float) -> SteadyState:
        return life_cycle(p, alpha * eta * K ** (alpha - 1) + 1 - delta, (1 - alpha) * eta * K**alpha)

    log_K = brentq(lambda log_K: np.log(at(np.exp(log_K)).capital.sum()) - log_K, -30.0, 30.0, xtol=1e-14)
    return at(np.exp(log_K))


def life_cycle(p: Parameters, r: float, w: float) -> SteadyState:
    """A life at constant prices: consumption grows by beta r, and its present value is the one wage."""
    ahead = np.arange(p.cohorts)
    consumption = w * (p.discount_factor * r) ** ahead / (p.discount_factor**ahead).sum()
    # What is held pays for the rest of life: r k^h = sum over j >= h of c^j / r^(j-h).
    paid = (consumption / r**ahead)[::-1].cumsum()[::-1] * r**ahead / r
    return SteadyState(capital=np.append(0.0, paid[1:]), consumption=consumption)
