"""OD-CED: rates of flows between all pairs of cells from the last hours' flows between regions (Bai et al. 2019)."""

from __future__ import annotations

from typing import final

import keras
import numpy as np
import tensorflow as tf


@final
class OriginDestination(keras.Model):
    """Coarsen, encode, decode: flows [batch, time, regions, regions], hour [batch] -> log rates [batch, cells, cells].

        encode   e_r = relu of what leaves r, and what reaches it, by region, over time: the same weights for every r
        decode   log rate_ij = level + o_i' d_j + a_i + b_j - w_1 distance_ij - w_2 distance_ij^2,
                 (o_i, a_i) and (d_j, b_j) from cell, hour and code of its region by one layer each

    region: int [cells], of each cell. distance: [cells, cells]. hours: in a season. Cells that change places with all
    that belongs to them change places in the rates: nothing but the embedding tells a cell from another.
    """

    def __init__(
        self, region: np.ndarray, distance: np.ndarray, hours: int, units: int, width: int, seed: int, dtype: str
    ) -> None:
        super().__init__(dtype=dtype)
        self.region, self.cells, self.regions = tf.constant(region), len(region), int(region.max()) + 1
        self.distance = tf.constant(distance / distance.mean(), dtype)

        def table(rows: int, number: int) -> keras.layers.Embedding:
            initializer = keras.initializers.RandomNormal(0.0, 0.1, seed=seed + number)
            return keras.layers.Embedding(rows, 2 * width, initializer, dtype=dtype)

        def dense(out: int, number: int, activation: str | None = None) -> keras.layers.Dense:
            initializer = keras.initializers.GlorotUniform(seed + number)
            return keras.layers.Dense(out, activation, kernel_initializer=initializer, dtype=dtype)

        self.of_cell = [table(self.cells, number) for number in (1, 2)]
        self.of_hour = [table(hours, number) for number in (3, 4)]
        self.encoder = dense(units, 5, "relu")
        self.code = [dense(2 * width, number) for number in (6, 7)]
        self.heads = [dense(width + 1, number) for number in (8, 9)]
        self.by_distance = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", dtype=dtype)

    def begin_at(self, log_rate: float) -> None:
        """Sets the constant of the log rates; the network is built."""
        self.heads[0].bias.assign([0.0] * (self.heads[0].units - 1) + [log_rate])

    def coarsened(self, flows: np.ndarray) -> np.ndarray:
        """Sums flows [..., cells, cells] to [..., regions, regions]."""
        to_region = np.eye(self.regions)[self.region.numpy()]
        return to_region.T @ flows @ to_region

    def call(self, flows: tf.Tensor, hour: tf.Tensor) -> tf.Tensor:
        leaving, reaching = tf.transpose(flows, [0, 2, 1, 3]), tf.transpose(flows, [0, 3, 1, 2])
        seen = tf.concat([leaving, reaching], axis=-1)
        batch, size = tf.shape(flows)[0], flows.shape[1] * 2 * self.regions
        encoded = self.encoder(tf.reshape(seen, [batch, self.regions, size]))
        ends = []
        for number in range(2):
            state = tf.gather(self.code[number](encoded), self.region, axis=1)
            known = self.of_cell[number](tf.range(self.cells)) + self.of_hour[number](hour)[:, None]
            ends.append(self.heads[number](tf.nn.tanh(known + state) + self.of_cell[number](tf.range(self.cells))))
        o, d = ends
        product = tf.matmul(o[..., :-1], d[..., :-1], transpose_b=True)
        return product + o[..., -1:] + tf.transpose(d[..., -1:], [0, 2, 1]) - self._resistance()

    def _resistance(self) -> tf.Tensor:
        return self.by_distance(tf.stack([self.distance, self.distance**2], axis=-1))[..., 0]
