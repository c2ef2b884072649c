"""The convolutional network of Mnih et al. (2015, Nature 518)."""

from __future__ import annotations

from typing import final

import keras
import tensorflow as tf


@final
class AtariNetwork(keras.Model):
    """The Q-values of four stacked frames: [batch, 4, 84, 84] of 0 to 255 -> [batch, 1, actions].

        x/255 -> conv 32, 8 x 8, stride 4 -> conv 64, 4 x 4, stride 2 -> conv 64, 3 x 3, stride 1 -> 512 -> actions

    each but the last with relu: 1,686,180 weights for four actions.
    """

    def __init__(self, actions: int, seed: int, dtype: str) -> None:
        super().__init__(dtype=dtype)
        # Uniform with variance 2/inputs (He et al. 2015), as relus want it.
        initializers = [keras.initializers.HeUniform(seed=1000 * seed + number) for number in range(5)]
        self.layers_hidden = [
            keras.layers.Conv2D(filters, size, strides, activation="relu", kernel_initializer=initializer, dtype=dtype)
            for filters, size, strides, initializer in zip(
                (32, 64, 64), (8, 4, 3), (4, 2, 1), initializers, strict=False
            )
        ]
        self.dense = keras.layers.Dense(512, activation="relu", kernel_initializer=initializers[3], dtype=dtype)
        self.head = keras.layers.Dense(actions, kernel_initializer=initializers[4], dtype=dtype)
        self(tf.zeros([1, 4, 84, 84], dtype))

    def call(self, frames: tf.Tensor) -> tf.Tensor:
        """Puts channels last, because TensorFlow convolves only such on a CPU."""
        x = tf.transpose(tf.cast(frames, self.compute_dtype) / 255.0, [0, 2, 3, 1])  # [batch, 84, 84, 4]
        for layer in self.layers_hidden:
            x = layer(x)
        x = tf.reshape(x, [-1, 7 * 7 * 64])
        return self.head(self.dense(x))[:, None, :]
