r"""Stochastic growth with partial depreciation and a chain of productivity.

A planner with capital k and productivity z consumes c and saves a = k':

    c + a = z k^alpha + (1-delta) k
    u'(c) = beta E[ R' u'(c') ],   R = alpha z k^(alpha-1) + 1 - delta,   u'(c) = c^-gamma

ln z moves on a Rouwenhorst chain. Beside it, with the same technology: `ar1.py`, a continuous ln z; `irreversible.py`,
investment that cannot be undone; `family.py`, one network for an interval of gamma.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, MarkovChain
from deqn.equilibrium.markov import rouwenhorst

from . import equations
from .parameters import Parameters


class State(NamedTuple):
    capital: tf.Tensor  # [batch] k, at the start of the period
    shock: tf.Tensor  # [batch] index z of productivity, from 0


class Policy(NamedTuple):
    savings: tf.Tensor  # [batch] a = k'
    consumption: tf.Tensor  # [batch] c


class Growth(Economy):
    """The economy above; the network sees ln k and has one output for each value of productivity."""

    Parameters, State, Policy = Parameters, State, Policy
    letters = {"capital": "k", "shock": "z", "savings": "a", "consumption": "c"}
    units = equations.UNITS

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        states, self.gamma = equations.states_of_chain(parameters), equations.one_risk_aversion(parameters)
        self.log_productivity, transition = rouwenhorst(states, parameters.persistence, parameters.innovation_sd)
        self.shocks = MarkovChain(transition)
        self.outputs = 1
        self.rule = equations.SavingRule(parameters)

    def goods(self, state: State) -> equations.Goods:
        """Output, cash and gross return at each state."""
        return equations.goods(self.p, state.capital, self.by_shock(self.log_productivity, state.shock))

    def features(self, state: State) -> tf.Tensor:
        return tf.math.log(state.capital)[:, None]

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        cash, ln_z = self.goods(state).cash, self.by_shock(self.log_productivity, state.shock)
        consumed, saved = self.rule.shares_of_cash(output[:, 0], state.capital, ln_z, self.gamma)
        return Policy(savings=saved * cash, consumption=consumed * cash)

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        return State(capital=policy.savings, shock=shock)

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        return {"euler": equations.euler_error(self.p, self.gamma, self.goods, policy, E)}

    def definitions(self, state: State, policy: Policy) -> dict[str, tf.Tensor]:
        return equations.definitions(self.p, state, policy, self.goods(state))

    def period_utility(self, state: State, policy: Policy) -> tf.Tensor:
        """u(c), [batch]."""
        return equations.utility(policy.consumption, self.gamma)

    def policy_from_share(self, share: tf.Tensor, state: State) -> Policy:
        """Gross investment is a share of output, a = (1-delta) k + share y: capital is not eaten."""
        at = self.goods(state)
        return Policy(savings=at.cash - (1 - share) * at.output, consumption=(1 - share) * at.output)

    def is_inside(self, state: State) -> tf.Tensor:
        return equations.is_inside(self.rule, state)

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """Capital around the steady state; the first is the steady state under the middle shock."""
        capital = equations.initial_capital(self.p, self.gamma, count, generator)
        return State(capital, equations.initial_shock(self.shocks, count, generator))

    def check_states(self, state) -> State:
        return equations.with_capital(super().check_states(state))

    def describe_shocks(self) -> list[str]:
        return equations.describe_chain(self.log_productivity)
