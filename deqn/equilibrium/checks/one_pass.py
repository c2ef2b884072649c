"""One pass through an economy's equations: what each method gives, and which derivatives there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.equilibrium.checks import shapes
from deqn.equilibrium.economy import Economy
from deqn.equilibrium.expectation import Expectation
from deqn.equilibrium.incomplete import fields
from deqn.project.user_code import folder_of, mistakes_in_user_code


class OnePass:
    """All equations once at some states; the shapes and types of what they give are checked as it comes.

    output: [batch, outputs], what the network says today. next_output: [outputs], what it says in the next period.
    following: real fields of next period's states and policies. sums: by condition, a weighted sum to differentiate;
    error_sums: the same of what is reported.
    reported: by method, everything with a name.
    """

    def __init__(
        self, economy: Economy, state: Any, output: tf.Tensor, every_shock: bool = False, frozen: bool = False
    ) -> None:
        self.economy, self.state, self.output = economy, state, output
        self.next_output = tf.zeros([economy.width], economy.dtype)
        with tf.GradientTape(persistent=True) as self.tape:
            self.tape.watch([output, self.next_output])
            with mistakes_in(economy, "features"):
                shapes.check_features(economy, state)
            with mistakes_in(economy, "policy"):
                self.policy = economy.decide(output, state)
                shapes.check_policy(economy, self.policy, state)
            decided = fields(self.policy)
            with mistakes_in(economy, "transition"):
                operator = Expectation(
                    economy, state, self.policy, lambda s: self._decide(s, every_shock), frozen, most=3
                )
            # Copies, or savings that are next period's capital would count as something that E is taken of.
            operator.states = [tf.nest.map_structure(tf.identity, each) for each in operator.states]
            operator.policies = [
                each._replace(**{name: tf.identity(x) for name, x in fields(each).items()})
                for each in operator.policies
            ]
            self.next_states, self.next_policies = operator.states, operator.policies
            self.following = [x for each in operator.states for x in each if _is_real(x)]
            self.following += [x for each in operator.policies for x in fields(each).values() if _is_real(x)]
            self.tape.watch(self.following)
            self.E = _CheckedExpectation(operator)
            with mistakes_in(economy, "complete"):
                self.policy = economy.complete(state, self.policy, self.E)
                shapes.check_policy(economy, self.policy, state, "complete")
            self.residuals = self._named("residuals", state, self.policy, self.E)
            self.expectations = self.E.calls
            self.sums = _summed(self.residuals)
            self.total = tf.add_n(list(self.sums.values()))
            self.errors = self._named("errors", state, self.policy, self.E)
            with mistakes_in(economy, "constraints"):
                self.constraints = economy.constraints(state, self.policy)
                shapes.check_constraints(self.constraints, self.errors, state)
            self.errors |= {name: multiplier * slack for name, (multiplier, slack) in self.constraints.items()}
            self.error_sums = _summed(self.errors)
            real = [x for x in decided.values() if _is_real(x)]
            self.policies = tf.add_n([tf.reduce_sum(x * _weights(x, number)) for number, x in enumerate(real)])
        self.reported = {
            "policy": self.policy._asdict(),
            "residuals": self.residuals,
            "errors": self.errors,
            "definitions": self._named("definitions", state, self.policy, self.E),
            "flags": self._named("flags", state, self.policy),
        }
        with mistakes_in(economy, "is_inside"):
            self.inside = economy.is_inside(state)
            self.next_inside = [economy.is_inside(each) for each in operator.states]

    def _decide(self, states: Sequence[Any], every_shock: bool) -> list[Any]:
        """Checks the states of the next period and gives the policies there."""
        shapes.check_following(self.economy, self.state, states, every_shock)
        policies = []
        for state in states:
            output = tf.zeros([state[0].shape[0], self.economy.width], self.economy.dtype) + self.next_output
            with mistakes_in(self.economy, "policy"):
                policies.append(self.economy.decide(output, state))
        return policies

    def _named(self, method: str, *arguments: Any) -> dict[str, tf.Tensor]:
        with mistakes_in(self.economy, method):
            values = getattr(self.economy, method)(*arguments)
            shapes.check_named(method, values, self.state, self.economy)
            return {name: tf.convert_to_tensor(x) for name, x in values.items()}


class _CheckedExpectation:
    """E that counts its calls and refuses what is no function of next period's state and policy."""

    def __init__(self, operator: Expectation) -> None:
        self.operator, self.calls = operator, 0

    def __call__(self, f: Any) -> tf.Tensor:
        self.calls += 1
        if not callable(f):
            raise TypeError(
                f"E got {shapes.kind(f)}, expected a function of next period's state and policy: E(lambda s, q: ...)"
            )
        return self.operator(lambda s, q: self._checked(f, s, q))

    def _checked(self, f: Any, s: Any, q: Any) -> tf.Tensor:
        values = tf.convert_to_tensor(f(s, q))
        if not values.shape.rank or values.shape[0] != s[0].shape[0]:
            raise ValueError(f"E's function gives shape {list(values.shape)}, expected [{s[0].shape[0]}, ...]")
        return values


def mistakes_in(economy: Economy, method: str) -> Any:
    """Within it an exception in the economy's file becomes a UserError of one line."""
    return mistakes_in_user_code(folder_of(type(economy)), method)


def _summed(conditions: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {name: tf.reduce_sum(x * _weights(x, number)) for number, (name, x) in enumerate(conditions.items())}


def _is_real(x: tf.Tensor) -> bool:
    return tf.convert_to_tensor(x).dtype.is_floating


def _weights(x: tf.Tensor, number: int = 0) -> tf.Tensor:
    """Random weights, always the same, so that no two derivatives cancel in the sum.

    number: of the field among several: what is consumed and what is saved add up to what there is.
    """
    return tf.constant(np.random.default_rng([2, number]).standard_normal(x.shape), x.dtype)
