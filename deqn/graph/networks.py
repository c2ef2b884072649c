"""Networks that forecast a panel of nodes on a graph: a window [batch, time, nodes, features] -> [batch, nodes].

Of a window's features the first is what is forecast, later ones are seen beside it. `hour` [batch, time] counts from 0
the place of each row in a season, such as the hour of a day.
"""

from __future__ import annotations

from typing import Any, final

import keras
import numpy as np
import tensorflow as tf

from deqn.graph.graphs import diffusion
from deqn.graph.layers import Chebyshev, EdgeAttention, Edges
from deqn.rnn.networks import Recurrent


def by_node(window: tf.Tensor) -> tf.Tensor:
    """[batch, time, nodes, features] -> [batch, nodes, time * features]."""
    batch, (time, nodes, features) = tf.shape(window)[0], window.shape[1:]
    return tf.reshape(tf.transpose(window, [0, 2, 1, 3]), [batch, nodes, time * features])


def _dense(units: int, seed: int, dtype: str, activation: str | None = None) -> keras.layers.Dense:
    return keras.layers.Dense(units, activation, kernel_initializer=keras.initializers.GlorotUniform(seed), dtype=dtype)


@final
class Filter(keras.Model):
    """One Chebyshev layer on all lags, and beside it two with a ReLU between them if `hidden` is above zero."""

    def __init__(self, graphs: Any, order: int, hidden: int, seed: int, dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.linear = Chebyshev(graphs, order, 1, seed, dtype=dtype)
        self.deep = []
        if hidden:
            first = Chebyshev(graphs, order, hidden, seed + 1, "relu", dtype=dtype)
            self.deep = [first, Chebyshev(graphs, order, 1, seed + 2, dtype=dtype)]

    def call(self, window: tf.Tensor, hour: tf.Tensor) -> tf.Tensor:
        x = by_node(window)
        found = self.linear(x)
        if self.deep:
            found += self.deep[1](self.deep[0](x))
        return found[..., 0]


@final
class ContextGated(keras.Model):
    """ST-MGCN's contextual gated recurrent network (Geng et al. 2019, equations 6 to 9).

        Xh_t = [X_t, F(X_t)],  z_t = mean over nodes of Xh_t,  s = sigma(W_2 relu(W_1 z)) in R^time,
        h = RNN of s_t X_t, the same for every node,  forecast = relu(h) v + c

    gate: "mean" as in the paper; "own", s from each node's own Xh; "none", s = 1.
    """

    def __init__(
        self, graphs: Any, order: int, time: int, features: int, cell: str, units: int, gate: str, seed: int, dtype: str
    ) -> None:
        super().__init__(dtype=dtype)
        self.gate = gate
        self.context = Chebyshev(graphs, order, features, seed, dtype=dtype)
        self.squeeze, self.excite = _dense(units, seed + 1, dtype, "relu"), _dense(time, seed + 2, dtype, "sigmoid")
        self.recurrent = Recurrent(features, units, cell, [units], seed + 3, dtype)
        self.out = _dense(1, seed + 4, dtype)

    def call(self, window: tf.Tensor, hour: tf.Tensor) -> tf.Tensor:
        batch, (time, nodes, features) = tf.shape(window)[0], window.shape[1:]
        if self.gate != "none":
            seen = by_node(tf.concat([window, self.context(window)], axis=-1))
            if self.gate == "mean":
                seen = tf.reduce_mean(seen, axis=1, keepdims=True)
            s = self.excite(self.squeeze(seen))  # [batch, nodes or 1, time]
            window *= tf.transpose(s, [0, 2, 1])[..., None]
        each = tf.reshape(tf.transpose(window, [0, 2, 1, 3]), [batch * nodes, time, features])
        hidden = tf.nn.relu(self.recurrent.last(each))
        return self.out(tf.reshape(hidden, [batch, nodes, hidden.shape[-1]]))[..., 0]


@final
class Decoupled(keras.Model):
    """D2STGNN's layers: what spreads over the graph and what each node does by itself (Shao et al. 2022, eqs. 3-12).

        X_dif = Lambda o X,  Lambda = sigma(relu([T, E^u, E^d] W_1) W_2)          what share spreads, by hour and node
        H_t = sum_{k_s, k_t} P^{k_s} X_dif_{t - k_t} W_{k_s, k_t}                 forecast and backcast of the diffusion
        X_inh = X - backcast;  GRU and attention over time                        forecast and backcast of the inherent

    The next layer gets X_inh less its backcast; the forecast is the sum of all. a: adjacency, weighted by rows to P.
    season: rows after which hours begin again. gated: whether Lambda is learned; otherwise it is 1. dynamic: P_t
    follows hour and node by `EdgeAttention` (equations 13 and 14).
    """

    def __init__(
        self, a: np.ndarray, season: int, layers: int, hops: int, lags: int, units: int, width: int,
        gated: bool, dynamic: bool, seed: int, dtype: str,
    ) -> None:  # fmt: skip
        super().__init__(dtype=dtype)
        self.p, self.hops, self.lags = tf.constant(diffusion(a), dtype), hops, lags
        self.gated, self.dynamic = gated, dynamic
        self.nodes = len(a)
        if gated or dynamic:
            self.hours, self.places = (
                keras.layers.Embedding(n, w, keras.initializers.RandomNormal(0.0, 1.0, seed=seed + 50 + k), dtype=dtype)
                for k, (n, w) in enumerate([(season, width), (self.nodes, 2 * width)])
            )
        if dynamic:
            self.attention = EdgeAttention(diffusion(a), units, seed + 5, dtype=dtype)
            self.mixed = _dense(units, seed + 8, dtype, "relu")
        self.blocks = [
            _Block(units, gated, number + 1 == layers, seed + 100 * number, dtype) for number in range(layers)
        ]

    def build(self, *shapes: Any) -> None:
        self.built = True  # the layers build themselves where they are first called

    def call(self, window: tf.Tensor, hour: tf.Tensor) -> tf.Tensor:
        x = window[..., :1]
        code = self.code(hour) if self.gated or self.dynamic else None
        p = self.attention(self.mixed(code)) if self.dynamic else None
        forecast = 0.0
        for block in self.blocks:
            spread = block.gate(code) * x if self.gated else x
            dif, back = block.diffusion(self._localised(spread, p))
            inherent = x - back
            inh, back = block.inherent(inherent)
            forecast += dif + inh
            x = None if back is None else inherent - back
        return forecast

    def code(self, hour: tf.Tensor) -> tf.Tensor:
        """Returns [batch, time, nodes, 3 width]: what Lambda and the graph are told of hour and node."""
        when, where = self.hours(hour)[:, :, None], self.places(tf.range(self.nodes))
        where = tf.broadcast_to(where, tf.concat([tf.shape(hour), tf.shape(where)], 0))
        return tf.concat([tf.repeat(when, self.nodes, axis=2), where], axis=-1)

    def graph(self, hour: tf.Tensor) -> tf.Tensor:
        """Returns P_t [batch, time, nodes, nodes] at hours [batch, time]."""
        return self.attention(self.mixed(self.code(hour)))

    def _localised(self, x: tf.Tensor, p: tf.Tensor | None) -> tf.Tensor:
        """[batch, time, nodes, hops * lags]: P^k_s x_{t - k_t} with P as it is at each t; zeros before the window."""
        seen = [tf.pad(x, [[0, 0], [lag, 0], [0, 0], [0, 0]])[:, : x.shape[1]] for lag in range(self.lags)]
        moved, found = tf.concat(seen, axis=-1), []
        for _ in range(self.hops):
            moved = tf.einsum("ij,btjf->btif", self.p, moved) if p is None else tf.einsum("btij,btjf->btif", p, moved)
            found.append(moved)
        return tf.concat(found, axis=-1)


@final
class _Block(keras.layers.Layer):
    """The weights of one decoupled layer; the last one needs no backcast of the inherent part."""

    def __init__(self, units: int, gated: bool, last: bool, seed: int, dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.units, self.last = units, last
        if gated:
            self.first, self.second = _dense(units, seed, dtype, "relu"), _dense(1, seed + 1, dtype, "sigmoid")
        self.spread = _dense(units, seed + 2, dtype)
        self.own = Recurrent(1, units, "gru", [units], seed + 3, dtype)
        self.query, self.key, self.value = (_dense(units, seed + 20 + k, dtype) for k in range(3))
        self.heads = [_dense(1, seed + 30 + k, dtype) for k in range(3 if last else 4)]

    def gate(self, code: tf.Tensor) -> tf.Tensor:
        return self.second(self.first(code))

    def diffusion(self, seen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the forecast [batch, nodes] from the last row and the backcast [batch, time, nodes, 1]."""
        hidden = self.spread(seen)
        return self.heads[0](hidden[:, -1])[..., 0], self.heads[1](hidden)

    def inherent(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        batch, (time, nodes, _) = tf.shape(x)[0], x.shape[1:]
        each = tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch * nodes, time, 1])
        h = self.own(each)
        score = tf.matmul(self.query(h), self.key(h), transpose_b=True) / np.sqrt(self.units)
        later = np.triu(np.full((time, time), -1e9), 1)  # a row sees itself and what was before
        h += tf.matmul(tf.nn.softmax(score + tf.cast(later, score.dtype)), self.value(h))
        forecast = tf.reshape(self.heads[2](h[:, -1]), [batch, nodes])
        if self.last:
            return forecast, None
        return forecast, tf.transpose(tf.reshape(self.heads[3](h), [batch, nodes, time, 1]), [0, 2, 1, 3])


@final
class EdgeImportance(keras.Model):
    """One layer of edges with a signed importance each, on all lags: which edges of a graph carry something."""

    def __init__(self, a: np.ndarray, time: int, seed: int, dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.lags = [Edges(a, 1, seed + lag, signed=True, dtype=dtype) for lag in range(time)]

    def call(self, window: tf.Tensor, hour: tf.Tensor) -> tf.Tensor:
        return sum(layer(window[:, lag]) for lag, layer in enumerate(self.lags))[..., 0]

    def importance(self) -> tf.Tensor:
        """Returns what an edge carries, summed over lags [nodes, nodes]."""
        return sum(layer.importance[0] * layer.through.kernel[0, 0] for layer in self.lags)

    def penalty(self) -> tf.Tensor:
        return sum(tf.reduce_sum(tf.abs(layer.importance * layer.through.kernel[0, 0])) for layer in self.lags)


@final
class SpatioTemporal(keras.Model):
    """ST-GCN with an importance of every edge (Gadgil et al. 2020): panels [batch, time, nodes, features] -> log-odds.

    f = relu(own x W_0 + (A o M) x W_1),  a convolution over time,  ReLU,  the mean over time and nodes,  log-odds
    """

    def __init__(self, a: np.ndarray, units: int, kernel: int, seed: int, dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.edges = Edges(a, units, seed, dtype=dtype)
        self.kernel, self.over_time = kernel, _dense(units, seed + 2, dtype, "relu")
        self.out = _dense(1, seed + 3, dtype)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        f = self.edges(x)
        time = x.shape[1] - self.kernel + 1
        lagged = tf.concat([f[:, k : k + time] for k in range(self.kernel)], axis=-1)
        return self.out(tf.reduce_mean(self.over_time(lagged), axis=[1, 2]))[:, 0]

    def importance(self) -> tf.Tensor:
        """Returns A o M [nodes, nodes]."""
        return self.edges.importance[0]
