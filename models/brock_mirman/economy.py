r"""Stochastic growth with log utility and full depreciation (Brock & Mirman 1972, J. Economic Theory 4).

A planner with output y = z k^alpha consumes c and saves a = k':

    c + a = y
    1 / c = beta E[ r' / c' ],   r' = alpha z' a^(alpha-1)

Its solution is known: c = (1 - alpha beta) y. The network does not: it sees k alone, has one output for each shock, and
says how much the planner would consume were output no limit,

    c_u = exp(output),   1 / c = 1 / c_u + 1 / y,

so that 0 < c < y whatever it says. At the solution c_u is proportional to z k^alpha: that curve is what it has to
learn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, MarkovChain, Report
from deqn.project.errors import UserError

from .parameters import Parameters

_GOODS = "units of the good"


class State(NamedTuple):
    capital: tf.Tensor  # [batch] k, at the start of the period
    shock: tf.Tensor  # [batch] index z of productivity, from 0


class Policy(NamedTuple):
    savings: tf.Tensor  # [batch] a = k'
    consumption: tf.Tensor  # [batch] c


class BrockMirman(Economy):
    """The economy above for any chain of productivity."""

    Parameters, State, Policy = Parameters, State, Policy
    report = Report(
        letters={"capital": "k", "shock": "z", "savings": "a", "consumption": "c"},
        units={"capital": _GOODS, "savings": _GOODS, "consumption": f"{_GOODS} per period"},
        foreseen=["savings"],
        output="Y",
        aggregates={"Y": "output", "C": "consumption", "I": "investment", "K": "capital"},
        condition_names={"euler": "relative Euler error"},
    )

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        self.shocks = MarkovChain(parameters.transition)
        self.outputs = 1
        self.productivity = np.exp(parameters.log_productivity)  # [S]

    def output(self, state: State) -> tf.Tensor:
        """y = z k^alpha, [batch]."""
        return self.by_shock(self.productivity, state.shock) * state.capital**self.p.capital_share

    def gross_return(self, state: State) -> tf.Tensor:
        """r = alpha z k^(alpha-1), [batch]."""
        return self.p.capital_share * self.output(state) / state.capital

    def features(self, state: State) -> tf.Tensor:
        return state.capital[:, None]

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        y, unlimited = self.output(state), tf.exp(output[:, 0])
        c = unlimited * y / (unlimited + y)
        # Not y - c, which would lose digits where little is saved: with 1/c = 1/c_u + 1/y this is the same number.
        return Policy(savings=y * y / (unlimited + y), consumption=c)

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        return State(capital=policy.savings, shock=shock)

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Relative Euler error in units of consumption (Judd 1992): 1 / (beta E[r' / c']) / c - 1."""
        value = self.p.discount_factor * E(lambda s, q: self.gross_return(s) / q.consumption)
        return {"euler": 1 / (value * policy.consumption) - 1}

    def definitions(self, state: State, policy: Policy) -> dict[str, tf.Tensor]:
        y = self.output(state)
        return {"K": state.capital, "C": policy.consumption, "Y": y, "I": policy.savings, "r": self.gross_return(state)}

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """Capital between where the lowest and the highest shock for ever would lead, and 5 % beyond.

        The first state is where k = (alpha beta z)^(1/(1-alpha)) stays if the first shock lasts.
        """
        alpha, beta = self.p.capital_share, self.p.discount_factor
        steady = (alpha * beta * self.productivity) ** (1 / (1 - alpha))  # [S]
        capital = generator.uniform(0.95 * steady.min(), 1.05 * steady.max(), count)
        shock = generator.choice(len(steady), size=count, p=self.shocks.stationary)
        capital[0], shock[0] = steady[0], 0
        return State(capital, shock.astype(np.int32))

    def check_states(self, state) -> State:
        checked = super().check_states(state)
        if (checked.capital <= 0).any():
            bad = int(np.argmax(checked.capital <= 0))
            raise UserError(f"states: capital[{bad}] is {checked.capital[bad]:g}, expected above 0")
        return checked

    def describe_shocks(self) -> list[str]:
        return [f"shock {z + 1}: ln productivity {value:g}" for z, value in enumerate(self.p.log_productivity)]
