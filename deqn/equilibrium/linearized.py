r"""The conditions of an economy near a decision rule, and their derivatives, compiled and in double precision.

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

_ROWS = 1024  # rows of a compiled call
_SINGULAR = 1e-10  # below this share of the largest a singular value counts as zero


class Seen(NamedTuple):
    """At M states, of which each has J successors."""

    output: np.ndarray  # [M, outputs] o of the rule
    inputs: np.ndarray  # [M, inputs] what a network sees
    following: np.ndarray  # [M, J, inputs] what it will see


class Conditions:
    """r and its derivatives along any direction, at states of NumPy arrays [M, ...]."""

    def __init__(self, rule: OutputRule) -> None:
        self.rule, self.economy = rule, rule.economy
        self._along = tf.function(self._residuals_along, jit_compile=True, autograph=False)
        # Called a few times: to compile them would take longer.
        self._seen = tf.function(self._look, autograph=False)
        self._next = tf.function(self._next_states, autograph=False)
        self._decided = tf.function(self._decisions, autograph=False)

    def seen(self, state: Any) -> Seen:
        """Outputs and what a network sees."""
        return Seen(*_by_rows(self._seen, state))

    def policies(self, state: Any, output: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The policies that outputs [M, outputs] mean, by field, and what the economy computes beside them."""
        policy, defined, _ = _by_rows(self._decided, state, output, np.zeros_like(output))
        return policy, defined

    def policies_along(self, state: Any, output: np.ndarray, direction: np.ndarray) -> dict[str, np.ndarray]:
        """The derivatives of the policies, by field, when outputs [M, outputs] move in a direction [M, outputs]."""
        return _by_rows(self._decided, state, output, direction)[2]

    def successors(self, state: Any, output: np.ndarray, number: np.ndarray) -> Any:
        """One successor of each state, by its number [M] among the J there are; a chain's number is next shock."""
        return _by_rows(self._next, state, output, number)

    def along(
        self, state: Any, output: np.ndarray, direction: np.ndarray, later: np.ndarray, at: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """r and dr/dt, each [M, conditions], at t = `at` of outputs o + t direction today, o'_j + t later_j tomorrow.

        direction: [M, outputs]. later: [M, J, outputs].
        """
        return _by_rows(lambda *of: self._along(*of, tf.constant(at, tf.float64)), state, output, direction, later)

    def jacobian(self, state: Any, output: np.ndarray, successors: int) -> tuple[np.ndarray, np.ndarray]:
        """r [M, conditions] and dr/do [M, conditions, outputs], with the rule's own slope at the successors."""
        count, outputs = output.shape
        group = max(1, _ROWS // outputs)  # states whose directions fill a call
        unit, pieces = np.eye(outputs), []
        for begin in range(0, count, group):
            chosen = np.repeat(np.arange(begin, min(begin + group, count)), outputs)
            rows = tf.nest.map_structure(lambda x, chosen=chosen: x[chosen], state)
            direction = unit[(np.arange(len(chosen)) % outputs)]
            pieces.append(self.along(rows, output[chosen], direction, np.zeros((len(chosen), successors, outputs))))
        residual = np.concatenate([r[::outputs] for r, _ in pieces])
        slope = np.concatenate([dr.reshape(-1, outputs, dr.shape[1]) for _, dr in pieces])
        return residual, np.swapaxes(slope, 1, 2)

    # --- compiled ---------------------------------------------------------------------------------------------------

    def _residuals_along(
        self, state: Any, output: tf.Tensor, direction: tf.Tensor, later: tf.Tensor, at: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(at)
                policy = self.economy.decide(output + at * direction, state)
                E = _Moved(self.rule, state, policy, at, later)
                residuals = self.economy.residuals(state, self.economy.complete(state, policy, E), E)
                stacked = tf.concat([tf.reshape(r, [tf.shape(output)[0], -1]) for r in residuals.values()], axis=1)
            # The derivative of v . r with respect to t is linear in v, with dr/dt as its slope: the same numbers as
            # forward accumulation, traced in two thirds of the time.
            v = tf.zeros_like(stacked)
            outer.watch(v)
            product = inner.gradient(stacked, at, output_gradients=v)
        return stacked, outer.gradient(product, v)

    def _look(self, state: Any) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        output = self.rule.output(state)
        E = self.rule.expectation(state, self.economy.decide(output, state))
        following = E.each(lambda s, q: self.economy.features(s))  # [J, batch, inputs]
        return output, self.economy.features(state), tf.transpose(following, [1, 0, 2])

    def _decisions(self, state: Any, output: tf.Tensor, direction: tf.Tensor) -> tuple[dict, dict, dict]:
        t = tf.zeros([], tf.float64)
        with tf.autodiff.ForwardAccumulator(t, tf.ones_like(t)) as forward:
            policy = fields(self.economy.decide(output + t * direction, state))
        moved = {name: forward.jvp(x, unconnected_gradients=tf.UnconnectedGradients.ZERO) for name, x in policy.items()}
        decided = self.economy.decide(output, state)
        E = self.rule.expectation(state, decided)
        complete = self.economy.complete(state, decided, E)
        return policy, {**complete._asdict(), **self.economy.definitions(state, complete, E)}, moved

    def _next_states(self, state: Any, output: tf.Tensor, number: tf.Tensor) -> Any:
        shocks, _ = self.economy.shocks.successors(state)  # [J, batch(, d)]
        row = tf.range(tf.shape(output)[0]) % tf.shape(shocks)[1]  # nodes are the same for every state
        shock = tf.gather_nd(shocks, tf.stack([number, row], axis=1))
        return self.economy.transition(state, self.economy.decide(output, state), shock)


class _Moved(Expectation):
    """E under a rule whose outputs at the successors are moved by t later_j; later: [batch, J, outputs]."""

    def __init__(self, rule: OutputRule, state: Any, policy: Any, t: tf.Tensor, later: tf.Tensor) -> None:
        self.rule, self.t, self.later = rule, t, tf.transpose(later, [1, 0, 2])
        super().__init__(rule.economy, state, policy, rule.of_successors)
        self.fixed.append(self.later)

    def decide(self, states: Sequence[Any], first: int | tf.Tensor) -> list[Any]:
        outputs = self.rule.outputs_of_successors(states)
        return [
            self.economy.decide(output + self.t * self.later[first + number], state)
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


def _by_rows(f: Callable[..., Any], state: Any, *arrays: np.ndarray) -> Any:
    """f(state, *arrays) on NumPy arrays [M, ...], `_ROWS` rows a call, so that it is compiled for one shape."""
    total = len(state[0])
    pieces = []
    for begin in range(0, total, _ROWS):
        index = np.minimum(np.arange(begin, begin + _ROWS), total - 1)
        given = tf.nest.map_structure(lambda x, index=index: tf.constant(x[index]), (state, *arrays))
        keep = min(_ROWS, total - begin)
        pieces.append(tf.nest.map_structure(lambda x, keep=keep: x.numpy()[:keep], f(*given)))
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *pieces)
