"""Powers of positive numbers, such as marginal utility c^-gamma, as XLA computes them fast."""

from __future__ import annotations

import tensorflow as tf


def power(x: tf.Tensor, exponent: float) -> tf.Tensor:
    """x^exponent for x > 0, at every entry.

    XLA calls a library function for each number of tf.pow, about 15 nanoseconds each, and does so once more in every
    expression that uses the result. Multiplication, square roots and exp(exponent ln x) it computes for 16 numbers at
    a time. The last digit may differ from tf.pow's.
    """
    if exponent < 0:
        return 1 / power(x, -exponent)  # XLA's reciprocal square root is only approximate, and depends on the batch
    if exponent == 0.5:
        return tf.sqrt(x)
    if exponent in (1, 2, 3):
        return x**exponent  # XLA multiplies
    return tf.exp(exponent * tf.math.log(x))
