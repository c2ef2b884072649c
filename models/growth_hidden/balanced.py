r"""Balanced growth without risk, and the linear saddle path around it: a first guess, not a solution.

With growth of G = e^g for ever and capital in units of productivity, capital left is a = G k' and

    G^gamma = beta R,   R = alpha y/k + 1 - delta,   cash = y + (1-delta) k = c + G k

With hats for log deviations chat = phi khat, where

    khat' = (R/G) khat - (c/(G k)) chat,   chat = chat' + tilt khat',   tilt = (1-alpha) alpha (y/k) / (R gamma)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .parameters import Parameters


class Balanced(NamedTuple):
    """In units of productivity. share: of cash that is consumed. slope: d ln(share/(1-share)) / d ln k."""

    capital: float
    consumption: float
    share: float
    slope: float


def balanced_growth(p: Parameters, stationary: np.ndarray) -> Balanced:
    """stationary: [2] the share of time in each regime, whose mean growth is taken for certain."""
    G = math.exp(stationary @ np.asarray(p.growth))
    R = G**p.risk_aversion / p.discount_factor
    k = (p.capital_share / (R - 1 + p.depreciation)) ** (1 / (1 - p.capital_share))
    y = k**p.capital_share
    cash = y + (1 - p.depreciation) * k
    c = cash - G * k
    tilt = (1 - p.capital_share) * p.capital_share * y / k / R / p.risk_aversion
    # phi = (phi + tilt) (R/G - (c/(G k)) phi)
    leak = c / (G * k)
    linear = 1 - R / G + leak * tilt
    phi = (-linear + (linear**2 + 4 * leak * tilt * R / G) ** 0.5) / (2 * leak)
    return Balanced(k, c, c / cash, (phi - R * k / cash) / (1 - c / cash))
