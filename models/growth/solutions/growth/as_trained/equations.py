r"""What the growth economies have in common: technology, preferences, and what a network's output means.

    c + a = y + (1-delta) k,   y = z k^alpha,   R = alpha y/k + 1 - delta,   u'(c) = c^-gamma
    u'(c) = beta E[ R' u'(c') ]

The network says by how much the log odds of a unit of cash, y + (1-delta) k, being consumed, not saved, differ from
those on the linear saddle path (`steady_state.py`):

    c = cash s,   ln s/(1-s) = ln s/(1-s) on the saddle path + output

so that 0 < c < cash whatever it says.
"""

from __future__ import annotations

import abc
import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, MarkovChain, Report
from deqn.equilibrium.markov import rouwenhorst
from deqn.project.errors import UserError

from .parameters import Parameters
from .steady_state import saddle_path, spread_of_capital, steady_state_of

_GOODS = "units of the good"
UNITS = {"capital": _GOODS, "savings": _GOODS, "consumption": f"{_GOODS} per period"}


class State(NamedTuple):
    capital: tf.Tensor  # [batch] k, at the start of the period
    shock: tf.Tensor  # [batch] index z of productivity, from 0


class Policy(NamedTuple):
    savings: tf.Tensor  # [batch] a = k'
    consumption: tf.Tensor  # [batch] c


class Goods(NamedTuple):
    """What there is at a state, each [batch]: y = z k^alpha, cash = y + (1-delta) k and R = alpha y/k + 1 - delta."""

    output: tf.Tensor
    cash: tf.Tensor
    gross_return: tf.Tensor


class GrowthEconomy(Economy):
    """The economies above; they differ in how productivity moves, and in their states.

    gamma: risk aversion, where all states have the same.
    """

    Parameters, Policy = Parameters, Policy

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        self.outputs = 1
        self.rule = SavingRule(parameters)

    @abc.abstractmethod
    def ln_z(self, state: Any) -> tf.Tensor:
        """Log productivity at each state, [batch]."""

    def risk_aversion(self, state: Any) -> Any:
        """gamma: a number, or [batch]."""
        return self.gamma

    def goods(self, state: Any) -> Goods:
        """Output, cash and gross return at each state."""
        k, alpha, delta = state.capital, self.p.capital_share, self.p.depreciation
        y = tf.exp(self.ln_z(state)) * k**alpha
        return Goods(y, y + (1 - delta) * k, alpha * y / k + 1 - delta)

    def shares_of_cash(self, output: tf.Tensor, state: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """What is consumed and what is saved, by the network's first output."""
        return self.rule.shares_of_cash(output[:, 0], state.capital, self.ln_z(state), self.risk_aversion(state))

    def policy(self, output: tf.Tensor, state: Any) -> Any:
        cash, (consumed, saved) = self.goods(state).cash, self.shares_of_cash(output, state)
        return Policy(savings=saved * cash, consumption=consumed * cash)

    def residuals(self, state: Any, policy: Any, E) -> dict[str, tf.Tensor]:
        """Relative Euler error in units of consumption (Judd 1992): u'^-1(beta E[R' u'(c')]) / c - 1, [batch]."""
        gamma = self.risk_aversion(state)
        value = self.p.discount_factor * E(lambda s, q: self.goods(s).gross_return * u_prime(q.consumption, gamma))
        return {"euler": u_prime_inverse(value, gamma) / policy.consumption - 1}

    def definitions(self, state: Any, policy: Any, E) -> dict[str, tf.Tensor]:
        at, investment = self.goods(state), policy.savings - (1 - self.p.depreciation) * state.capital
        return {"K": state.capital, "C": policy.consumption, "Y": at.output, "I": investment, "r": at.gross_return}

    def is_inside(self, state: Any) -> tf.Tensor:
        """Whether capital is between a tenth of the steady state's and ten times it."""
        ratio = state.capital / self.rule.steady.capital
        return (ratio > 0.1) & (ratio < 10)

    def initial_capital(self, gamma: Any, count: int, generator: np.random.Generator) -> np.ndarray:
        """[count] around the steady state, twice as spread as on the linear saddle path; the first is the steady state.

        gamma: a number or [count].
        """
        spread = np.minimum(2 * spread_of_capital(self.p, gamma), 0.5)
        deviation = spread * np.clip(generator.standard_normal(count), -3, 3)
        deviation[0] = 0.0
        return self.rule.steady.capital * np.exp(deviation)

    def check_states(self, state) -> Any:
        checked = super().check_states(state)
        if (checked.capital <= 0).any():
            bad = int(np.argmax(checked.capital <= 0))
            raise UserError(f"states: capital[{bad}] is {checked.capital[bad]:g}, expected above 0")
        return checked


class GrowthOnChain(GrowthEconomy):
    """Those whose ln z moves on a Rouwenhorst chain; the network sees ln k and has outputs for each value."""

    State = State
    report = Report(
        letters={"capital": "k", "shock": "z", "savings": "a", "consumption": "c"},
        units=UNITS,
        foreseen=["savings"],
        output="Y",
        aggregates={"Y": "output", "C": "consumption", "I": "investment", "K": "capital"},
        condition_names={"euler": "relative Euler error"},
    )

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        if parameters.states is None or parameters.nodes is not None:
            raise UserError("parameters: productivity moves on a chain here: give states (such as 5) and no nodes")
        self.log_productivity, transition = rouwenhorst(
            parameters.states, parameters.persistence, parameters.innovation_sd
        )
        self.shocks = MarkovChain(transition)

    def ln_z(self, state: Any) -> tf.Tensor:
        return self.by_shock(self.log_productivity, state.shock)

    def features(self, state: Any) -> tf.Tensor:
        return tf.math.log(state.capital)[:, None]

    def transition(self, state: Any, policy: Any, shock: tf.Tensor) -> Any:
        return state._replace(capital=policy.savings, shock=shock)

    def initial_states(self, count: int, generator: np.random.Generator) -> Any:
        """Capital around the steady state; the first is the steady state under the middle shock."""
        return State(self.initial_capital(self.gamma, count, generator), self.initial_shock(count, generator))

    def initial_shock(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """int32 [count] from the stationary distribution; the first is the middle one."""
        stationary = self.shocks.stationary
        shock = generator.choice(len(stationary), size=count, p=stationary)
        shock[0] = len(stationary) // 2
        return shock.astype(np.int32)

    def describe_shocks(self) -> list[str]:
        return [f"shock {z + 1}: ln productivity {value:.4g}" for z, value in enumerate(self.log_productivity)]


class SavingRule:
    """From the network's output to shares of cash, around the saddle path.

    At the steady state d ln s/(1-s) = (d ln c - d ln cash) / (1-s), and d ln cash = (R k d ln k + y d ln z) / cash.
    """

    def __init__(self, p: Parameters) -> None:
        self.p, self.steady = p, steady_state_of(p)
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


def u_prime(c: tf.Tensor, gamma: Any) -> tf.Tensor:
    """Marginal utility c^-gamma; gamma: a number or [batch]."""
    return c**-gamma


def u_prime_inverse(value: tf.Tensor, gamma: Any) -> tf.Tensor:
    return value ** (-1 / gamma)


def one_risk_aversion(p: Parameters) -> float:
    """gamma; UserError for an interval."""
    if isinstance(p.risk_aversion, tuple):
        raise UserError(
            f"parameters.risk_aversion: got {list(p.risk_aversion)}, expected a number (intervals: GrowthFamily)"
        )
    return p.risk_aversion
