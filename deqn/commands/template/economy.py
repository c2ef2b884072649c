"""Stochastic growth with partial depreciation: a planner consumes c and saves k', to be capital in the next period.

    c + k' = y + (1 - delta) k,   y = z k^alpha
    c^-gamma = beta E[ r' c'^-gamma ],   r = alpha z k^(alpha-1) + 1 - delta

Change it into an economy of your own; models/README.md is the guide.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, MarkovChain, Report, TransitionMatrix
from deqn.project.schema import Section, setting


class Parameters(Section):
    """What mine.yaml sets: a default, the unit, and the range that is let through."""

    capital_share: float = setting(0.36, unit="share of output", gt=0, lt=1)
    discount_factor: float = setting(0.96, unit="per year", gt=0, lt=1)
    risk_aversion: float = setting(2.0, unit="coefficient of relative risk aversion", gt=0)
    depreciation: float = setting(0.1, unit="share of capital per year", gt=0, le=1)
    productivity: list[float] = setting([0.97, 1.0, 1.03], unit="z, by shock")
    transition: TransitionMatrix = setting([[0.8, 0.2, 0.0], [0.1, 0.8, 0.1], [0.0, 0.2, 0.8]], unit="rows = from")


class State(NamedTuple):  # what is given at the start of a period, for many states ("a batch") at once
    capital: tf.Tensor  # [batch] k
    shock: tf.Tensor  # [batch] z, the number of the Markov chain's state, from 0


class Policy(NamedTuple):  # what is decided in it
    consumption: tf.Tensor  # [batch] c
    savings: tf.Tensor  # [batch] k'


class Mine(Economy):
    """The equations above."""

    Parameters, State, Policy = Parameters, State, Policy
    # Names in simulation.npz, and the definition with which moments show correlations; models/README.md has the rest.
    report = Report(letters={"capital": "k", "shock": "z", "consumption": "c", "savings": "a"}, output="Y")

    def __init__(self, parameters, dtype="float32"):
        super().__init__(parameters, dtype)  # parameters are self.p from here on
        self.shocks = MarkovChain(self.p.transition)
        self.outputs = 1  # how many numbers the network gives for a state
        # The steady state at z = 1: a yardstick for the network's first guess and for the states where paths begin.
        alpha, beta, delta = self.p.capital_share, self.p.discount_factor, self.p.depreciation
        self.steady = (alpha / (1 / beta - 1 + delta)) ** (1 / (1 - alpha))
        saved = self.steady / (self.steady**alpha + (1 - delta) * self.steady)
        self.guess = float(np.log((1 - saved) / saved))

    # TensorFlow computes: + - * / ** as usual, tf.exp, tf.math.log, tf.minimum; no NumPy on states and policies.

    def output(self, state):
        return self.by_shock(self.p.productivity, state.shock) * state.capital**self.p.capital_share

    def gross_return(self, state):
        return self.p.capital_share * self.output(state) / state.capital + 1 - self.p.depreciation

    def features(self, state):  # what the network sees, [batch, inputs]; for each shock it has an output of its own
        return state.capital[:, None]

    def policy(self, output, state):  # makes what the network says feasible: 0 < c < y + (1 - delta) k, whatever it is
        wealth = self.output(state) + (1 - self.p.depreciation) * state.capital
        x = self.guess + output[:, 0]  # at an output of 0 the planner consumes the steady state's share of wealth
        return Policy(consumption=tf.sigmoid(x) * wealth, savings=tf.sigmoid(-x) * wealth)

    def transition(self, state, policy, shock):  # the state one period later, when `shock` has been drawn
        return State(capital=policy.savings, shock=shock)

    def residuals(self, state, policy, E):  # zero in equilibrium, without unit; E takes a function of next period
        gamma = self.p.risk_aversion
        value = self.p.discount_factor * E(lambda s, q: self.gross_return(s) * q.consumption**-gamma)
        return {"euler": value ** (-1 / gamma) / policy.consumption - 1}  # what c should be, over c, less one

    def definitions(self, state, policy, E):  # what else to report
        return {"K": state.capital, "C": policy.consumption, "Y": self.output(state), "r": self.gross_return(state)}

    def initial_states(self, count, generator):  # NumPy arrays, real numbers and whole ones; the first begins a path
        capital = self.steady * generator.uniform(0.7, 1.3, count)
        return State(capital, generator.integers(0, len(self.p.productivity), count))
