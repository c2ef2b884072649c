r"""Stochastic growth whose productivity is a Gaussian autoregression, not a chain.

    c + a = z k^alpha + (1-delta) k
    u'(c) = beta E[ R' u'(c') ],   ln z' = rho ln z + sd e,   e ~ N(0, 1)

The expectation is by Gauss-Hermite quadrature; otherwise all is as in `economy.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Gaussian, Report
from deqn.project.errors import UserError

from .equations import UNITS, GrowthEconomy, Policy, one_risk_aversion
from .parameters import Parameters


class State(NamedTuple):
    capital: tf.Tensor  # [batch] k, at the start of the period
    log_productivity: tf.Tensor  # [batch] ln z


class GrowthAR1(GrowthEconomy):
    """The economy above; the network sees ln k and ln z."""

    State = State
    report = Report(
        letters={"capital": "k", "log_productivity": "z", "savings": "a", "consumption": "c"},
        units={**UNITS, "log_productivity": "log points"},
        output="Y",
    )

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        if parameters.nodes is None or parameters.states is not None:
            raise UserError("parameters: productivity is an AR(1) here: give nodes (such as 7) and no states")
        self.shocks = Gaussian(1, nodes=parameters.nodes)
        self.gamma = one_risk_aversion(parameters)

    def ln_z(self, state: State) -> tf.Tensor:
        return state.log_productivity

    def features(self, state: State) -> tf.Tensor:
        """ln k and ln z: the network whitens them, for they move together."""
        return tf.stack([tf.math.log(state.capital), state.log_productivity], axis=1)

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        ln_z = self.p.persistence * state.log_productivity + self.p.innovation_sd * shock[:, 0]
        return State(capital=policy.savings, log_productivity=ln_z)

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """Capital around the steady state, productivity from its stationary distribution; the first is the former."""
        capital = self.initial_capital(self.gamma, count, generator)
        spread = self.p.innovation_sd / np.sqrt(1 - self.p.persistence**2)
        ln_z = 1.5 * spread * generator.standard_normal(count)
        ln_z[0] = 0.0
        return State(capital, ln_z)
