r"""The economy of `economy.py` with one network that decides for every country.

Countries differ in what they consume. But all consume at the same lambda, so that who owns the output does not matter:
k'_j is the same function of country j's own k_j and a_j, and of how k and a are distributed over all. The network sees
country j and, of the distribution, the means of ln k and ln a, their variances and their covariance.
"""

from __future__ import annotations

import tensorflow as tf

from .economy import IRBC, Parameters, Policy, State


class SymmetricIRBC(IRBC):
    """The economy above for any number of countries; the network says ln(1 + g) of one of them."""

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        self.outputs = 1

    def features(self, state: State) -> tf.Tensor:
        """Of each country ln k and ln a, and the two means, variances and the covariance over all, [batch, N, 7]."""
        own = tf.stack([tf.math.log(state.capital), state.log_productivity], axis=2)
        mean = tf.reduce_mean(own, axis=1, keepdims=True)
        k, a = tf.unstack(own - mean, axis=2)
        spread = tf.reduce_mean(tf.stack([k * k, k * a, a * a], axis=2), axis=1, keepdims=True)
        of_all = tf.concat([mean, spread], axis=2)
        return tf.concat([own, tf.repeat(of_all, self.p.countries, axis=1)], axis=2)

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        """output: [batch, N, 1]."""
        return super().policy(output[..., 0], state)
