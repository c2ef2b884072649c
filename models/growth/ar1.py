r"""Stochastic growth whose productivity is a Gaussian autoregression, not a chain.

    c + a = z k^alpha + (1-delta) k
    u'(c) = beta E[ R' u'(c') ],   ln z' = rho ln z + sd e,   e ~ N(0, 1)

The expectation is by Gauss-Hermite quadrature; otherwise all is as in `economy.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, Gaussian

from . import equations
from .parameters import Parameters


class State(NamedTuple):
    capital: tf.Tensor  # [batch] k, at the start of the period
    log_productivity: tf.Tensor  # [batch] ln z


class Policy(NamedTuple):
    savings: tf.Tensor  # [batch] a = k'
    consumption: tf.Tensor  # [batch] c


class GrowthAR1(Economy):
    """The economy above; the network sees ln k and ln z."""

    Parameters, State, Policy = Parameters, State, Policy
    letters = {"capital": "k", "log_productivity": "z", "savings": "a", "consumption": "c"}
    units = {**equations.UNITS, "log_productivity": "log points"}

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        self.shocks = Gaussian(1, nodes=equations.nodes_of_quadrature(parameters))
        self.gamma = equations.one_risk_aversion(parameters)
        self.outputs = 1
        self.rule = equations.SavingRule(parameters)

    def goods(self, state: State) -> equations.Goods:
        """Output, cash and gross return at each state."""
        return equations.goods(self.p, state.capital, state.log_productivity)

    def features(self, state: State) -> tf.Tensor:
        """ln k and ln z: the network whitens them, for they move together."""
        return tf.stack([tf.math.log(state.capital), state.log_productivity], axis=1)

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        cash = self.goods(state).cash
        consumed, saved = self.rule.shares_of_cash(output[:, 0], state.capital, state.log_productivity, self.gamma)
        return Policy(savings=saved * cash, consumption=consumed * cash)

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        ln_z = self.p.persistence * state.log_productivity + self.p.innovation_sd * shock[:, 0]
        return State(capital=policy.savings, log_productivity=ln_z)

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        return {"euler": equations.euler_error(self.p, self.gamma, self.goods, policy, E)}

    def definitions(self, state: State, policy: Policy) -> dict[str, tf.Tensor]:
        return equations.definitions(self.p, state, policy, self.goods(state))

    def is_inside(self, state: State) -> tf.Tensor:
        return equations.is_inside(self.rule, state)

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """Capital around the steady state, productivity from its stationary distribution; the first is the former."""
        capital = equations.initial_capital(self.p, self.gamma, count, generator)
        spread = self.p.innovation_sd / np.sqrt(1 - self.p.persistence**2)
        ln_z = 1.5 * spread * generator.standard_normal(count)
        ln_z[0] = 0.0
        return State(capital, ln_z)

    def check_states(self, state) -> State:
        return equations.with_capital(super().check_states(state))
