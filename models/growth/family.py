r"""Stochastic growth for an interval of risk aversion at once: gamma is a state that never moves.

    c + a = z k^alpha + (1-delta) k
    u'(c) = beta E[ R' u'(c') ],   u'(c) = c^-gamma,   gamma' = gamma

One network then gives the policies for every gamma in the interval: comparative statics without solving anew. Each
simulated path keeps its gamma; paths begin evenly over the interval. Otherwise all is as in `economy.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, MarkovChain
from deqn.equilibrium.markov import rouwenhorst
from deqn.project.errors import UserError

from . import equations
from .parameters import Parameters


class State(NamedTuple):
    capital: tf.Tensor  # [batch] k, at the start of the period
    risk_aversion: tf.Tensor  # [batch] gamma, the same for ever
    shock: tf.Tensor  # [batch] index z of productivity, from 0


class Policy(NamedTuple):
    savings: tf.Tensor  # [batch] a = k'
    consumption: tf.Tensor  # [batch] c


class GrowthFamily(Economy):
    """The economies above; the network sees ln k and gamma and has one output for each value of productivity."""

    Parameters, State, Policy = Parameters, State, Policy
    letters = {"capital": "k", "risk_aversion": "gamma", "shock": "z", "savings": "a", "consumption": "c"}
    units = equations.UNITS

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        self.interval = equations.interval_of_risk_aversion(parameters)
        states = equations.states_of_chain(parameters)
        self.log_productivity, transition = rouwenhorst(states, parameters.persistence, parameters.innovation_sd)
        self.shocks = MarkovChain(transition)
        self.outputs = 1
        self.rule = equations.SavingRule(parameters)

    def goods(self, state: State) -> equations.Goods:
        """Output, cash and gross return at each state."""
        return equations.goods(self.p, state.capital, self.by_shock(self.log_productivity, state.shock))

    def features(self, state: State) -> tf.Tensor:
        """ln k, in standard deviations, and gamma from -1 to 1 over the interval."""
        low, high = self.interval
        spread = float(np.mean(equations.spread_of_capital(self.p, np.array(self.interval))))
        ln_k = tf.math.log(state.capital / self.rule.steady.capital) / spread
        return tf.stack([ln_k, (2 * state.risk_aversion - low - high) / (high - low)], axis=1)

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        cash, ln_z = self.goods(state).cash, self.by_shock(self.log_productivity, state.shock)
        consumed, saved = self.rule.shares_of_cash(output[:, 0], state.capital, ln_z, state.risk_aversion)
        return Policy(savings=saved * cash, consumption=consumed * cash)

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        return State(capital=policy.savings, risk_aversion=state.risk_aversion, shock=shock)

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        return {"euler": equations.euler_error(self.p, state.risk_aversion, self.goods, policy, E)}

    def definitions(self, state: State, policy: Policy) -> dict[str, tf.Tensor]:
        return equations.definitions(self.p, state, policy, self.goods(state))

    def is_inside(self, state: State) -> tf.Tensor:
        return equations.is_inside(self.rule, state)

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """gamma evenly over the interval in order, but for the first state, at the middle and in the steady state."""
        low, high = self.interval
        gamma = np.concatenate([[(low + high) / 2], np.linspace(low, high, count - 1)])
        capital = equations.initial_capital(self.p, gamma, count, generator)
        return State(capital, gamma, equations.initial_shock(self.shocks, count, generator))

    def check_states(self, state) -> State:
        checked = equations.with_capital(super().check_states(state))
        low, high = self.interval
        outside = (checked.risk_aversion < low) | (checked.risk_aversion > high)
        if outside.any():
            bad = int(np.argmax(outside))
            raise UserError(
                f"states: risk_aversion[{bad}] is {checked.risk_aversion[bad]:g}, expected {low:g} to {high:g}, for "
                "which the network is trained"
            )
        return checked

    def describe_shocks(self) -> list[str]:
        return equations.describe_chain(self.log_productivity)
