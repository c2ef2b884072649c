"""Networks that tell which class a graph belongs to, and which of its nodes tell: BrainGNN, and graphs that change."""

from __future__ import annotations

from typing import final

import keras
import numpy as np
import tensorflow as tf

from deqn.rnn.networks import Recurrent


def _dense(out: int, seed: int, dtype: str, activation: str | None = None) -> keras.layers.Dense:
    return keras.layers.Dense(out, activation, kernel_initializer=keras.initializers.GlorotUniform(seed), dtype=dtype)


@final
class PlaceConvolution(keras.layers.Layer):
    """h_i' = relu(W_i x_i + sum_j a_ij W_j x_j / sum_j a_ij), W_i = sum_u relu(Theta)_iu B_u: a kernel for each place.

    BrainGNN's Ra-GConv (Li et al. 2021, equations 1 to 3): nodes are the same places in every graph, and places of one
    of `communities` share weights. a: [batch, nodes, nodes], x: [batch, nodes, features].
    """

    def __init__(self, nodes: int, features: int, units: int, communities: int, seed: int, dtype: str) -> None:
        super().__init__(dtype=dtype)
        normal = keras.initializers.RandomUniform(0.0, 1.0, seed=seed)
        self.membership = self.add_weight(shape=[nodes, communities], initializer=normal)
        limit = np.sqrt(6 / (features + units) / communities)
        self.basis = self.add_weight(
            shape=[communities, features, units], initializer=keras.initializers.RandomUniform(-limit, limit, seed + 1)
        )
        self.built = True

    def call(self, a: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        own = tf.einsum("iu,bif,ufg->big", tf.nn.relu(self.membership), x, self.basis)
        degree = tf.reduce_sum(tf.abs(a), axis=-1, keepdims=True)
        return tf.nn.relu(own + tf.math.divide_no_nan(tf.matmul(a, own), degree))


@final
class BrainGNN(keras.Model):
    """A graph of known places -> log-odds [batch] and scores [batch, nodes], by which `keep` nodes are kept.

        s_i = sigma(h_i' w / |w|),  of the nodes with the largest s:  mean and largest s_i h_i,  a dense layer

    (Li et al. 2021, equations 4 to 7), but with the gradient of a readout of all nodes, which reaches those that are
    dropped, too. A node's features are its mean links to each part of an atlas and to its own part. parts: [nodes,
    parts], whose columns sum to one. With the rows of the graph themselves every node would tell of all others; without
    its own part each part has to learn a direction by itself, and a node that is the only one of its part that tells is
    dropped.
    """

    def __init__(self, parts: np.ndarray, keep: int, units: int, seed: int, dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.keep, self.parts = keep, tf.constant(parts, dtype)
        self.convolution = PlaceConvolution(len(parts), parts.shape[1] + 1, units, parts.shape[1], seed, dtype)
        self.member = tf.constant(parts > 0, dtype)
        self.direction = _dense(1, seed + 2, dtype)
        self.hidden, self.out = _dense(units, seed + 3, dtype, "relu"), _dense(1, seed + 4, dtype)

    def call(self, graphs: tf.Tensor, every: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads the nodes that are kept, or with `every` all of them."""
        a = graphs[:, -1]
        h = self.convolution(a, self.features(a))
        length = tf.norm(self.direction.kernel) if self.direction.built else 1.0
        score = tf.nn.sigmoid(self.direction(h)[..., 0] / length)
        least = tf.math.top_k(score, score.shape[1] if every else self.keep).values[:, -1:]
        weighted = score[..., None] * h
        dropped = tf.where((score < least)[..., None], weighted, 0.0)
        kept = weighted - tf.stop_gradient(dropped)  # the gradient reaches the others too: a node can come back
        read = tf.concat([tf.reduce_sum(kept, axis=1) / self.keep, tf.reduce_max(kept, axis=1)], axis=-1)
        return self.out(self.hidden(read))[:, 0], score

    def features(self, a: tf.Tensor) -> tf.Tensor:
        """Returns [batch, nodes, parts + 1]: mean links to each part, and to the node's own part."""
        links = tf.matmul(a, self.parts)
        return tf.concat([links, tf.reduce_sum(links * self.member, axis=-1, keepdims=True)], axis=-1)


def pooling_loss(score: tf.Tensor, keep: int) -> tf.Tensor:
    """Returns BrainGNN's TopK pooling loss: scores of kept nodes near one, of the others near zero (equation 9)."""
    ordered = tf.clip_by_value(tf.sort(score, axis=-1, direction="DESCENDING"), 1e-6, 1 - 1e-6)
    return -tf.reduce_mean(tf.math.log(ordered[:, :keep])) - tf.reduce_mean(tf.math.log(1 - ordered[:, keep:]))


def consistency_loss(score: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Returns BrainGNN's group-level consistency: the variance of scores within a class, mean over nodes (eq. 10)."""
    found = 0.0
    for which in (label, 1 - label):
        weight = (which / tf.maximum(tf.reduce_sum(which), 1.0))[:, None]
        mean = tf.reduce_sum(weight * score, axis=0)
        found += tf.reduce_mean(tf.reduce_sum(weight * (score - mean) ** 2, axis=0))
    return found


@final
class DynamicGraph(keras.Model):
    """Graphs over time [batch, time, nodes, nodes] -> log-odds [batch] and scores [batch, nodes].

        h_t = graph convolution at t,  read_t = sum_i s_i h_it,  GRU over time,  attention over its states,  log-odds

    A spatial convolution in every window and a recurrent network over windows, trained as one.
    """

    def __init__(self, nodes: int, units: int, communities: int, seed: int, dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.nodes = nodes
        self.convolution = PlaceConvolution(nodes, nodes, units, communities, seed, dtype)
        self.direction = _dense(1, seed + 2, dtype)
        self.recurrent = Recurrent(units, units, "gru", [units], seed + 3, dtype)
        self.ask, self.out = _dense(1, seed + 5, dtype), _dense(1, seed + 6, dtype)

    def call(self, graphs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch, time = tf.shape(graphs)[0], graphs.shape[1]
        flat = tf.reshape(graphs, [batch * time, self.nodes, self.nodes])
        h = self.convolution(flat, flat)
        score = tf.nn.sigmoid(self.direction(h)[..., 0])
        read = tf.reduce_mean(score[..., None] * h, axis=1)
        states = self.recurrent(tf.reshape(read, [batch, time, read.shape[-1]]))
        weight = tf.nn.softmax(self.ask(states), axis=1)
        odds = self.out(tf.reduce_sum(weight * states, axis=1))[:, 0]
        return odds, tf.reduce_mean(tf.reshape(score, [batch, time, self.nodes]), axis=1)
