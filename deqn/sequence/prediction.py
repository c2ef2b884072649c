r"""What a trained network with latent variables says of the next periods: densities, and samples of the future.

A particle filter follows the past, as in the bound FIVO. With N particles of weights w_t, resampled where their
effective number falls to N / 2, ln p(x_t | x_<t) is estimated by ln of the mean weight of period t, whose sum over t is
FIVO; and particles drawn by their weights go on by the network's own law, so that each is a sample of the future.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from deqn.sequence.bounds import _ancestors, _for_particles, _is_due, _log_mean, _select
from deqn.sequence.latent import LatentSequence
from deqn.sequence.variational import VariationalRNN


class Past(NamedTuple):
    """What the filter knows after a past of T periods.

    log_densities: [batch, T], ln p(x_t | x_<t). state: of each particle, [batch * N, ...]. log_weights: [batch, N].
    """

    log_densities: tf.Tensor
    state: Any
    log_weights: tf.Tensor


def follow(network: LatentSequence, x: tf.Tensor, key: tf.Tensor, particles: int) -> Past:
    """Runs the filter along x [batch, T, features]; key: int32 [2]."""
    batch, time = x.shape[0], x.shape[1]
    seen = tf.nest.map_structure(lambda each: _by_period(each), network.encode(x))

    def body(t: tf.Tensor, state: Any, log_w: tf.Tensor, found: tf.TensorArray) -> tuple:
        key_t = tf.random.experimental.stateless_fold_in(key, t)
        noise = tf.random.stateless_normal([batch * particles, network.latent], key_t, dtype=x.dtype)
        step = network.step(state, tf.nest.map_structure(lambda each: _for_particles(each[t], particles), seen), noise)
        after = log_w + tf.reshape(step.log_weight, [batch, particles])
        found = found.write(t, _log_mean(after) - _log_mean(log_w))
        state, log_w = _resampled(step.state, after, _is_due(after) & (particles > 1), key_t + 1)
        return t + 1, state, log_w, found

    _, state, log_w, found = tf.while_loop(
        lambda t, *_: t < time,
        body,
        (
            tf.constant(0),
            network.start(batch * particles),
            tf.zeros([batch, particles], x.dtype),
            tf.TensorArray(x.dtype, time, element_shape=[batch]),
        ),
        maximum_iterations=time,
    )
    return Past(tf.transpose(found.stack()), state, log_w)


def sample_ahead(network: VariationalRNN, past: ArrayLike, horizon: int, samples: int, seed: int) -> np.ndarray:
    """Draws what follows each past [batch, T, features]: [batch, samples, horizon, features].

    samples: particles of the filter, each of which goes on. Raises ValueError for a horizon or samples below 1.
    """
    if horizon < 1 or samples < 1:
        raise ValueError(f"horizon, samples: got {horizon} and {samples}, expected 1 or more of both")
    x = tf.convert_to_tensor(past, network.compute_dtype)
    drawn = tf.function(lambda x: _drawn(network, x, horizon, samples, tf.constant([seed, 78])), autograph=False)(x)
    return np.asarray(drawn, np.float64)


def _drawn(network: VariationalRNN, x: tf.Tensor, horizon: int, samples: int, key: tf.Tensor) -> tf.Tensor:
    batch, rows = x.shape[0], x.shape[0] * samples
    known = follow(network, x, key, samples)
    state, _ = _resampled(known.state, known.log_weights, tf.fill([batch], True), key + 2)
    now, futures = _for_particles(x[:, -1], samples), []
    for step in range(horizon):
        key_t = tf.random.experimental.stateless_fold_in(key + 3, step)
        noise = tf.random.stateless_normal([rows, network.latent], key_t, dtype=x.dtype)
        now, state = network.generate(state, now, noise, key_t + 1)
        futures.append(tf.reshape(now, [batch, samples, -1]))
    return tf.stack(futures, axis=2)


def _resampled(state: Any, log_w: tf.Tensor, due: tf.Tensor, key: tf.Tensor) -> tuple[Any, tf.Tensor]:
    """State and log-weights after new particles are drawn by their weights, in the sequences that are due, [batch]."""
    uniform = tf.random.stateless_uniform(tf.shape(log_w), key, dtype=log_w.dtype)
    state = _select(state, _ancestors(log_w, due, uniform))
    return state, tf.where(due[:, None], tf.zeros_like(log_w), log_w)


def _by_period(x: tf.Tensor) -> tf.Tensor:
    """[batch, time, ...] -> [time, batch, ...]."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])
