"""Networks of the price and of a household's rule."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from deqn.mlp.networks import MLP


class Household(MLP):
    """A perceptron whose first input is own wealth, in which the rule bends most.

    Its first layer bends evenly over the sample's range, and it begins near zero, where consumption is the yardstick's.
    """

    def adapt(self, sample: np.ndarray) -> None:
        """Standardises from a sample [n, inputs], spreads the bends of the first layer over the first input."""
        super().adapt(sample)
        self.spread_bends(sample)
        self.head.kernel.assign(0.1 * self.head.kernel.numpy())


class Price(MLP):
    """A perceptron of the aggregate state alone: it does not see the first input, own wealth."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return super().call(_without_own(inputs))

    def by_head(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """[batch, inputs] -> for each head [batch, outputs]."""
        return super().by_head(_without_own(inputs))


def _without_own(inputs: tf.Tensor) -> tf.Tensor:
    return tf.concat([tf.zeros_like(inputs[:, :1]), inputs[:, 1:]], axis=1)
