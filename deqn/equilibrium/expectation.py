"""The conditional expectation as an operator: E(f) = sum_j w_j f(next state_j, next policy_j)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from deqn.equilibrium.economy import Economy

_UNROLLED = 8  # up to so many successors are written out one by one, more are stacked along the batch


class Expectation:
    """E at given states under given policies; made anew for each batch, evaluates the next policies once.

        E(f) = sum_j w_j(state) f(s'_j, q'_j),   s'_j = transition(state, policy, shock_j),  q'_j = next_policy(s'_j)

    exact for a Markov chain, by quadrature for normal innovations.

    next_policy: takes a list of successor states and gives the list of their policies.
    frozen: no gradient flows through the next period: the update is then time iteration fitted by a network.

    states, policies: of the successors. A few successors are written out one after the other ([batch, ...] each):
    stacked, XLA would spend its time on the indices. Many are one stack [J * batch, ...].
    """

    def __init__(
        self,
        economy: Economy,
        state: Any,
        policy: Any,
        next_policy: Callable[[Sequence[Any]], Sequence[Any]],
        frozen: bool = False,
    ) -> None:
        self.frozen = frozen
        shocks, weights = economy.shocks.successors(state)  # [J, batch(, d)], [J, batch]
        self.count = shocks.shape[0]
        self.stack = 1 if economy.shocks.discrete or self.count <= _UNROLLED else self.count
        self.weights = [weights[j : j + self.stack] for j in range(0, self.count, self.stack)]
        self.states = [
            economy.transition(
                tf.nest.map_structure(self._stacked, state),
                tf.nest.map_structure(self._stacked, policy),
                tf.reshape(shocks[j : j + self.stack], [-1, *shocks.shape[2:]]),
            )
            for j in range(0, self.count, self.stack)
        ]
        self.policies = next_policy(self.states)

    def __call__(self, f: Callable[[Any, Any], tf.Tensor]) -> tf.Tensor:
        """f: (next state, next policy) -> [batch, ...], returns the same shape."""
        expected = tf.add_n([
            self._weighted(f(state, policy), weights)
            for state, policy, weights in zip(self.states, self.policies, self.weights, strict=True)
        ])  # fmt: skip
        return tf.stop_gradient(expected) if self.frozen else expected

    def _stacked(self, x: tf.Tensor) -> tf.Tensor:
        """[batch, ...] -> [stack * batch, ...]."""
        return x if self.stack == 1 else tf.tile(x, [self.stack] + [1] * (len(x.shape) - 1))

    def _weighted(self, values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """values: [stack * batch, ...], weights: [stack, batch]; their weighted sum [batch, ...]."""
        ones = [1] * (len(values.shape) - 1)
        if self.stack == 1:
            return tf.reshape(weights, [-1, *ones]) * values
        values = tf.reshape(values, [self.stack, -1, *values.shape[1:]])
        return tf.reduce_sum(tf.reshape(weights, [self.stack, -1, *ones]) * values, axis=0)
