r"""Keras layers on the nodes of a graph: Chebyshev filters, edges with an importance, attention along edges.

All take x [..., nodes, features] and return [..., nodes, units]. Where no graph is learned, nodes that change places
change the places of the outputs and nothing else.
"""

from __future__ import annotations

from typing import Any, final

import keras
import numpy as np
import tensorflow as tf

from deqn.graph.graphs import chebyshev, scaled_laplacian


@final
class Chebyshev(keras.layers.Layer):
    """sum_A sum_{k <= order} T_k(2 L_A / lambda_max - I) x W_{A,k} + b (ST-MGCN, Geng et al. 2019, equation 5).

    graphs: adjacencies [graphs, nodes, nodes]. The order is how many edges a node sees away.
    """

    def __init__(self, graphs: Any, order: int, units: int, seed: int, activation: str | None = None, **more: Any):
        super().__init__(**more)
        filters = np.concatenate([chebyshev(scaled_laplacian(np.asarray(a)), order) for a in graphs])
        self.filters = tf.constant(filters, self.compute_dtype)
        self.dense = keras.layers.Dense(
            units, activation, kernel_initializer=keras.initializers.GlorotUniform(seed), dtype=self.dtype_policy
        )

    def build(self, shape: Any) -> None:
        self.dense.build([*shape[:-1], len(self.filters) * shape[-1]])
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        seen = tf.einsum("kij,...jf->...ikf", self.filters, x)
        return self.dense(tf.reshape(seen, tf.concat([tf.shape(x)[:-1], [len(self.filters) * x.shape[-1]]], 0)))


@final
class Edges(keras.layers.Layer):
    """sum_k (A o M_k) x W_k + x W_0 + b with an importance M_k of every edge, learned (ST-GCN, Gadgil et al. 2020).

    a: adjacency [nodes, nodes] of the edges that may carry something. hops: matrices M_k, each with weights of its own.
    signed: whether an importance may be below zero; otherwise it is the softplus of a weight, about one at first.
    `importance` [hops, nodes, nodes] is A o M.
    """

    def __init__(self, a: Any, units: int, seed: int, hops: int = 1, signed: bool = False, **more: Any) -> None:
        super().__init__(**more)
        self.a, self.hops, self.signed = tf.constant(np.asarray(a), self.compute_dtype), hops, signed
        self.raw = self.add_weight(
            shape=[hops, *self.a.shape], initializer=keras.initializers.Constant(0.0 if signed else 0.5413)
        )
        dense = {"use_bias": False, "dtype": self.dtype_policy}
        self.own = keras.layers.Dense(
            units, kernel_initializer=keras.initializers.GlorotUniform(seed), dtype=self.dtype_policy
        )
        self.through = keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed + 1), **dense)

    def build(self, shape: Any) -> None:
        self.own.build(shape)
        self.through.build([*shape[:-1], self.hops * shape[-1]])
        self.built = True

    @property
    def importance(self) -> tf.Tensor:
        return self.a * (self.raw if self.signed else tf.math.softplus(self.raw))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        seen = tf.einsum("kij,...jf->...ikf", self.importance, x)
        flat = tf.reshape(seen, tf.concat([tf.shape(x)[:-1], [self.hops * x.shape[-1]]], 0))
        return self.own(x) + self.through(flat)


@final
class EdgeAttention(keras.layers.Layer):
    """P_ij softmax_j(Q_i K_j' / sqrt(d)) over the edges of P, its rows with the sum of P's: a graph that changes.

    After D2STGNN (Shao et al. 2022, equations 13 and 14), where P o softmax(.) has rows that sum to less.
    x [..., nodes, features] -> [..., nodes, nodes].
    """

    def __init__(self, p: Any, width: int, seed: int, **more: Any) -> None:
        super().__init__(**more)
        self.p, self.width = tf.constant(np.asarray(p), self.compute_dtype), width
        self.query, self.key = (
            keras.layers.Dense(
                width, kernel_initializer=keras.initializers.GlorotUniform(seed + k), dtype=self.dtype_policy
            )
            for k in range(2)
        )

    def build(self, shape: Any) -> None:
        self.query.build(shape)
        self.key.build(shape)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        score = tf.einsum("...id,...jd->...ij", self.query(x), self.key(x)) / np.sqrt(self.width)
        score -= tf.reduce_max(score, axis=-1, keepdims=True)
        weight = self.p * tf.exp(score)
        total = tf.reduce_sum(weight, axis=-1, keepdims=True)
        return weight * tf.math.divide_no_nan(tf.reduce_sum(self.p, axis=-1, keepdims=True), total)
