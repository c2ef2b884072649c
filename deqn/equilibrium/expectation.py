"""The conditional expectation as an operator: E(f) = sum_j w_j f(next state_j, next policy_j)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from deqn.equilibrium.economy import Economy


class Expectation:
    """E at given states under given policies; made anew for each batch, evaluates the next policies once.

        E(f) = sum_j w_j(state) f(s'_j, q'_j),   s'_j = transition(state, policy, shock_j),  q'_j = next_policy(s'_j)

    exact for a Markov chain, by quadrature for normal innovations.

    next_policy: a function of the J successor shocks' states, stacked to [J * batch], and J.
    frozen: no gradient flows through the next period: the update is then time iteration fitted by a network.
    """

    def __init__(
        self,
        economy: Economy,
        state: Any,
        policy: Any,
        next_policy: Callable[[Any, int], Any],
        frozen: bool = False,
    ) -> None:
        self.frozen = frozen
        shocks, self.weights = economy.shocks.successors(state)  # [J, batch(, d)], [J, batch]
        self.count = shocks.shape[0]

        def stack(x: tf.Tensor) -> tf.Tensor:  # [batch, ...] -> [J * batch, ...]
            return tf.tile(x, [self.count] + [1] * (len(x.shape) - 1))

        stacked_shocks = tf.reshape(shocks, [-1, *shocks.shape[2:]])
        self.state = economy.transition(
            tf.nest.map_structure(stack, state), tf.nest.map_structure(stack, policy), stacked_shocks
        )
        self.policy = next_policy(self.state, self.count)

    def __call__(self, f: Callable[[Any, Any], tf.Tensor]) -> tf.Tensor:
        """f: (next state, next policy) -> [J * batch, ...]; returns [batch, ...]."""
        values = f(self.state, self.policy)
        values = tf.reshape(values, [self.count, -1, *values.shape[1:]])
        weights = tf.reshape(self.weights, tf.concat([tf.shape(self.weights), [1] * (len(values.shape) - 2)], 0))
        expected = tf.reduce_sum(weights * values, axis=0)
        return tf.stop_gradient(expected) if self.frozen else expected
