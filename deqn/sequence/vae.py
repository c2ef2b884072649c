"""The variational autoencoder (Kingma and Welling 2013): one latent vector, one observation, no time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, final

import keras
import tensorflow as tf

from deqn.sequence.gaussian import bernoulli_log_density, mean_and_sigma, normal_divergence, normal_log_density
from deqn.sequence.variational import Perceptron


@final
class VAE(keras.Model):
    """The model has p(z) = N(0, I), p(x | z) from a decoder and q(z | x) from an encoder.

    size, latent: of x and z. hidden: widths of both perceptrons; none makes them linear. emission: of x given z.
    """

    def __init__(
        self,
        size: int,
        latent: int,
        hidden: Sequence[int],
        emission: Literal["gaussian", "bernoulli"],
        seed: int,
        dtype: str = "float32",
    ) -> None:
        super().__init__(dtype=dtype)
        if emission not in ("gaussian", "bernoulli"):
            raise ValueError(f"emission: got {emission!r}, expected 'gaussian' or 'bernoulli'")
        self.latent, self.emission = latent, emission
        seeds = itertools.count(1000 * seed)
        self.encoder = Perceptron(size, [*hidden, 2 * latent], seeds, name="encoder", dtype=dtype)
        outputs = size if emission == "bernoulli" else 2 * size
        self.decoder = Perceptron(latent, [*reversed(hidden), outputs], seeds, name="decoder", dtype=dtype)
        self.built = True

    def bound(self, x: tf.Tensor, key: tf.Tensor, draws: int, analytic: bool = True) -> tf.Tensor:
        """Returns the evidence lower bound, the mean over draws of z: [batch].

        E_q ln p(x | z) - KL(q || p), with the divergence in closed form, or drawn as well: E_q ln p(x, z) / q(z).
        x: [batch, size]. key: int32 [2].
        """
        mean, sigma = mean_and_sigma(self.encoder(x), 0.0, 0.0)  # [batch, latent]
        z = mean + sigma * tf.random.stateless_normal([draws, *mean.shape], key, dtype=mean.dtype)
        log_x = self.log_density(self.decoder(z), x)  # [draws, batch]
        if analytic:
            zero = tf.zeros_like(mean)
            return tf.reduce_mean(log_x, axis=0) - normal_divergence(mean, sigma, zero, tf.ones_like(sigma))
        log_prior = normal_log_density(z, tf.zeros_like(z), tf.ones_like(z))
        return tf.reduce_mean(log_x + log_prior - normal_log_density(z, mean, sigma), axis=0)

    def log_density(self, outputs: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns ln p(x | z) from the decoder's outputs, [..., batch]."""
        if self.emission == "bernoulli":
            return bernoulli_log_density(x, outputs)
        mean, sigma = mean_and_sigma(outputs, 0.0, 0.0)
        return normal_log_density(x, mean, sigma)
