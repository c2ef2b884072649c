"""Independent multi-layer perceptrons trained side by side: one operation a layer for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deqn.mlp.networks import keras_activation


class Ensemble(keras.Model):
    """A set of networks of equal widths, each with weights, data and a loss of its own.

        [members, batch, inputs] -> [members, batch, outputs]

    The sum of their losses as one loss trains each by its own gradient, under any optimiser that treats weights one by
    one and without clipping: Adam, SGD and the like, not Muon.

    hidden: widths. activation: any Keras activation. seed: of the initial weights, Glorot-uniform by the widths of one
    network. Weights have the member's number as leading axis. Raises ValueError: unknown activation, no members.
    """

    def __init__(
        self, members: int, inputs: int, outputs: int, hidden: Sequence[int], activation: str, seed: int, dtype: str
    ) -> None:
        if members < 1:
            raise ValueError(f"members: got {members}, expected 1 or more")
        super().__init__(dtype=dtype)
        self.layers_dense = [
            keras.layers.EinsumDense(
                "mbi,mio->mbo",
                output_shape=(None, width),
                bias_axes="mo",
                activation=keras_activation(activation) if number < len(hidden) else None,
                kernel_initializer=_EachGlorot(1000 * seed + number),
                dtype=dtype,
                name=f"hidden_{number}" if number < len(hidden) else "head",
            )
            for number, width in enumerate([*hidden, outputs])
        ]
        self(tf.zeros([members, 1, inputs], dtype))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        x = inputs
        for layer in self.layers_dense:
            x = layer(x)
        return x

    def assign_layers(self, member: int, layers: Sequence[np.ndarray]) -> None:
        """Gives one member the weights of a HandWrittenMLP as its `layers` lists them (bias input -1, last row)."""
        for layer, V in zip(self.layers_dense, layers, strict=True):
            for variable, value in ((layer.kernel, V[:-1]), (layer.bias, -V[-1])):
                whole = np.array(variable)
                whole[member] = value
                variable.assign(whole)

    def layers_of(self, member: int) -> list[np.ndarray]:
        """Returns one member's weights as `assign_layers` takes them."""
        return [
            np.vstack([np.asarray(layer.kernel)[member], -np.asarray(layer.bias)[member]])
            for layer in self.layers_dense
        ]


class _EachGlorot(keras.initializers.Initializer):
    """[members, inputs, outputs], Glorot-uniform for each member: Keras would count the members as inputs, too."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
        limit = np.sqrt(6 / (shape[1] + shape[2]))
        drawn = np.random.default_rng([self.seed, 1]).uniform(-limit, limit, size=shape)
        return tf.constant(drawn, dtype=dtype)
