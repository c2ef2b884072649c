r"""Stochastic growth in which installed capital cannot be consumed: investment is never negative.

    c + a = z k^alpha + (1-delta) k
    u'(c) = beta E[ R' u'(c') - (1-delta) mu' ] + mu,   0 <= mu  ⟂  a >= (1-delta) k

The network gives *unconstrained* consumption c_u: c = min(c_u, z k^alpha) then meets complementarity exactly, with
mu = u'(c) - u'(c_u). Its only condition is the Euler equation of c_u, at every state:

    c_u = u'^{-1}( beta E[ R' u'(c') - (1-delta) mu' ] )

Where the constraint starts to bind, c_u has a kink: from there on a no longer answers to the state as it wants to. The
network's two outputs are smooth on both sides of it: the first says what c_u would be without the kink, c_s, the second
by which power c_u moves less than that once it exceeds output,

    ln c_u/y = ln c_s/y          if c_s <= y
             = kappa ln c_s/y    otherwise.
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
    multiplier: tf.Tensor  # [batch] mu, in units of u'(c)
    consumption: tf.Tensor  # [batch] c
    unconstrained: tf.Tensor  # [batch] c_u


class IrreversibleGrowth(Economy):
    """The economy above; the network sees ln k and has outputs for each value of productivity."""

    Parameters, State, Policy = Parameters, State, Policy
    letters = {"capital": "k", "shock": "z", "savings": "a", "multiplier": "lam", "consumption": "c"}
    units = {**equations.UNITS, "multiplier": "utility per unit of the good"}

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        states, self.gamma = equations.states_of_chain(parameters), equations.one_risk_aversion(parameters)
        self.log_productivity, transition = rouwenhorst(states, parameters.persistence, parameters.innovation_sd)
        self.shocks = MarkovChain(transition)
        self.outputs = 2
        self.rule = equations.SavingRule(parameters)

    def goods(self, state: State) -> equations.Goods:
        """Output, cash and gross return at each state."""
        return equations.goods(self.p, state.capital, self.by_shock(self.log_productivity, state.shock))

    def features(self, state: State) -> tf.Tensor:
        return tf.math.log(state.capital)[:, None]

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        at, ln_z = self.goods(state), self.by_shock(self.log_productivity, state.shock)
        consumed, saved = self.rule.shares_of_cash(output[:, 0], state.capital, ln_z, self.gamma)
        smooth = tf.math.log(consumed * at.cash / at.output)  # ln c_s/y
        binds = smooth > 0
        unconstrained = at.output * tf.exp(tf.where(binds, tf.exp(output[:, 1]) * smooth, smooth))
        c = tf.where(binds, at.output, unconstrained)
        kept = (1 - self.p.depreciation) * state.capital
        return Policy(
            savings=tf.where(binds, kept, saved * at.cash),
            multiplier=tf.where(binds, self.u_prime(c) - self.u_prime(unconstrained), tf.zeros_like(c)),
            consumption=c,
            unconstrained=unconstrained,
        )

    def u_prime(self, c: tf.Tensor) -> tf.Tensor:
        return equations.u_prime(c, self.gamma)

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        return State(capital=policy.savings, shock=shock)

    def euler_value(self, E) -> tf.Tensor:
        """beta E[ R' u'(c') - (1-delta) mu' ], [batch]."""
        kept = 1 - self.p.depreciation
        return self.p.discount_factor * E(
            lambda s, q: self.goods(s).gross_return * self.u_prime(q.consumption) - kept * q.multiplier
        )

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """The Euler equation of unconstrained consumption, in units of consumption (Judd 1992)."""
        return {"euler": equations.u_prime_inverse(self.euler_value(E), self.gamma) / policy.unconstrained - 1}

    def errors(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Euler error with the multiplier; complementarity without it, min(u'^-1(beta E[..])/c - 1, slack/c); KKT."""
        value, c = self.euler_value(E), policy.consumption
        slack = policy.savings - (1 - self.p.depreciation) * state.capital
        return {
            "euler": equations.u_prime_inverse(value + policy.multiplier, self.gamma) / c - 1,
            "optimality": tf.minimum(equations.u_prime_inverse(value, self.gamma) / c - 1, slack / c),
            "kkt": policy.multiplier / self.u_prime(c) * slack / c,
        }

    def definitions(self, state: State, policy: Policy) -> dict[str, tf.Tensor]:
        return equations.definitions(self.p, state, policy, self.goods(state))

    def flags(self, state: State, policy: Policy) -> dict[str, tf.Tensor]:
        return {"irreversibility_binds": policy.unconstrained > self.goods(state).output}

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
