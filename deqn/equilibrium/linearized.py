r"""The conditions of an economy near a decision rule, and their derivatives, in double precision.

With o the numbers that `Economy.policy` takes at a state s, and o'_j those at the successor s'_j,

    r(o, o'_1, ..., o'_J; s) = the residuals of all conditions, one after the other,   s'_j = transition(s, policy(o))

where the rule gives o'_j = N(s'_j): it moves with s'_j, and therefore with o.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium.decision_rule import OutputRule
from deqn.equilibrium.expectation import Expectation
from deqn.equilibrium.incomplete import fields

_ROWS, _COMPILED_ROWS = 4096, 1024  # rows of a call
_COMPILED = 64  # outputs times successors beyond which the conditions are compiled by XLA
_SINGULAR = 1e-10  # below this share of the largest a singular value counts as zero


class Seen(NamedTuple):
    """At M states, of which each has J successors."""

    output: np.ndarray  # [M, outputs] o of the rule
    inputs: np.ndarray  # [M, inputs] what a network sees
    following: np.ndarray  # [M, J, inputs] what it will see


class Slopes(NamedTuple):
    """The conditions at M states, and their derivatives."""

    residual: np.ndarray  # [M, conditions] r
    today: np.ndarray  # [M, conditions, outputs] dr/do, with the rule's own slope at the successors
    tomorrow: np.ndarray  # [M, conditions, J, outputs] dr/do'_j


class Conditions:
    """r and its derivatives at states of NumPy arrays [M, ...].

    What is called a few times is neither traced nor compiled, which would take longer: all but the conditions of a
    large economy.
    """

    def __init__(self, rule: OutputRule) -> None:
        self.rule, self.economy = rule, rule.economy
        one = self.economy.tensors(self.economy.initial_states(1, np.random.default_rng(0)))
        self.expected = self.economy.perceived or self.economy.shocks
        self.count = self.expected.successors(one)[1].shape[0]  # of successors, J
        self._by_condition: Callable[..., Any] = self._with_slopes
        self._compiled = self.economy.width * self.count > _COMPILED
        if self._compiled:
            self._by_condition = tf.function(self._with_slopes, jit_compile=self.economy.xla, autograph=False)

    def seen(self, state: Any) -> Seen:
        """Outputs and what a network sees."""
        return Seen(*_by_rows(self._look, state))

    def policies(self, state: Any, output: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The policies that outputs [M, outputs] mean, by field, and what the economy computes beside them."""
        return _by_rows(self._decisions, state, output)

    def policies_along(self, state: Any, output: np.ndarray, direction: np.ndarray) -> dict[str, np.ndarray]:
        """The derivatives of the policies, by field, when outputs [M, outputs] move in a direction [M, outputs]."""
        return _by_rows(self._moving, state, output, direction)

    def successors(self, state: Any, output: np.ndarray, number: np.ndarray) -> Any:
        """One successor of each state, by its number [M] among the J there are; a chain's number is next shock."""
        return _by_rows(self._next_states, state, output, number)

    def residuals(self, state: Any, output: np.ndarray, later: np.ndarray) -> np.ndarray:
        """r [M, conditions] at outputs [M, outputs] today, and the rule's own plus later [M, J, outputs] tomorrow."""
        # The derivatives of the first condition come with it, so that one compiled function serves all.
        return self._conditions(state, output, later, np.zeros(len(output), np.int32))[0]

    def slopes(self, state: Any, output: np.ndarray) -> Slopes:
        """r and its derivatives at outputs [M, outputs]; each condition of each state is a row of a call."""
        residual = self.residuals(state, output, np.zeros((len(output), self.count, output.shape[1])))
        conditions = residual.shape[1]
        pieces = []
        for begin in range(
            0, len(output), group := max(1, (_COMPILED_ROWS if self._compiled else _ROWS) // conditions)
        ):
            chosen = np.repeat(np.arange(begin, min(begin + group, len(output))), conditions)
            rows = tf.nest.map_structure(lambda x, chosen=chosen: x[chosen], state)
            number = (np.arange(len(chosen)) % conditions).astype(np.int32)
            later = np.zeros((len(chosen), self.count, output.shape[1]))
            pieces.append(self._conditions(rows, output[chosen], later, number)[1:])
        today, tomorrow = (np.concatenate(each).reshape(len(output), conditions, *each[0].shape[1:])
                           for each in zip(*pieces, strict=True))  # fmt: skip
        return Slopes(residual, today, tomorrow)

    def _conditions(self, *given: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _by_rows(self._by_condition, *given, compiled=self._compiled)

    # --- in TensorFlow ------------------------------------------------------------------------------------------------

    def _with_slopes(
        self, state: Any, output: tf.Tensor, later: tf.Tensor, number: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """r [batch, conditions], and the derivatives of the condition of each row's number [batch].

        A row's conditions depend on its own outputs alone, so that one pass back gives them at every row.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch((output, later))
            policy = self.economy.decide(output, state)
            E = _Moved(self.rule, state, policy, later)
            residuals = self.economy.residuals(state, self.economy.complete(state, policy, E), E)
            stacked = tf.concat([tf.reshape(r, [output.shape[0], -1]) for r in residuals.values()], axis=1)
        chosen = tf.one_hot(number, stacked.shape[1], dtype=stacked.dtype)
        slopes = tape.gradient(stacked, (output, later), chosen, tf.UnconnectedGradients.ZERO)
        return stacked, *slopes

    def _look(self, state: Any) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        output = self.rule.output(state)
        E = self.rule.expectation(state, self.economy.decide(output, state))
        following = E.each(lambda s, q: self.economy.seen(s))  # [J, batch, inputs]
        return output, self.economy.seen(state), tf.transpose(following, [1, 0, 2])

    def _decisions(self, state: Any, output: tf.Tensor) -> tuple[dict, dict]:
        policy = self.economy.decide(output, state)
        E = self.rule.expectation(state, policy)
        complete = self.economy.complete(state, policy, E)
        return fields(policy), {**complete._asdict(), **self.economy.definitions(state, complete, E)}

    def _moving(self, state: Any, output: tf.Tensor, direction: tf.Tensor) -> dict:
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(output)
                policy = fields(self.economy.decide(output, state))
            # Back along v and forward along the direction is linear in v, with what is wanted as its slope.
            v = {name: tf.zeros_like(x) for name, x in policy.items()}
            outer.watch(v)
            back = inner.gradient(policy, output, v, tf.UnconnectedGradients.ZERO)
            along = tf.reduce_sum(back * direction)
        return outer.gradient(along, v, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def _next_states(self, state: Any, output: tf.Tensor, number: tf.Tensor) -> Any:
        shocks, _ = self.expected.successors(state)  # [J, batch(, d)]

        def chosen(x: tf.Tensor) -> tf.Tensor:
            row = tf.range(tf.shape(output)[0]) % tf.shape(x)[1]  # nodes are the same for every state
            return tf.gather_nd(x, tf.stack([number, row], axis=1))

        shock = tf.nest.map_structure(chosen, shocks)
        return self.economy.transition(state, self.economy.decide(output, state), shock)


class _Moved(Expectation):
    """E under a rule whose outputs at the successors are moved by later, [batch, J, outputs]."""

    def __init__(self, rule: OutputRule, state: Any, policy: Any, later: tf.Tensor) -> None:
        self.rule, self.later = rule, tf.transpose(later, [1, 0, 2])
        super().__init__(rule.economy, state, policy, rule.of_successors)

    def decide(self, states: Sequence[Any], first: int | tf.Tensor) -> list[Any]:
        outputs = self.rule.outputs_of_successors(states)
        return [
            self.economy.decide(output + self.later[first + number], state)
            for number, (output, state) in enumerate(zip(outputs, states, strict=True))
        ]


def pseudo_inverse(slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """J^+ [M, outputs, conditions] of J [M, conditions, outputs], and where J is singular, bool [M].

    A singular direction is a change of this period's decisions that no condition notices to first order, such as what
    lies beyond a limit that binds: the step is zero along it.
    """
    size = np.linalg.norm(slope, axis=1, keepdims=True)  # of each output
    size = np.where(size > 0, size, 1.0)
    scaled = slope / size
    singular = np.ones(len(slope), bool)
    inverse = np.empty(np.swapaxes(slope, 1, 2).shape)
    if slope.shape[1] == slope.shape[2]:
        singular = ~(np.abs(np.linalg.slogdet(scaled)[0]) > 0)
        inverse[~singular] = np.linalg.inv(scaled[~singular])
        norm = np.linalg.norm(scaled, axis=(1, 2)) * np.linalg.norm(inverse, axis=(1, 2))
        singular |= ~(norm < 1 / _SINGULAR)
    if singular.any():
        inverse[singular] = np.linalg.pinv(scaled[singular], rcond=_SINGULAR)
        values = np.linalg.svd(scaled[singular], compute_uv=False)
        singular[singular] = (values[:, -1] < _SINGULAR * values[:, 0]) | (slope.shape[1] < slope.shape[2])
    return inverse / np.swapaxes(size, 1, 2), singular


def _by_rows(f: Callable[..., Any], state: Any, *arrays: np.ndarray, compiled: bool = False) -> Any:
    """f(state, *arrays) on NumPy arrays [M, ...], some rows a call: always as many if it is compiled, for one shape."""
    total, size = len(state[0]), _COMPILED_ROWS if compiled else _ROWS
    pieces = []
    for begin in range(0, total, size):
        keep = min(size, total - begin)
        index = np.minimum(np.arange(begin, begin + (size if compiled else keep)), total - 1)
        given = tf.nest.map_structure(lambda x, index=index: tf.constant(x[index]), (state, *arrays))
        pieces.append(tf.nest.map_structure(lambda x, keep=keep: x.numpy()[:keep], f(*given)))
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *pieces)
