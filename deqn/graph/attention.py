"""Attention between nodes, exactly and at a cost that grows with their number only, and quantiles of what comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import keras
import numpy as np
import tensorflow as tf

from deqn.rnn.networks import Recurrent
from deqn.sequence.quantiles import without_crossings


def softmax_attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    """softmax(q k' / sqrt(d)) v of q, k [..., nodes, d], v [..., nodes, e]: nodes^2 products."""
    score = tf.matmul(q, k, transpose_b=True) / np.sqrt(q.shape[-1])
    return tf.matmul(tf.nn.softmax(score), v)


def fast_attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, directions: tf.Tensor) -> tf.Tensor:
    """The same in nodes * features products, by positive random features (Choromanski et al. 2021, equation 7).

        exp(q'k / sqrt(d)) = E phi(q)' phi(k),  phi(x) = exp(w'x / d^(1/4) - |x|^2 / (2 sqrt(d)))

    directions: w [d, features] of `random_directions`. The error falls with the root of their number, and grows with
    the exponential of the squared lengths of q and k.
    """
    root = q.shape[-1] ** 0.25

    def features(x: tf.Tensor, axis: tuple[int, ...]) -> tf.Tensor:
        x = x / root
        log = tf.matmul(x, directions) - tf.reduce_sum(x**2, axis=-1, keepdims=True) / 2
        return tf.exp(log - tf.reduce_max(log, axis=axis, keepdims=True))  # the factor cancels in the quotient

    of_q, of_k = features(q, (-1,)), features(k, (-2, -1))
    total = tf.linalg.matvec(of_q, tf.reduce_sum(of_k, axis=-2))
    return tf.matmul(of_q, tf.matmul(of_k, v, transpose_a=True)) / total[..., None]


def random_directions(d: int, features: int, seed: int, dtype: str = "float32") -> tf.Tensor:
    """Returns w [d, features] in orthogonal blocks of d, each of a normal vector's length."""
    rng = np.random.default_rng(seed)
    blocks = [np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(-(-features // d))]
    lengths = np.sqrt(rng.chisquare(d, size=features))
    return tf.constant(np.concatenate(blocks, axis=1)[:, :features] * lengths, dtype)


@final
class AttentionForecast(keras.Model):
    """Quantiles of the next rows of every node from its past, other nodes, and what is known ahead (CausalTrans).

        h_v = GRU of the past of v;  attention over time;  attention between nodes;  a dense layer on h and z ahead

    past [batch, time, nodes, features], ahead [batch, horizon, nodes, covariates] -> quantiles [batch, nodes, horizon,
    quantiles]. features: of `fast_attention` between nodes; 0 for the exact one.
    """

    def __init__(
        self, past: int, ahead: int, horizon: int, quantiles: Sequence[float], units: int, features: int, seed: int,
        dtype: str,
    ) -> None:  # fmt: skip
        super().__init__(dtype=dtype)
        self.horizon, self.quantiles = horizon, len(quantiles)
        self.directions = random_directions(units, features, seed, dtype) if features else None

        def dense(out: int, number: int, activation: str | None = None) -> keras.layers.Dense:
            initializer = keras.initializers.GlorotUniform(seed + number)
            return keras.layers.Dense(out, activation, kernel_initializer=initializer, dtype=dtype)

        self.recurrent = Recurrent(past, units, "gru", [units], seed + 1, dtype)
        self.over_time = [dense(units, 10 + number) for number in range(3)]
        self.over_nodes = [dense(units, 20 + number) for number in range(3)]
        self.hidden, self.out = dense(2 * units, 30, "relu"), dense(horizon * len(quantiles), 31)

    def call(self, past: tf.Tensor, ahead: tf.Tensor) -> tf.Tensor:
        batch, (time, nodes, features) = tf.shape(past)[0], past.shape[1:]
        h = self.recurrent(tf.reshape(tf.transpose(past, [0, 2, 1, 3]), [batch * nodes, time, features]))
        q, k, v = (layer(h) for layer in self.over_time)
        h = h[:, -1] + softmax_attention(q[:, -1:], k, v)[:, 0]  # the last row asks all before it
        h = tf.reshape(h, [batch, nodes, h.shape[-1]])
        q, k, v = (layer(h) for layer in self.over_nodes)
        fused = softmax_attention(q, k, v) if self.directions is None else fast_attention(q, k, v, self.directions)
        known = tf.transpose(ahead, [0, 2, 1, 3])
        known = tf.reshape(known, [batch, nodes, self.horizon * ahead.shape[-1]])
        raw = self.out(self.hidden(tf.concat([h, fused, known], axis=-1)))
        return without_crossings(tf.reshape(raw, [batch, nodes, self.horizon, self.quantiles]))
