r"""A sum over many quadrature nodes, node by node, whose gradient computes each node anew.

    total = sum_j term(j),      d total = sum_j d term(j)

A plain loop would keep what every node computes until its gradient is taken: with thousands of nodes more than a
computer has. Here only the sum is kept. The gradient is a sum over nodes again, taken in the same way, so that
derivatives of derivatives are bounded too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def sum_over(
    term: Callable[[tf.Tensor], tf.Tensor], count: int, rows: tf.Tensor, fixed: Sequence[tf.Tensor] = ()
) -> tf.Tensor:
    """sum_j term(j), [rows, ...], over j = 0 ... count - 1; term may use any tensor and variable around it.

    fixed: tensors around it of which no derivative is wanted, such as the nodes.
    """
    if tf.executing_eagerly():  # a few states, looked at by hand
        return tf.add_n([term(tf.constant(j)) for j in range(count)])
    traced = tf.function(term, autograph=False).get_concrete_function(tf.TensorSpec([], tf.int32))
    around = [x for x in traced.captured_inputs if x.dtype.is_floating and not any(x is each for each in fixed)]
    one = traced.structured_outputs
    zeros = tf.zeros([rows if size is None else size for size in one.shape], one.dtype)
    (total,) = _summed(lambda j: [term(j)], [zeros], count, around)
    return total


def _summed(
    terms: Callable[[tf.Tensor], list[tf.Tensor]], zeros: list[tf.Tensor], count: int, around: Sequence[tf.Tensor]
) -> list[tf.Tensor]:
    """The sums of several terms; zeros: of their shapes. around: the tensors on which they depend."""

    @tf.custom_gradient
    def summed(*_: tf.Tensor) -> Any:
        def add(j: tf.Tensor, totals: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
            return j + 1, [total + each for total, each in zip(totals, terms(j), strict=True)]

        _, totals = tf.while_loop(lambda j, _: j < count, add, (tf.constant(0), zeros), maximum_iterations=count)

        def gradient(*upstream: tf.Tensor, variables: Sequence[tf.Variable] = ()) -> Any:
            sources = [*around, *variables]

            def slopes(j: tf.Tensor) -> list[tf.Tensor]:
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(sources)
                    values = terms(j)
                return tape.gradient(values, sources, list(upstream), tf.UnconnectedGradients.ZERO)

            found = _summed(slopes, [tf.zeros_like(x) for x in sources], count, [*around, *upstream])
            return found[: len(around)], found[len(around) :]

        return totals, gradient

    return summed(*around)
