"""The economy of economy.py as Azinovic, Gaegauf & Scheidegger (2019), "AGS19", solve it: their inputs, outputs, loss.

The network gives savings and the multiplier, each by a softplus, so that a^h >= a_low and lambda^h >= 0 always hold.
What is minimised (eq. 38, with the penalties of appendix B.2, eps = 1e-5) is the mean over states of

    1/(N-1) sum_h [ u'^{-1}( beta E[r' u'(c'^{h+1})] + lambda^h ) / c^h - 1 ]^2 + [ lambda^h (a^h - a_low) ]^2
    + 1/N sum_h [ max(-c_0^h, 0) / eps ]^2 + [ max(-K'_0, 0) / eps ]^2

c_0 and K'_0 are consumption and next period's capital as the policy implies them, c = max(c_0, eps), K = max(K_0, eps).
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from .economy import OverlappingGenerations, State
from .parameters import Parameters


class PaperPolicy(NamedTuple):
    savings: tf.Tensor  # [batch, N-1] a^h
    multiplier: tf.Tensor  # [batch, N-1] lambda^h, in units of u'(c)
    consumption: tf.Tensor  # [batch, N] c^h, at least the floor


class PaperOLG(OverlappingGenerations):
    """The overlapping generations with the paper's network and loss."""

    Policy = PaperPolicy

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        self.outputs = 2 * (parameters.cohorts - 1)

    def features(self, state: State) -> tf.Tensor:
        """z, eta, delta, K, L, r, w, Y, then by cohort k, r k, l, l w, r k + l w, then z's row of Pi: [batch, 8+5N+S].

        Much of it is the same thing said twice: the paper gives the network what economists would look at (section 5).
        """
        p, L = self.p, self.labour_supply
        r, w = self.prices(state)  # [batch, 1]
        eta, delta = (self.by_shock(values, state.shock)[:, None] for values in (p.tfp, p.depreciation))
        K = tf.maximum(tf.reduce_sum(state.capital, 1, keepdims=True), p.floor)
        Y = eta * K**p.capital_share * L ** (1 - p.capital_share)
        z = tf.cast(state.shock, self.dtype)[:, None]
        labour = tf.ones_like(state.capital) * self.labour
        aggregates = [z, eta, delta, K, L * tf.ones_like(K), r, w, Y]
        by_cohort = [state.capital, r * state.capital, labour, w * labour, r * state.capital + w * labour]
        return tf.concat([*aggregates, *by_cohort, self.by_shock(p.transition, state.shock)], axis=1)

    def policy(self, output: tf.Tensor, state: State) -> PaperPolicy:
        savings, multiplier = tf.split(tf.math.softplus(output), 2, axis=1)
        savings += self.p.borrowing_limit
        return PaperPolicy(savings, multiplier, tf.maximum(self.implied_consumption(state, savings), self.p.floor))

    def implied_consumption(self, state: State, savings: tf.Tensor) -> tf.Tensor:
        """c_0^h = r k^h + l^h w - a^h with a^N = 0, [batch, N]: negative where savings are not affordable."""
        r, w = self.prices(state)
        return r * state.capital + w * self.labour - tf.pad(savings, [[0, 0], [0, 1]])

    def residuals(self, state: State, policy: PaperPolicy, E) -> dict[str, tf.Tensor]:
        """The square roots of eq. 38's terms: the engine squares, averages over states and ages, and adds."""
        errors = self.errors(state, policy, E)
        eps = self.p.floor
        next_capital = tf.reduce_sum(policy.savings, 1)
        return {
            "euler": errors["euler"],  # eq. 36, with the network's multiplier
            "kkt": errors["kkt"],
            "infeasible_consumption": tf.nn.relu(-self.implied_consumption(state, policy.savings)) / eps,
            "infeasible_capital": tf.nn.relu(-next_capital) / eps,
        }

    def flags(self, state: State, policy: PaperPolicy) -> dict[str, tf.Tensor]:
        return {
            "consumption_floor": policy.consumption <= self.p.floor,
            "capital_floor": tf.reduce_sum(state.capital, 1) <= self.p.floor,
        }

    # is_inside stays "all numbers are finite", as in Economy: the paper's path is never set back to where OLG wants it.
