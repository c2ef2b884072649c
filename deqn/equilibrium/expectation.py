"""The conditional expectation as an operator: E(f) = sum_j w_j f(next state_j, next policy_j)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.equilibrium.economy import Economy
from deqn.equilibrium.exogenous import shock_of
from deqn.equilibrium.nodes import sum_over

FEW = 8  # up to so many successors are written out one by one; more are taken in a loop


class Expectation:
    """E at given states under given policies; made anew for each batch.

        E(f) = sum_j w_j(state) f(s'_j, q'_j),   s'_j = transition(state, policy, shock_j),  q'_j = next_policy(s'_j)

    exact for a Markov chain, by quadrature for normal innovations, under `perceived` shocks if the economy has any.
    f sees one successor of each state at a time, [batch, ...], and may use what is known today.

    next_policy: takes a list of successor states and gives the list of their policies.
    frozen: no gradient flows through the next period: the update is then time iteration fitted by a network.
    most: of many quadrature nodes only so many, evenly spread, all with equal weights: for checks of the equations.

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
        expected = economy.perceived or economy.shocks
        self.shocks, self.weights = expected.successors(state)  # [J, batch(, d)], [J, batch]
        self.count = int(self.weights.shape[0])
        self.row = expected.discrete or 1  # so many successors differ in the discrete part of the shock alone
        self.loops = self.count > max(FEW, self.row)
        if self.loops and most is not None:
            self._thin(most)
        given = [*tf.nest.flatten(self.shocks), self.weights]
        self.fixed = [x for x in given if x.shape[1] == 1]  # the same for every state
        if not self.loops:
            self.states: list[Any] = []
            self.policies: list[Any] = []
            for first in range(0, self.count, self.row):
                states, policies = self._at(first)
                self.states += states
                self.policies += policies

    def decide(self, states: Sequence[Any], first: int | tf.Tensor) -> Sequence[Any]:
        """The policies at successor states, of which the first has the number `first`."""
        return self.next_policy(states)

    def __call__(self, f: Callable[[Any, Any], tf.Tensor]) -> tf.Tensor:
        """f: (next state, next policy) -> [batch, ...], returns the same shape."""
        if self.loops:
            rows = self.count // self.row
            expected = sum_over(lambda j: self._term(f, self.row * j), rows, tf.shape(self.state[0])[0], self.fixed)
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
        rows = tf.map_fn(
            lambda first: tf.stack([f(s, q) for s, q in zip(*self._at(first), strict=True)]),
            tf.range(0, self.count, self.row),
            fn_output_signature=self.weights.dtype,
        )
        return tf.reshape(rows, [self.count, *tf.unstack(tf.shape(rows)[2:])])

    def _term(self, f: Callable[[Any, Any], tf.Tensor], first: tf.Tensor) -> tf.Tensor:
        return tf.add_n([
            _weighted(f(state, policy), self.weights[first + number])
            for number, (state, policy) in enumerate(zip(*self._at(first), strict=True))
        ])  # fmt: skip

    def _at(self, first: int | tf.Tensor) -> tuple[list[Any], Sequence[Any]]:
        """The successors, and policies there, of the row that begins with this number."""
        count = tf.shape(self.state[0])[0]
        states = [
            self.economy.transition(self.state, self.policy, shock_of(self.shocks, first + number, count))
            for number in range(self.row)
        ]
        return states, self.decide(states, first)

    def _thin(self, most: int) -> None:
        """Takes only so many rows."""
        rows = np.linspace(0, self.count // self.row - 1, most).astype(int)
        chosen = (self.row * rows[:, None] + np.arange(self.row)).ravel()
        self.shocks = tf.nest.map_structure(lambda x: tf.gather(x, chosen), self.shocks)
        self.count, self.loops = len(chosen), False
        self.weights = tf.fill([self.count, 1], tf.cast(1 / self.count, self.economy.dtype))


def _weighted(values: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """values: [batch, ...], weight: [batch] or [1]; their product."""
    return tf.reshape(weight, [-1, *[1] * (len(values.shape) - 1)]) * values
