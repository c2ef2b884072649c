r"""Lower bounds on ln p(x_1..x_T) of a network with latent variables: ELBO, IWAE and FIVO.

N particles, drawn from the proposal, have weights w_t = p(z_t | past) p(x_t | z_t, past) / q(z_t | x_t, past):

    ELBO = mean_i sum_t ln w_t^i                (Kingma and Welling 2013)
    IWAE = ln mean_i prod_t w_t^i               (Burda, Grosse and Salakhutdinov 2016)
    FIVO = ln of a particle filter's p_hat      (Maddison et al. 2017, algorithm 1)

in expectation ELBO <= IWAE <= ln p and FIVO <= ln p, rising with N; with N = 1 all three are the same number. FIVO
resamples a sequence where its effective number of particles falls to N / 2, by independent draws; no gradient goes
through the choice of ancestors, which would be noisy.

Time runs in a while_loop: forty unrolled steps take a minute to trace. Its length is the batch's, so XLA compiles it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import tensorflow as tf

from deqn.sequence.latent import LatentSequence


class Bound(NamedTuple):
    """A bound in nats, log_p: [batch]. divergence: [batch, time], KL of proposal and prior, mean over particles;
    0 beyond a sequence's length."""

    log_p: tf.Tensor
    divergence: tf.Tensor


def elbo(
    network: LatentSequence, x: tf.Tensor, key: tf.Tensor, particles: int = 1, lengths: tf.Tensor | None = None
) -> Bound:
    """Returns the evidence lower bound; more particles only average it.

    x: [batch, time, features]. key: int32 [2]. lengths: [batch], periods that count, by default all; what x holds
    beyond them does not matter, be it NaN.
    """
    _, log_w, divergence, _ = _run(network, x, key, particles, lengths, resamples=False)
    return Bound(tf.reduce_mean(log_w, axis=1), divergence)


def iwae(
    network: LatentSequence, x: tf.Tensor, key: tf.Tensor, particles: int, lengths: tf.Tensor | None = None
) -> Bound:
    """Returns the importance-weighted bound; the arguments are those of `elbo`."""
    _, log_w, divergence, _ = _run(network, x, key, particles, lengths, resamples=False)
    return Bound(_log_mean(log_w), divergence)


def fivo(
    network: LatentSequence, x: tf.Tensor, key: tf.Tensor, particles: int, lengths: tf.Tensor | None = None
) -> Bound:
    """Returns the filtering bound; the arguments are those of `elbo`."""
    log_p, log_w, divergence, _ = _run(network, x, key, particles, lengths, resamples=True)
    return Bound(log_p + _log_mean(log_w), divergence)


class Examined(NamedTuple):
    """What a particle filter with the network's proposal shows of each step.

    log_p: [batch], FIVO. divergence: [batch, time]. mean, log_variance: [batch, time, features], of the emission, mean
    over particles by their weights, x_t included: what the network thinks of x_t having seen it.
    """

    log_p: tf.Tensor
    divergence: tf.Tensor
    mean: tf.Tensor
    log_variance: tf.Tensor


def examine(
    network: LatentSequence, x: tf.Tensor, key: tf.Tensor, particles: int, lengths: tf.Tensor | None = None
) -> Examined:
    """Returns FIVO and the emission's moments by step; the arguments are those of `elbo`."""
    log_p, log_w, divergence, moments = _run(network, x, key, particles, lengths, resamples=True, shows=True)
    return Examined(log_p + _log_mean(log_w), divergence, *moments)


BOUNDS = {"elbo": elbo, "iwae": iwae, "fivo": fivo}


