"""Networks for a household's rule: kinks spread over own wealth, and moments of the distribution that are learned."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deqn.mlp.networks import MLP

_OWN, _TYPES, _MOMENTS, _HIDDEN = 2, 2, 2, 16  # inputs before the cells: own wealth, and whether there is a boom


class Household(MLP):
    """A perceptron whose first input is own wealth, in which the rule bends most.

    Its first layer bends evenly over the sample's range, and it begins near zero, where consumption is the yardstick's.
    """

    def adapt(self, sample: np.ndarray) -> None:
        """Standardises from a sample [n, inputs], what is told of the distribution by one scale; spreads the bends."""
        super().adapt(sample)
        told = sample[:, _OWN:].std(axis=0)
        if len(told) > 1:  # each by its own spread, cells empty in the sample would count too much as they fill
            scale = self.standardize.scale.numpy()
            scale[_OWN:] = np.linalg.norm(told)
            self.standardize.scale.assign(scale)
        self.spread_bends(sample)
        self.head.kernel.assign(0.1 * self.head.kernel.numpy())


class GeneralisedMoments(keras.Model):
    r"""`Household` that sees learned moments of the distribution (Han, Yang and E 2021, "DeepHAM").

        g_k = sum over types s and cells x of  (m(x,s) - mean m(x,s)) N_k(x,s) / scale,   k = 1, 2

    N: a perceptron of one hidden layer. Inputs: own wealth, a boom or not, and the shares m of households in each
    cell of wealth by type, as `told: bins` shows them. mean: over a sample; scale: the mean cell's standard deviation.
    """

    def __init__(self, inputs: int, seed: int, dtype: str, **settings: Any) -> None:
        super().__init__(dtype=dtype)
        self.cells = (inputs - _OWN) // _TYPES
        self.rule = Household(inputs=_OWN + _MOMENTS, seed=seed, dtype=dtype, **settings)
        start = [keras.initializers.GlorotUniform(seed=1000 * seed + 500 + number) for number in range(2)]
        self.layers_moments = [
            keras.layers.Dense(_HIDDEN, activation="tanh", kernel_initializer=start[0], dtype=dtype, name="basis"),
            keras.layers.Dense(_MOMENTS, kernel_initializer=start[1], dtype=dtype, name="moments"),
        ]
        place = np.tile(np.linspace(-1, 1, self.cells), _TYPES)
        kind = np.repeat(np.eye(_TYPES), self.cells, axis=0)
        self.points = np.column_stack([place, kind]).astype(dtype)  # [types x cells, 1 + types]
        self.mean = self.add_weight(shape=[len(place)], name="mean", trainable=False, initializer="zeros")
        self.scale = self.add_weight(shape=[], name="scale", trainable=False, initializer="ones")
        self(tf.zeros([1, inputs], dtype))

    def adapt(self, sample: np.ndarray) -> None:
        """Takes the mean shares of a sample [n, inputs] and its spread of the mean cell, then standardises."""
        shares = sample[:, _OWN:]
        self.mean.assign(shares.mean(axis=0))
        self.scale.assign(max(float((shares @ self.points[:, 0]).std()), 1e-6))
        self.rule.adapt(self.seen(tf.constant(sample.astype(self.dtype))).numpy())

    def seen(self, inputs: tf.Tensor) -> tf.Tensor:
        """Own wealth, a boom or not, and the moments, [batch, 4]."""
        basis = tf.constant(self.points)
        for layer in self.layers_moments:
            basis = layer(basis)  # [types x cells, moments]
        moments = tf.matmul((inputs[:, _OWN:] - self.mean) / self.scale, basis)
        return tf.concat([inputs[:, :_OWN], moments], axis=1)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.rule(self.seen(inputs))

    def by_head(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """[batch, inputs] -> for each head [batch, outputs]."""
        return tf.unstack(self(inputs), axis=1)
