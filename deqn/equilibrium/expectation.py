"""The conditional expectation as an operator: E(f) = sum_j w_j f(next state_j, next policy_j)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.equilibrium.economy import Economy
from deqn.equilibrium.nodes import sum_over

FEW = 8  # up to so many successors are written out one by one; more are taken in a loop


class Expectation:
    """E at given states under given policies; made anew for each batch.

        E(f) = sum_j w_j(state) f(s'_j, q'_j),   s'_j = transition(state, policy, shock_j),  q'_j = next_policy(s'_j)

    exact for a Markov chain, by quadrature for normal innovations. f sees one successor of each state at a time,
    [batch, ...], and may use what is known today.

    next_policy: takes a list of successor states and gives the list of their policies.
    frozen: no gradient flows through the next period: the update is then time iteration fitted by a network.
    most: of many quadrature nodes only so many, evenly spread, with equal weights: for checks of the equations.

    The values of a chain, and a few quadrature nodes, are written out one after the other, and the next policies are
    evaluated once: stacked, XLA would spend its time on the indices. `states` and `policies` are those successors.
    Many nodes are taken in a loop, anew by each E(f) and by its gradient: memory does not grow with their number.
    """

    def __init__(
        self,
        economy: Economy,
        state: Any,
        policy: Any,
        next_policy: Callable[[Sequence[Any]], Sequence[Any]],
        frozen: bool = False,
        most: int | None = None,
    ) -> None:
        self.economy, self.state, self.policy, self.next_policy = economy, state, policy, next_policy
        self.frozen = frozen
        self.shocks, self.weights = economy.shocks.successors(state)  # [J, batch(, d)], [J, batch]
        self.count = int(self.weights.shape[0])
        self.loops = not economy.shocks.discrete and self.count > FEW
        if self.loops and most is not None:
            chosen = np.linspace(0, self.count - 1, most).astype(int)
            self.shocks, self.weights = tf.gather(self.shocks, chosen), tf.fill([most, 1], 1 / most)
            self.weights, self.count, self.loops = tf.cast(self.weights, economy.dtype), most, False
        self.fixed = [x for x in (self.shocks, self.weights) if x.shape[1] == 1]  # the same for every state
        if not self.loops:
            self.states = [self._successor(j) for j in range(self.count)]
            self.policies = self.decide(self.states, 0)

    def decide(self, states: Sequence[Any], first: int | tf.Tensor) -> Sequence[Any]:
        """The policies at successor states, of which the first has the number `first`."""
        return self.next_policy(states)

    def __call__(self, f: Callable[[Any, Any], tf.Tensor]) -> tf.Tensor:
        """f: (next state, next policy) -> [batch, ...], returns the same shape."""
        if self.loops:
            expected = sum_over(lambda j: self._term(f, j), self.count, tf.shape(self.state[0])[0], self.fixed)
        else:
            expected = tf.add_n([
                _weighted(f(state, policy), self.weights[j])
                for j, (state, policy) in enumerate(zip(self.states, self.policies, strict=True))
            ])  # fmt: skip
        return tf.stop_gradient(expected) if self.frozen else expected

    def each(self, f: Callable[[Any, Any], tf.Tensor]) -> tf.Tensor:
        """f of every successor and its policy, not summed: [J, batch, ...]."""
        if not self.loops:
            return tf.stack([f(state, policy) for state, policy in zip(self.states, self.policies, strict=True)])
        return tf.map_fn(lambda j: f(*self._at(j)), tf.range(self.count), fn_output_signature=self.weights.dtype)

    def _term(self, f: Callable[[Any, Any], tf.Tensor], j: tf.Tensor) -> tf.Tensor:
        return _weighted(f(*self._at(j)), tf.gather(self.weights, j))

    def _at(self, j: tf.Tensor) -> tuple[Any, Any]:
        state = self._successor(j)
        return state, self.decide([state], j)[0]

    def _successor(self, j: int | tf.Tensor) -> Any:
        shock = self.shocks[j]
        if shock.shape[0] == 1:  # the same for every state
            shock = tf.repeat(shock, tf.shape(self.state[0])[0], axis=0)
        return self.economy.transition(self.state, self.policy, shock)


def _weighted(values: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """values: [batch, ...], weight: [batch] or [1]; their product."""
    return tf.reshape(weight, [-1, *[1] * (len(values.shape) - 1)]) * values
