r"""The economy of `economy.py` in which installed capital cannot be moved: k'_j >= (1-delta) k_j.

    lambda (1 + phi g_j) - mu_j = beta E[ lambda' R'_j - (1-delta) mu'_j ],   0 <= mu_j  ⟂  k'_j >= (1-delta) k_j

with R'_j = a'_j alpha A k'_j^(alpha-1) + 1 - delta + phi/2 g'_j (g'_j + 2) (Brumm & Scheidegger 2017, Econometrica 85).
The network gives ln(1 + u_j) of *unconstrained* growth u_j: g_j = max(u_j, -delta) then meets complementarity exactly,
with mu_j = lambda phi (-delta - u_j) where it binds. Its only condition is the Euler equation of u_j, at every state:

    lambda (1 + phi u_j) = beta E[ lambda' R'_j - (1-delta) mu'_j ]
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from .economy import IRBC, State


class Policy(NamedTuple):
    next_capital: tf.Tensor  # [batch, N] k'
    multiplier: tf.Tensor  # [batch] lambda of the world's resources
    consumption: tf.Tensor  # [batch, N] c
    irreversibility: tf.Tensor  # [batch, N] mu, in units of lambda
    unconstrained: tf.Tensor  # [batch, N] 1 + u


class IrreversibleIRBC(IRBC):
    """The economy above for any number of countries."""

    Policy = Policy
    report = IRBC.report._replace(
        letters={**IRBC.report.letters, "irreversibility": "mu"},
        binding="irreversibility",
        products=["kkt"],
        constraints=["irreversibility_binds"],
        condition_names={**IRBC.report.condition_names, "kkt": "KKT error"},
    )

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        kept, unconstrained = 1 - self.p.depreciation, tf.exp(output)
        shared = self.shared(tf.maximum(unconstrained, kept), state)
        mu = shared[1][:, None] * self.p.adjustment_cost * tf.nn.relu(kept - unconstrained)
        return Policy(*shared, mu, unconstrained)

    def paid(self, s: State, q: Policy) -> tf.Tensor:
        return super().paid(s, q) - (1 - self.p.depreciation) * q.irreversibility

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        cost = 1 + self.p.adjustment_cost * (policy.unconstrained - 1)
        return {"euler": self.p.discount_factor * E(self.paid) / (policy.multiplier[:, None] * cost) - 1}

    def errors(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Euler errors with the multiplier, mu times k' - (1-delta) k in units of lambda k, and resources."""
        growth, weight = policy.next_capital / state.capital, policy.multiplier[:, None]
        return {
            **super().errors(state, policy, E),
            "kkt": policy.irreversibility / weight * (growth - (1 - self.p.depreciation)),
        }

    def flags(self, state: State, policy: Policy) -> dict[str, tf.Tensor]:
        return {**super().flags(state, policy), "irreversibility_binds": policy.irreversibility > 0}
