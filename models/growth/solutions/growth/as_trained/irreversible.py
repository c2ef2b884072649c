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

import tensorflow as tf

from .equations import UNITS, GrowthOnChain, State, one_risk_aversion, u_prime, u_prime_inverse
from .parameters import Parameters


class Policy(NamedTuple):
    savings: tf.Tensor  # [batch] a = k'
    multiplier: tf.Tensor  # [batch] mu, in units of u'(c)
    consumption: tf.Tensor  # [batch] c
    unconstrained: tf.Tensor  # [batch] c_u


class IrreversibleGrowth(GrowthOnChain):
    """The economy above; the network sees ln k and has two outputs for each value of productivity."""

    Policy = Policy
    report = GrowthOnChain.report._replace(
        letters={**GrowthOnChain.report.letters, "multiplier": "lam"},
        units={**UNITS, "multiplier": "utility per unit of the good"},
        binding="multiplier",
    )

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        self.gamma = one_risk_aversion(parameters)
        self.outputs = 2

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        at, (consumed, saved) = self.goods(state), self.shares_of_cash(output, state)
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
        return u_prime(c, self.gamma)

    def euler_value(self, E) -> tf.Tensor:
        """beta E[ R' u'(c') - (1-delta) mu' ], [batch]."""
        kept = 1 - self.p.depreciation
        return self.p.discount_factor * E(
            lambda s, q: self.goods(s).gross_return * self.u_prime(q.consumption) - kept * q.multiplier
        )

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """The Euler equation of unconstrained consumption, in units of consumption (Judd 1992)."""
        return {"euler": u_prime_inverse(self.euler_value(E), self.gamma) / policy.unconstrained - 1}

    def constraints(self, state: State, policy: Policy) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        """Irreversibility, both in shares of consumption."""
        slack = policy.savings - (1 - self.p.depreciation) * state.capital
        return {"kkt": (policy.multiplier / self.u_prime(policy.consumption), slack / policy.consumption)}

    def errors(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Euler error with the multiplier; complementarity without it, min(u'^-1(beta E[..])/c - 1, slack/c)."""
        value, c = self.euler_value(E), policy.consumption
        _, slack = self.constraints(state, policy)["kkt"]
        return {
            "euler": u_prime_inverse(value + policy.multiplier, self.gamma) / c - 1,
            "optimality": tf.minimum(u_prime_inverse(value, self.gamma) / c - 1, slack),
        }