def _run(
    network: LatentSequence,
    x: tf.Tensor,
    key: tf.Tensor,
    particles: int,
    lengths: tf.Tensor | None,
    resamples: bool,
    shows: bool = False,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tuple[tf.Tensor, ...]]:
    """ln p_hat up to the last resampling [batch], log-weights since then [batch, N], divergences [batch, time].

    shows: whether the emission's moments are kept, each [batch, time, features].
    """
    x = tf.convert_to_tensor(x)
    if x.shape.rank != 3:
        raise ValueError(f"x: shape is {tuple(x.shape)}, expected [batch, time, features]")
    if particles < 1:
        raise ValueError(f"particles: got {particles}, expected 1 or more")
    batch, time = x.shape[0], x.shape[1]
    if lengths is None:
        lengths = tf.fill([batch], time)
    else:  # not only its weight: a NaN that is multiplied by 0 leaves a NaN in the gradient
        lengths = tf.cast(lengths, tf.int32)
        x = tf.where((tf.range(time)[None, :] < lengths[:, None])[:, :, None], x, tf.zeros([], x.dtype))
    zero = tf.zeros([], x.dtype)
    seen = tf.nest.map_structure(_unstack, network.encode(x))

    def body(t: tf.Tensor, state: Any, log_p: tf.Tensor, log_w: tf.Tensor, divergences: Any, shown: Any) -> tuple:
        key_t = tf.random.experimental.stateless_fold_in(key, t)
        noise = tf.random.stateless_normal([batch * particles, network.latent], key_t, dtype=x.dtype)
        now = tf.nest.map_structure(lambda each: _for_particles(each.read(t), particles), seen)
        step = network.step(state, now, noise)
        counts = (t < lengths)[:, None]  # [batch, 1]
        log_w += tf.where(counts, tf.reshape(step.log_weight, [batch, particles]), zero)
        divergence = tf.where(counts, tf.reshape(step.divergence, [batch, particles]), zero)
        divergences = divergences.write(t, tf.reduce_mean(divergence, axis=1))
        if shows:
            weights = tf.nn.softmax(log_w, axis=1)[:, :, None]
            moments = (tf.reshape(each, [batch, particles, -1]) for each in (step.mean, step.log_variance))
            shown = tuple(
                array.write(t, tf.reduce_sum(weights * each, axis=1))
                for array, each in zip(shown, moments, strict=True)
            )
        state = step.state
        if resamples and particles > 1:
            due = _is_due(log_w) & counts[:, 0]
            log_p += tf.where(due, _log_mean(log_w), zero)
            uniform = tf.random.stateless_uniform([batch, particles], key_t + 1, dtype=x.dtype)
            state = _select(state, _ancestors(log_w, due, uniform))
            log_w = tf.where(due[:, None], zero, log_w)
        return t + 1, state, log_p, log_w, divergences, shown

    _, _, log_p, log_w, divergences, shown = tf.while_loop(
        lambda t, *_: t < time,
        body,
        (
            tf.constant(0),
            network.start(batch * particles),
            tf.zeros([batch], x.dtype),
            tf.zeros([batch, particles], x.dtype),
            tf.TensorArray(x.dtype, time, element_shape=[batch]),
            tuple(tf.TensorArray(x.dtype, time, element_shape=[batch, x.shape[2]]) for _ in range(2 * shows)),
        ),
        maximum_iterations=time,
    )
    moments = tuple(tf.transpose(array.stack(), [1, 0, 2]) for array in shown)
    return log_p, log_w, tf.transpose(divergences.stack()), moments


def _unstack(x: tf.Tensor) -> tf.TensorArray:
    """[batch, time, ...] as an array over time."""
    order = [1, 0, *range(2, x.shape.rank)]
    return tf.TensorArray(x.dtype, x.shape[1], clear_after_read=False).unstack(tf.transpose(x, order))


def _for_particles(x: tf.Tensor, particles: int) -> tf.Tensor:
    """[batch, d] -> [batch * N, d]. A product: XLA does not compile the gradient of a repetition within a loop."""
    return tf.reshape(x[:, None, :] * tf.ones([1, particles, 1], x.dtype), [-1, x.shape[1]])


def _log_mean(log_w: tf.Tensor) -> tf.Tensor:
    """ln mean exp over particles: [batch, N] -> [batch]."""
    return tf.reduce_logsumexp(log_w, axis=1) - math.log(log_w.shape[1])


def _is_due(log_w: tf.Tensor) -> tf.Tensor:
    """Whether the effective number of particles (sum w)^2 / sum w^2 is at most N / 2: [batch, N] -> bool [batch]."""
    log_ess = 2 * tf.reduce_logsumexp(log_w, axis=1) - tf.reduce_logsumexp(2 * log_w, axis=1)
    return log_ess <= math.log(log_w.shape[1] / 2)


def _ancestors(log_w: tf.Tensor, due: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Who each particle descends from, as rows of a matrix of zeros and ones [batch, N, N]; itself where not due."""
    n = log_w.shape[1]
    cumulative = tf.cumsum(tf.nn.softmax(tf.stop_gradient(log_w), axis=1), axis=1)
    below = tf.cast(uniform[:, :, None] >= cumulative[:, None, :], tf.int32)
    drawn = tf.minimum(tf.reduce_sum(below, axis=2), n - 1)
    return tf.one_hot(tf.where(due[:, None], drawn, tf.range(n)[None, :]), n, dtype=log_w.dtype)


def _select(state: Any, ancestors: tf.Tensor) -> Any:
    """The state of each particle's ancestor. A product of matrices: its gradient is cheaper than that of a gather."""
    batch, n, _ = ancestors.shape

    def selected(each: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.matmul(ancestors, tf.reshape(each, [batch, n, -1])), each.shape)

    return tf.nest.map_structure(selected, state)
