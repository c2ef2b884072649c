r"""The deterministic steady state and the linear saddle path around it: a first guess, not a solution.

    1 = beta R,   R = alpha y/k + 1 - delta,   c = y - delta k                                  (z = 1 for ever)

With hats for log deviations, budget and Euler equation are to first order

    khat' = khat / beta + (y/k) ln z - (c/k) chat
    chat  = E[chat'] - (eta / gamma) (rho ln z - (1-alpha) khat'),        eta = alpha beta y / k,

and chat = phi khat + psi ln z solves them: phi is the positive root of a quadratic, psi follows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .parameters import Parameters


class SteadyState(NamedTuple):
    """Units of the good (per period for output and consumption)."""

    capital: float
    output: float
    consumption: float


class SaddlePath(NamedTuple):
    """chat = phi khat + psi ln z and khat' = stay khat + push ln z; numbers, or one for each risk aversion given."""

    phi: Any
    psi: Any
    stay: Any
    push: Any


def steady_state_of(p: Parameters) -> SteadyState:
    """The steady state of productivity z = 1."""
    k = (p.capital_share / (1 / p.discount_factor - 1 + p.depreciation)) ** (1 / (1 - p.capital_share))
    y = k**p.capital_share
    return SteadyState(k, y, y - p.depreciation * k)


def saddle_path(p: Parameters, risk_aversion: Any) -> SaddlePath:
    """The linear saddle path; risk_aversion: a number, an array or a tensor of any shape, which the answer takes."""
    k, y, c = steady_state_of(p)
    beta, rho = p.discount_factor, p.persistence
    pull = p.capital_share * beta * y / k / risk_aversion  # eta / gamma
    tilt = (1 - p.capital_share) * pull
    # phi = (phi + tilt) (1/beta - (c/k) phi)
    linear = 1 - 1 / beta + c / k * tilt
    phi = (-linear + (linear**2 + 4 * c / k * tilt / beta) ** 0.5) / (2 * c / k)
    # psi = (phi + tilt) (y/k - (c/k) psi) + rho (psi - pull)
    psi = ((phi + tilt) * y / k - rho * pull) / (1 - rho + (phi + tilt) * c / k)
    return SaddlePath(phi, psi, 1 / beta - c / k * phi, y / k - c / k * psi)


def spread_of_capital(p: Parameters, risk_aversion: Any) -> Any:
    """The standard deviation of ln k on the linear saddle path."""
    path, rho = saddle_path(p, risk_aversion), p.persistence
    variance = p.innovation_sd**2 / (1 - rho**2)
    share = (1 + path.stay * rho) / (1 - path.stay * rho)
    return path.push * (variance * share / (1 - path.stay**2)) ** 0.5
