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

from deqn.project.errors import UserError

from .equations import GrowthOnChain
from .parameters import Parameters
from .steady_state import spread_of_capital


class State(NamedTuple):
    capital: tf.Tensor  # [batch] k, at the start of the period
    risk_aversion: tf.Tensor  # [batch] gamma, the same for ever
    shock: tf.Tensor  # [batch] index z of productivity, from 0


class GrowthFamily(GrowthOnChain):
    """The economies above; the network sees ln k and gamma and has one output for each value of productivity."""

    State = State
    report = GrowthOnChain.report._replace(letters={**GrowthOnChain.report.letters, "risk_aversion": "gamma"})

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        if not isinstance(parameters.risk_aversion, tuple):
            raise UserError(
                f"parameters.risk_aversion: got {parameters.risk_aversion:g}, expected an interval [lowest, highest]"
            )
        self.interval = parameters.risk_aversion

    def risk_aversion(self, state: State) -> tf.Tensor:
        """gamma, [batch]."""
        return state.risk_aversion

    def features(self, state: State) -> tf.Tensor:
        """ln k, in standard deviations, and gamma from -1 to 1 over the interval."""
        low, high = self.interval
        spread = float(np.mean(spread_of_capital(self.p, np.array(self.interval))))
        ln_k = tf.math.log(state.capital / self.rule.steady.capital) / spread
        return tf.stack([ln_k, (2 * state.risk_aversion - low - high) / (high - low)], axis=1)

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """gamma evenly over the interval in order, but for the first state, at the middle and in the steady state."""
        low, high = self.interval
        gamma = np.concatenate([[(low + high) / 2], np.linspace(low, high, count - 1)])
        capital = self.initial_capital(gamma, count, generator)
        return State(capital, gamma, self.initial_shock(count, generator))

    def check_states(self, state) -> State:
        checked = super().check_states(state)
        low, high = self.interval
        outside = (checked.risk_aversion < low) | (checked.risk_aversion > high)
        if outside.any():
            bad = int(np.argmax(outside))
            raise UserError(
                f"states: risk_aversion[{bad}] is {checked.risk_aversion[bad]:g}, expected {low:g} to {high:g}, for "
                "which the network is trained"
            )
        return checked
