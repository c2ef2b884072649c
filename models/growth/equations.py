r"""What the growth economies have in common: technology, preferences, and what a network's output means.

    y = z k^alpha,   cash = y + (1-delta) k,   R = alpha y/k + 1 - delta,   u'(c) = c^-gamma

The network says by how much the log odds of a unit of cash being consumed, not saved, differ from those on the linear
saddle path (`steady_state.py`):

    c = cash s,   ln s/(1-s) = ln s/(1-s) on the saddle path + output

so that 0 < c < cash whatever it says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import MarkovChain
from deqn.project.errors import UserError

from .parameters import Parameters
from .steady_state import saddle_path, spread_of_capital, steady_state

UNITS = {"capital": "units of the good", "savings": "units of the good", "consumption": "units of the good per period"}


class Goods(NamedTuple):
    """What there is at a state, each [batch]: y = z k^alpha, cash = y + (1-delta) k and R = alpha y/k + 1 - delta."""

    output: tf.Tensor
    cash: tf.Tensor
    gross_return: tf.Tensor


def goods(p: Parameters, capital: tf.Tensor, log_productivity: tf.Tensor) -> Goods:
    """capital: [batch] k. log_productivity: [batch] ln z."""
    y = tf.exp(log_productivity) * capital**p.capital_share
    return Goods(y, y + (1 - p.depreciation) * capital, p.capital_share * y / capital + 1 - p.depreciation)


class SavingRule:
    """From the network's output to shares of cash, around the saddle path.

    At the steady state d ln s/(1-s) = (d ln c - d ln cash) / (1-s), and d ln cash = (R k d ln k + y d ln z) / cash.
    """

    def __init__(self, p: Parameters) -> None:
        self.p, self.steady = p, steady_state(p)
        k, y, c = self.steady
        self.cash = y + (1 - p.depreciation) * k
        self.share = c / self.cash

    def shares_of_cash(
        self, output: tf.Tensor, capital: tf.Tensor, log_productivity: tf.Tensor, gamma: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What is consumed and what is saved, s and 1 - s, each [batch]; gamma: a number or [batch]."""
        k, y, _ = self.steady
        path = saddle_path(self.p, gamma)
        by_capital = (path.phi - k / self.p.discount_factor / self.cash) / (1 - self.share)
        by_productivity = (path.psi - y / self.cash) / (1 - self.share)
        odds = math.log(self.share / (1 - self.share)) + by_capital * tf.math.log(capital / k)
        odds = odds + by_productivity * log_productivity + output
        # Not 1 - s, which would lose digits where little is saved.
        return tf.sigmoid(odds), tf.sigmoid(-odds)


def utility(c: tf.Tensor, gamma: float) -> tf.Tensor:
    """u(c) = (c^(1-gamma) - 1) / (1-gamma), ln c where gamma is 1."""
    return tf.math.log(c) if gamma == 1 else (c ** (1 - gamma) - 1) / (1 - gamma)


def u_prime(c: tf.Tensor, gamma: Any) -> tf.Tensor:
    """Marginal utility c^-gamma; gamma: a number or [batch]."""
    return c**-gamma


def u_prime_inverse(value: tf.Tensor, gamma: Any) -> tf.Tensor:
    return value ** (-1 / gamma)


def euler_error(p: Parameters, gamma: Any, goods_at: Callable[[Any], Goods], policy: Any, E: Any) -> tf.Tensor:
    """Relative Euler error in units of consumption (Judd 1992): u'^-1(beta E[R' u'(c')]) / c - 1, [batch]."""
    value = p.discount_factor * E(lambda s, q: goods_at(s).gross_return * u_prime(q.consumption, gamma))
    return u_prime_inverse(value, gamma) / policy.consumption - 1


def definitions(p: Parameters, state: Any, policy: Any, at: Goods) -> dict[str, tf.Tensor]:
    """K, C, Y, I and the gross return r, each [batch]."""
    investment = policy.savings - (1 - p.depreciation) * state.capital
    return {"K": state.capital, "C": policy.consumption, "Y": at.output, "I": investment, "r": at.gross_return}


def initial_capital(p: Parameters, gamma: Any, count: int, generator: np.random.Generator) -> np.ndarray:
    """[count] around the steady state, twice as spread as on the linear saddle path; the first is the steady state.

    gamma: a number or [count].
    """
    spread = np.minimum(2 * spread_of_capital(p, gamma), 0.5)
    deviation = spread * np.clip(generator.standard_normal(count), -3, 3)
    deviation[0] = 0.0
    return steady_state(p).capital * np.exp(deviation)


def initial_shock(chain: MarkovChain, count: int, generator: np.random.Generator) -> np.ndarray:
    """int32 [count] from the stationary distribution; the first is the middle one."""
    shock = generator.choice(len(chain.stationary), size=count, p=chain.stationary)
    shock[0] = len(chain.stationary) // 2
    return shock.astype(np.int32)


def is_inside(rule: SavingRule, state: Any) -> tf.Tensor:
    """Whether capital is between a tenth of the steady state's and ten times it, bool [batch]."""
    ratio = state.capital / rule.steady.capital
    return (ratio > 0.1) & (ratio < 10)


def with_capital(state: Any) -> Any:
    """A user's states, if there is capital in all of them; UserError otherwise."""
    if (state.capital <= 0).any():
        bad = int(np.argmax(state.capital <= 0))
        raise UserError(f"states: capital[{bad}] is {state.capital[bad]:g}, expected above 0")
    return state


# --- what each economy takes from the parameters --------------------------------------------------------------------


def states_of_chain(p: Parameters) -> int:
    """The number of values of productivity; UserError if the file speaks of an AR(1)."""
    if p.states is None or p.nodes is not None:
        raise UserError("parameters: productivity moves on a chain here: give states (such as 5) and no nodes")
    return p.states


def nodes_of_quadrature(p: Parameters) -> int:
    """The number of Gauss-Hermite nodes; UserError if the file speaks of a chain."""
    if p.nodes is None or p.states is not None:
        raise UserError("parameters: productivity is an AR(1) here: give nodes (such as 7) and no states")
    return p.nodes


def one_risk_aversion(p: Parameters) -> float:
    """gamma; UserError for an interval."""
    if isinstance(p.risk_aversion, tuple):
        raise UserError(
            f"parameters.risk_aversion: got {list(p.risk_aversion)}, expected a number (intervals: GrowthFamily)"
        )
    return p.risk_aversion


def interval_of_risk_aversion(p: Parameters) -> tuple[float, float]:
    """The lowest and the highest gamma; UserError for a single number."""
    if not isinstance(p.risk_aversion, tuple):
        raise UserError(f"parameters.risk_aversion: got {p.risk_aversion:g}, expected an interval [lowest, highest]")
    return p.risk_aversion


def describe_chain(log_productivity: np.ndarray) -> list[str]:
    """A name for each value of productivity."""
    return [f"shock {z + 1}: ln productivity {value:.4g}" for z, value in enumerate(log_productivity)]
