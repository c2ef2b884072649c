"""Normal distributions with independent components, and Bernoulli ones, as functions of tensors."""

from __future__ import annotations

import math

import tensorflow as tf

from deqn.mlp.bounded import bounded


def normal_log_density(x: tf.Tensor, mean: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """Returns ln N(x; mean, diag(sigma^2)), summed over the last axis: [..., d] -> [...]."""
    scaled = (x - mean) / sigma
    return -0.5 * tf.reduce_sum(scaled**2 + 2 * tf.math.log(sigma) + math.log(2 * math.pi), axis=-1)


def normal_divergence(mean: tf.Tensor, sigma: tf.Tensor, mean_p: tf.Tensor, sigma_p: tf.Tensor) -> tf.Tensor:
    """Returns KL(N(mean, diag(sigma^2)) || N(mean_p, diag(sigma_p^2))) over the last axis: [..., d] -> [...]."""
    ratio = (sigma / sigma_p) ** 2
    return 0.5 * tf.reduce_sum(ratio + ((mean - mean_p) / sigma_p) ** 2 - 1 - tf.math.log(ratio), axis=-1)


def bernoulli_log_density(x: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns ln P(x) of independent components, 0 or 1, summed over the last axis: [..., d] -> [...]."""
    return tf.reduce_sum(x * logits - tf.nn.softplus(logits), axis=-1)


def mean_and_sigma(outputs: tf.Tensor, sigma_min: float, raw_sigma_bias: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits outputs [..., 2 d] in mean and standard deviation, softplus(raw + bias) but at least sigma_min."""
    mean, raw = tf.split(outputs, 2, axis=-1)
    return mean, bounded(tf.nn.softplus(raw + raw_sigma_bias), sigma_min, math.inf)
